"""How long from an edit of the draft to the painted plan, in milliseconds. Prints JSON.

    python tests/bench/redraw.py [--times 300]

One frame at 60 Hz is 16.7 ms. The model is a two-layer one written for the purpose; its size does not matter to
the arithmetic. `estimate_ms` is the share of core.plan alone.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import struct
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
EDITS = [
    {"method.rank": 32},
    {"data.max_length": 1024},
    {"optim.batch_size": 8},
    {"model.quantization": "nf4"},
    {"memory.activation_checkpointing": False},
    {"optim.learning_rate": 5e-4},
    {"optim.epochs": 5},
]


def main(times: int) -> dict:
    from PySide6.QtCore import QEvent, QObject
    from PySide6.QtWidgets import QApplication

    from app.main import Studio

    app = QApplication(sys.argv[:1])
    studio = Studio(app)
    folder = Path(os.environ["HONE_HOME"]) / "model"
    write_model(folder)
    studio.draft.set("model.source", str(folder))
    studio.open()
    page = studio.window.page("new-run")
    end = time.monotonic() + 20
    while page.planner.plan is None and time.monotonic() < end:  # type: ignore[attr-defined]
        app.processEvents()
    studio.watch.stop()

    class Paints(QObject):
        seen = 0

        def eventFilter(self, watched: QObject, event: QEvent) -> bool:
            Paints.seen += event.type() == QEvent.Type.Paint
            return False

    counter = Paints()
    page.plan.bar.installEventFilter(counter)  # type: ignore[attr-defined]
    start = studio.draft.config
    spans, plans, unpainted = [], [], 0
    for number in range(times):
        edit = EDITS[number // 2 % len(EDITS)]
        values = edit if number % 2 == 0 else {path: start.value(path) for path in edit}
        picture = page.plan.bar.picture  # type: ignore[attr-defined]
        before, begun = Paints.seen, time.perf_counter()
        studio.draft.set_many(values)
        app.processEvents()
        spans.append(1000 * (time.perf_counter() - begun))
        moved = page.plan.bar.picture != picture  # type: ignore[attr-defined]
        unpainted += moved and Paints.seen == before
        begun = time.perf_counter()
        page.planner.make()  # type: ignore[attr-defined]
        plans.append(1000 * (time.perf_counter() - begun))
        app.processEvents()
    studio.window.close()
    spans.sort()
    return {
        "times": times,
        "median_ms": round(statistics.median(spans), 2),
        "p95_ms": round(spans[int(0.95 * times)], 2),
        "worst_ms": round(spans[-1], 2),
        "replan_and_show_ms": round(statistics.median(plans), 2),
        "not_painted": unpainted,
    }


def write_model(folder: Path) -> None:
    """A Llama of two layers: a config and a weights file whose content nobody reads."""
    folder.mkdir(parents=True)
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 128, "vocab_size": 512,
        "max_position_embeddings": 4096, "tie_word_embeddings": False,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    shapes = {"model.embed_tokens.weight": (512, 64), "lm_head.weight": (512, 64), "model.norm.weight": (64,)}
    for layer in range(2):
        at = f"model.layers.{layer}."
        for name, shape in (
            ("self_attn.q_proj", (64, 64)), ("self_attn.k_proj", (32, 64)), ("self_attn.v_proj", (32, 64)),
            ("self_attn.o_proj", (64, 64)), ("mlp.gate_proj", (128, 64)), ("mlp.up_proj", (128, 64)),
            ("mlp.down_proj", (64, 128)), ("input_layernorm", (64,)), ("post_attention_layernorm", (64,)),
        ):  # fmt: skip
            shapes[f"{at}{name}.weight"] = shape
    header, offset = {}, 0
    for name, shape in shapes.items():
        size = 2
        for width in shape:
            size *= width
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(offset))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=300)
    options = parser.parse_args()
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    sys.path.insert(0, str(PROJECT))
    with tempfile.TemporaryDirectory(prefix="hone-bench-") as home:
        os.environ["HONE_HOME"] = home
        print(json.dumps(main(options.times)))
