"""How long from an edit to the painted plan when the plan has most to say, in milliseconds. Prints JSON.

    python tests/bench/plan_redraw.py [--times 300]

Like redraw.py, but the model is a large one that does not fit, so that every change is estimated and drawn; the
estimate is adjusted by two dozen past runs; and what a rehearsal found has to be told apart from the plan at each
edit. `by_edit_ms` is the slowest redraw of each edit; `worst_work_ms` is the longest that the
window's thread itself was busy, which other programs do not lengthen. A frame at 60 Hz is 16.7 ms.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from redraw import EDITS, PROJECT, write_model

GIB = 2**30
WARM_UP = 2 * len(EDITS)


def main(times: int) -> dict:
    from PySide6.QtWidgets import QApplication

    from app.main import Studio
    from core.hardware import Device
    from core.memory.calibration import PastPeak
    from core.memory.rehearsal import Living, Point, Rehearsal

    app = QApplication(sys.argv[:1])
    studio = Studio(app)
    folder = Path(os.environ["HONE_HOME"]) / "model"
    write_model(folder)
    enlarge(folder)
    studio.draft.set_many({"model.source": str(folder), "memory.loss": "full", "model.attention": "eager"})
    studio.open()
    page = studio.window.page("new-run")
    end = time.monotonic() + 20
    while page.planner.plan is None and time.monotonic() < end:  # type: ignore[attr-defined]
        app.processEvents()
    studio.watch.stop()
    studio.watch.device = Device("cuda", 0, "RTX 4070", 12 * GIB, 11 * GIB, GIB, bf16=True, capability=(8, 9))
    peak = page.planner.plan.estimate.peak_bytes  # type: ignore[attr-defined]
    page.paces.peaks = tuple(PastPeak("RTX 4070", "lora", "none", peak, peak) for _ in range(24))  # type: ignore[attr-defined]
    page.rehearsing.found = Rehearsal(  # type: ignore[attr-defined]
        peak_bytes=peak, peak_phase="backward", phases={"backward": peak}, parts={"weights": peak},
        timeline=[Point(at=n / 500, num_bytes=n, phase="backward") for n in range(500)],
        living=[Living(part="weights", operation="weights", shape=(1,), dtype="uint8", count=1, num_bytes=1)] * 40,
        num_living=40, num_layers=32, num_trainable=1, rows=1, length=1, model="", device="cuda", seconds=1,
        versions={},
    )  # fmt: skip
    page.planner.make()  # type: ignore[attr-defined]
    start = studio.draft.config
    spans: list[tuple[float, str]] = []
    work: list[float] = []
    for number in range(-WARM_UP, times):
        edit = EDITS[number // 2 % len(EDITS)]
        values = edit if number % 2 == 0 else {path: start.value(path) for path in edit}
        begun, busy = time.perf_counter(), time.thread_time()
        studio.draft.set_many(values)
        app.processEvents()
        if number >= 0:
            spans.append((1000 * (time.perf_counter() - begun), next(iter(edit))))
            work.append(1000 * (time.thread_time() - busy))
        else:
            gc.collect()
    estimate = page.planner.plan.estimate  # type: ignore[attr-defined]
    found = sorted(span for span, _ in spans)
    studio.window.close()
    return {
        "times": times,
        "verdict": estimate.verdict,
        "num_suggestions": len(estimate.suggestions),
        "median_ms": round(statistics.median(found), 2),
        "p95_ms": round(found[int(0.95 * times)], 2),
        "worst_ms": round(found[-1], 2),
        "worst_work_ms": round(max(work), 2),
        "over_16_ms": sum(span > 16 for span in found),
        "by_edit_ms": {name: round(max(span for span, one in spans if one == name), 2) for _, name in spans},
    }


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
    options = parser.parse_args()
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    sys.path.insert(0, str(PROJECT))
    with tempfile.TemporaryDirectory(prefix="hone-bench-") as home:
        os.environ["HONE_HOME"] = home
        print(json.dumps(main(options.times)))
