"""How long the window takes from process start to its first paint, and to its first plan. Prints JSON.

    python tests/bench/window_start.py [--times 10]

Each start is a process of its own with warm file caches. The first one is thrown away: it may compile modules.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
STAMPS = ("imported_ms", "first_paint_ms", "usable_ms", "cpu_ms", "plan_ms")
"""cpu_ms is the processor time until the window was usable: what a busy machine cannot blur."""
FORBIDDEN = ("torch", "transformers", "peft", "bitsandbytes", "datasets", "accelerate", "pandas", "scipy")


def measure(times: int) -> dict:
    """Medians over so many starts, in milliseconds."""
    starts = [_start() for _ in range(times + 1)][1:]
    figures = {name: round(statistics.median(start[name] for start in starts), 1) for name in STAMPS}
    worst = round(max(start["usable_ms"] for start in starts), 1)
    return {"times": times, **figures, "usable_worst_ms": worst, "forbidden_modules": starts[0]["forbidden"]}


def _start() -> dict:
    with tempfile.TemporaryDirectory(prefix="hone-bench-") as home:
        environment = {**os.environ, "HONE_HOME": home, "PYTHONPATH": str(PROJECT)}
        environment.setdefault("QT_QPA_PLATFORM", "offscreen")
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # a warm start has its modules compiled
        command = [sys.executable, str(Path(__file__).resolve()), "--child", repr(time.time())]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
    return json.loads(done.stdout.splitlines()[-1])


def _child(begun: float) -> None:
    from PySide6.QtCore import QEvent, QObject, QTimer
    from PySide6.QtWidgets import QApplication

    from app.main import Studio

    stamps = {"imported_ms": time.time()}

    def usable() -> None:
        stamps["usable_ms"], stamps["cpu_ms"] = time.time(), begun + time.process_time()

    class FirstPaint(QObject):
        def eventFilter(self, watched: QObject, event: QEvent) -> bool:
            if event.type() == QEvent.Type.Paint and "first_paint_ms" not in stamps:
                QTimer.singleShot(0, usable)
                stamps["first_paint_ms"] = time.time()
            return False

    app = QApplication(sys.argv[:1])
    studio = Studio(app)
    studio.open()
    page = studio.window.page("new-run")
    filter_ = FirstPaint()
    page.installEventFilter(filter_)

    def planned() -> None:
        if page.planner.plan is not None and page.planner.plan.total_steps:  # type: ignore[attr-defined]
            stamps.setdefault("plan_ms", time.time())
            QTimer.singleShot(50, app.quit)

    page.planner.changed.connect(planned)  # type: ignore[attr-defined]
    QTimer.singleShot(20_000, app.quit)
    app.exec()
    figures = {name: 1000 * (stamps.get(name, float("nan")) - begun) for name in STAMPS}
    forbidden = [name for name in FORBIDDEN if name in sys.modules]
    studio.window.close()
    print(json.dumps({**figures, "forbidden": forbidden}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--child", type=float)
    options = parser.parse_args()
    if options.child is not None:
        _child(options.child)
    else:
        print(json.dumps(measure(options.times)))
