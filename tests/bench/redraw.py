"""How long from an edit of the draft to the painted plan, in milliseconds. Prints JSON.

    python tests/bench/redraw.py [--full] [--times 300]

The model is a two-layer one written for the purpose; its size does not matter to the arithmetic. With --full the
plan has most to say: the model is a large one that does not fit, so that every change is estimated and drawn; the
estimate is adjusted by two dozen past runs; and what a rehearsal found has to be told apart from the plan at each
edit.

`by_edit_ms` is the slowest redraw of each edit; `worst_work_ms` is the longest that the window's thread itself was
busy, which other programs do not lengthen; `replan_ms` is the plan alone, made and shown again. One frame at 60 Hz
is 16.7 ms.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import struct
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from PySide6.QtWidgets import QApplication

    from app.main import Studio

PROJECT = Path(__file__).resolve().parents[2]
GIB = 2**30
OPEN_SECONDS = 20
EDITS = [
    {"method.rank": 32},
    {"data.max_length": 1024},
    {"optim.batch_size": 8},
    {"model.quantization": "nf4"},
    {"memory.activation_checkpointing": False},
    {"optim.learning_rate": 5e-4},
    {"optim.epochs": 5},
]
WARM_UP = 2 * len(EDITS)


class Redraw(NamedTuple):
    """One edit, to the painted plan, in milliseconds."""

    edit: str
    span: float
    work: float
    """Of the window's thread itself."""
    replan: float
    is_unpainted: bool


def main(times: int, is_full: bool) -> dict[str, Any]:
    from PySide6.QtWidgets import QApplication

    from app.main import Studio

    app = QApplication(sys.argv[:1])
    studio = Studio(app)
    folder = Path(os.environ["HONE_HOME"]) / "model"
    write_model(folder)
    values: dict[str, Any] = {"model.source": str(folder)}
    if is_full:
        enlarge(folder)
        values |= {"memory.loss": "full", "model.attention": "eager"}
    studio.draft.set_many(values)
    studio.open()
    page: Any = studio.window.page("new-run")
    end = time.monotonic() + OPEN_SECONDS
    while page.planner.plan is None and time.monotonic() < end:
        app.processEvents()
    studio.watch.stop()
    if is_full:
        fill(studio, page)
    found = redraw(app, studio, page, times)
    plan: Any = page.planner.plan
    studio.window.close()
    spans = sorted(one.span for one in found)
    return {
        "times": times,
        "verdict": plan.estimate.verdict,
        "num_suggestions": len(plan.estimate.suggestions),
        "median_ms": round(statistics.median(spans), 2),
        "p95_ms": round(spans[int(0.95 * times)], 2),
        "worst_ms": round(spans[-1], 2),
        "worst_work_ms": round(max(one.work for one in found), 2),
        "over_16_ms": sum(span > 16 for span in spans),
        "replan_ms": round(statistics.median(one.replan for one in found), 2),
        "not_painted": sum(one.is_unpainted for one in found),
        "by_edit_ms": {
            edit: round(max(one.span for one in found if one.edit == edit), 2)
            for edit in dict.fromkeys(one.edit for one in found)
        },
    }


def redraw(app: QApplication, studio: Studio, page: Any, times: int) -> list[Redraw]:
    """Make each edit and take it back, in turns, after a few that are not counted."""
    from PySide6.QtCore import QEvent, QObject

    class Paints(QObject):
        seen = 0

        def eventFilter(self, watched: QObject, event: QEvent) -> bool:
            self.seen += event.type() == QEvent.Type.Paint
            return False

    paints = Paints()
    page.plan.bar.installEventFilter(paints)
    start, found = studio.draft.config, list[Redraw]()
    for number in range(-WARM_UP, times):
        edit = EDITS[number // 2 % len(EDITS)]
        values = edit if number % 2 == 0 else {path: start.value(path) for path in edit}
        picture, painted = page.plan.bar.picture, paints.seen
        begun, busy = time.perf_counter(), time.thread_time()
        studio.draft.set_many(values)
        app.processEvents()
        span, work = 1000 * (time.perf_counter() - begun), 1000 * (time.thread_time() - busy)
        is_unpainted = page.plan.bar.picture != picture and paints.seen == painted
        begun = time.perf_counter()
        page.planner.make()
        replan = 1000 * (time.perf_counter() - begun)
        app.processEvents()
        if number >= 0:
            found.append(Redraw(next(iter(edit)), span, work, replan, is_unpainted))
        else:
            gc.collect()
    return found


def fill(studio: Studio, page: Any) -> None:
    """Give the plan all that it can have to say."""
    from core.hardware import Device
    from core.memory.calibration import PastPeak
    from core.memory.rehearsal import Living, Point, Rehearsal

    studio.watch.device = Device("cuda", 0, "RTX 4070", 12 * GIB, 11 * GIB, GIB, bf16=True, capability=(8, 9))
    peak = page.planner.plan.estimate.peak_bytes
    page.paces.peaks = tuple(PastPeak("RTX 4070", "lora", "none", peak, peak) for _ in range(24))
    page.rehearsing.found = Rehearsal(
        peak_bytes=peak, peak_phase="backward", phases={"backward": peak}, parts={"weights": peak},
        timeline=[Point(at=n / 500, num_bytes=n, phase="backward") for n in range(500)],
        living=[Living(part="weights", operation="weights", shape=(1,), dtype="uint8", count=1, num_bytes=1)] * 40,
        num_living=40, num_layers=32, num_trainable=1, rows=1, length=1, model="", device="cuda", seconds=1,
        versions={},
    )  # fmt: skip
    page.planner.make()


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


def enlarge(folder: Path) -> None:
    """The written model's config as that of one with 32 layers and 8 billion parameters."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config |= {"hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
               "intermediate_size": 14336, "vocab_size": 128256}  # fmt: skip
    path.write_text(json.dumps(config))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=300)
    parser.add_argument("--full", action="store_true", help="with a plan that has most to say")
    options = parser.parse_args()
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    sys.path.insert(0, str(PROJECT))
    with tempfile.TemporaryDirectory(prefix="hone-bench-") as home:
        os.environ["HONE_HOME"] = home
        print(json.dumps(main(options.times, options.full)))
