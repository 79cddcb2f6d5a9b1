"""How long the window's thread is away while events stream in. Prints JSON.

    python tests/bench/stream.py [--seconds 20] [--rate 1000] [--points 1000000]

A heartbeat in the window's thread wants to beat every 5 ms; how much later than that it beats is a gap, with all
painting included. Arms: an idle window; a stream of events into a young run; the same stream into a run of a
million steps with four plots in sight; that run while it is scrolled and pointed at; and reading that run whole.
The stream is written by a process of its own, as a worker would.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
BEAT_MS = 5
STREAMER = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[4])
from run_folders import a_step
from core.events import EventWriter
from core.runs import Run
run, first, rate = Run(Path(sys.argv[1])), int(sys.argv[2]), float(sys.argv[3])
lock = run.lock()
lock.acquire()
writer = EventWriter(run.events_file)
print("streaming", flush=True)
begun, number = time.perf_counter(), 0
while True:
    due = int((time.perf_counter() - begun) * rate)
    for number in range(number + 1, due + 1):
        writer.write(a_step(first + number, time.time(), loss=1.2 + (number % 97) / 300))
    number = max(number, due)
    time.sleep(0.004)
"""


class Heartbeat:
    """Notes by how many milliseconds each beat is late."""

    def __init__(self) -> None:
        from PySide6.QtCore import Qt, QTimer

        self.gaps: list[float] = []
        self._last = 0.0
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._beat)

    def __enter__(self) -> Heartbeat:
        self.gaps, self._last = [], time.perf_counter()
        self._timer.start(BEAT_MS)
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.stop()

    def _beat(self) -> None:
        now = time.perf_counter()
        self.gaps.append(max(0.0, (now - self._last) * 1000 - BEAT_MS))
        self._last = now

    def figures(self) -> dict[str, float]:
        known = sorted(self.gaps)
        share = {name: known[min(len(known) - 1, int(part * len(known)))] for name, part in SHARES.items()}
        return {**{name: round(value, 2) for name, value in share.items()}, "max_ms": round(known[-1], 2)}


SHARES = {"p50_ms": 0.5, "p99_ms": 0.99, "p999_ms": 0.999}


def main(seconds: float, rate: int, points: int) -> dict:
    import run_folders
    from PySide6.QtCore import QEventLoop, QTimer
    from PySide6.QtWidgets import QApplication

    from app.pages.run_page import RunPage
    from app.state.background import Background
    from app.theme import Theme
    from core.runs import RunStore

    app = QApplication(sys.argv[:1])
    store, background = RunStore(Path(os.environ["HONE_HOME"]) / "runs"), Background()
    page = RunPage(Theme(app, "dark"), store, background)
    page.resize(1232, 1000)
    page.show()
    heart = Heartbeat()
    found: dict[str, object] = {"seconds": seconds, "rate": rate, "points": points, "beat_ms": BEAT_MS}

    def wait(milliseconds: float) -> None:
        """Run the event loop itself; QTest.qWait would nap ten milliseconds at a time."""
        loop = QEventLoop()
        QTimer.singleShot(round(milliseconds), loop.quit)
        loop.exec()

    def beat(name: str) -> None:
        wait(500)
        with heart:
            wait(seconds * 1000)
        found[name] = heart.figures()

    def streamed(run, first: int):
        command = [sys.executable, "-c", STREAMER, str(run.folder), str(first), str(rate), str(HELPERS)]
        streamer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert streamer.stdout is not None
        streamer.stdout.readline()
        return streamer

    def open_whole(run) -> None:
        page.open(run)
        while page.live is None or not page.live.is_loaded:
            wait(20)

    beat("idle window")

    young = run_folders.write(store, "young", run_folders.begin(10_000_000, 100))
    streamer = streamed(young, 100)
    open_whole(young)
    beat("stream into a young run")
    streamer.kill()
    streamer.communicate()

    long = run_folders.write_long(store, "long", points)
    lines = long.events_file.read_bytes().splitlines(keepends=True)
    long.events_file.write_bytes(b"".join(lines[:-1]))
    begun = time.perf_counter()
    with heart:
        open_whole(long)
    found["reading it whole"] = {"seconds": round(time.perf_counter() - begun, 2), **heart.figures()}

    streamer = streamed(long, points)
    wait(300)
    plots = [plot for plot in page.plots if not plot.viewport().visibleRegion().isEmpty()]
    found["plots in sight"] = len(plots)
    before = len(page.live.steps)  # type: ignore[union-attr]
    beat("stream into a million steps")
    found["events taken in per second"] = round((len(page.live.steps) - before) / (seconds + 0.5))  # type: ignore[union-attr]

    mover, turn = QTimer(), [0]

    def move() -> None:
        turn[0] += 1
        bar = page.scrolled.verticalScrollBar()
        bar.setValue(turn[0] * 3 % 120)
        left, right = page.link.range
        page.link.point_at(left + (right - left) * (turn[0] % 100 / 100))

    mover.timeout.connect(move)
    mover.start(33)
    beat("and scrolled and pointed at")
    mover.stop()
    page.link.point_at(None)
    page.link.zoom(points * 0.4, points * 0.6)
    beat("and zoomed in")
    streamer.kill()
    streamer.communicate()
    page.live.pause()  # type: ignore[union-attr]
    background.close()
    return found


HELPERS = PROJECT / "tests" / "app"

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--points", type=int, default=1_000_000)
    options = parser.parse_args()
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH", "")]))
    sys.path[:0] = [str(PROJECT), str(HELPERS)]
    with tempfile.TemporaryDirectory(prefix="hone-bench-") as home:
        os.environ["HONE_HOME"] = home
        result = main(options.seconds, options.rate, options.points)
        result["load_average"] = round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None
        print(json.dumps(result, indent=1))
