"""How long frames are while a person scrolls through a million rows on New run. Prints JSON.

    python tests/bench/rows_scroll.py [--rows 1000000] [--frames 600]

The list is dragged from end to end, flicked by the wheel, jumped through, and stepped through by arrow keys with
each row shown in the model's tokens; first while the whole file is still being checked on a thread, then in quiet.
A frame is everything the window's thread does between an input and the paint that answers it; one at 60 Hz is
16.7 ms. `cpu_ms` counts only what that thread itself computed, whatever else the machine was busy with.
`blank_share` is how many of the lines painted were not read yet, `token_ms` how long after an arrow key the row's
tokens stand there. The file is written to the folder for temporary files and removed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PySide6.QtWidgets import QApplication

    from app.widgets.row_list import Line, RowList

PROJECT = Path(__file__).resolve().parents[2]
WAIT_SECONDS = 300


def main(num_rows: int, num_frames: int) -> dict:
    from PySide6.QtCore import Qt
    from PySide6.QtTest import QTest
    from PySide6.QtWidgets import QApplication

    from app.main import Studio

    app = QApplication(sys.argv[:1])
    source = Path(os.environ["HONE_HOME"]) / "rows.jsonl"
    write_rows(source, num_rows)
    studio = Studio(app)
    studio.draft.set("data.source", str(source))
    studio.open()
    studio.window.resize(1280, 800)
    page = studio.window.page("new-run")
    rows, preview = page.data_card.contents.rows, page.preview  # type: ignore[attr-defined]
    browser, sight = rows.browser, rows.sight
    until(app, lambda: page.data.rows is not None and page.preview.state == "ready")  # type: ignore[attr-defined]
    until(app, lambda: sight.stack.currentWidget() is sight.tokens)
    lines = watch_lines(browser.list)
    bar = browser.list.verticalScrollBar()

    def drag() -> Iterator[None]:
        for frame in range(num_frames):
            bar.setValue(bar.maximum() * frame // max(1, num_frames - 1))
            yield

    def flick() -> Iterator[None]:
        bar.setValue(bar.maximum() // 3)
        for frame in range(num_frames):
            bar.setValue(bar.value() + (3 + frame % 40) * bar.singleStep())
            yield

    def jump() -> Iterator[None]:
        chance = random.Random(0)
        for _ in range(num_frames):
            browser.go_to(chance.randrange(num_rows))
            yield

    def step() -> Iterator[None]:
        browser.list.setFocus()
        for _ in range(num_frames):
            QTest.keyClick(browser.list, Qt.Key.Key_Down)
            yield

    motions = {"drag": drag, "flick": flick, "jump": jump, "arrow_keys": step}
    checking = {name: frames(app, motion(), lines) for name, motion in motions.items()}
    was_checked = page.data.report is not None  # type: ignore[attr-defined]
    until(app, lambda: page.data.report is not None)  # type: ignore[attr-defined]
    quiet = {name: frames(app, motion(), lines) for name, motion in motions.items()}
    waits = []
    for _ in range(60):
        began = time.perf_counter()
        QTest.keyClick(browser.list, Qt.Key.Key_Down)
        until(app, lambda: sight.number == rows.number and preview.row(rows.number))
        waits.append(1000 * (time.perf_counter() - began))
    studio.window.close()
    preview.close()
    return {
        "rows": num_rows,
        "megabytes": round(source.stat().st_size / 1e6),
        "frames_of_each": num_frames,
        "while_checking": checking,
        "check_ended_meanwhile": was_checked,
        "in_quiet": quiet,
        "token_ms": {"median": round(statistics.median(waits), 1), "worst": round(max(waits), 1)},
    }


def frames(app, motion: Iterator[None], lines: dict[str, int]) -> dict[str, float]:
    """Drive a motion at 60 Hz and time what the window's thread does for each frame, in milliseconds."""
    spans: list[float] = []
    computed: list[float] = []
    lines.update(asked=0, blank=0)
    while True:
        began, own = time.perf_counter(), time.thread_time()
        if next(motion, False) is False:
            break
        app.processEvents()
        app.processEvents()  # what the first pass posted, such as the paint
        spans.append(1000 * (time.perf_counter() - began))
        computed.append(1000 * (time.thread_time() - own))
        rest = began + 1 / 60 - time.perf_counter()
        while rest > 0:  # an event loop sleeps between frames, and lets threads run
            time.sleep(min(rest, 0.004))
            inside, own = time.perf_counter(), time.thread_time()
            app.processEvents()
            computed[-1] = max(computed[-1], 1000 * (time.thread_time() - own))
            spans[-1] = max(spans[-1], 1000 * (time.perf_counter() - inside))
            rest = began + 1 / 60 - time.perf_counter()
    spans.sort()
    computed.sort()
    return {
        "median_ms": round(statistics.median(spans), 2),
        "p99_ms": round(spans[int(0.99 * len(spans))], 2),
        "worst_ms": round(spans[-1], 2),
        "p99_cpu_ms": round(computed[int(0.99 * len(computed))], 2),
        "worst_cpu_ms": round(computed[-1], 2),
        "over_16_ms": sum(span > 16 for span in spans),
        "over_16_cpu_ms": sum(span > 16 for span in computed),
        "blank_share": round(lines["blank"] / max(1, lines["asked"]), 3),
    }


def watch_lines(row_list: RowList) -> dict[str, int]:
    """Count the lines that are painted, and those of them that were not there yet."""
    counts, line_of = {"asked": 0, "blank": 0}, row_list._line_of

    def counted(number: int) -> Line | None:
        line = line_of(number)
        counts["asked"] += 1
        counts["blank"] += line is None
        return line

    row_list._line_of = counted
    return counts


def until(app: QApplication, is_so: Callable[[], object]) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while not is_so():
        if time.monotonic() > end:
            raise SystemExit("It took too long; is the starter model there?")
        app.processEvents()
        time.sleep(0.001)


def write_rows(path: Path, num_rows: int) -> None:
    chance = random.Random(1)
    text = "the a small old river lamp letter garden bird coin over under found lost gave quiet blue song"
    words = text.split()
    with path.open("w", encoding="utf-8") as file:
        for number in range(num_rows):
            prompt = f"Tell me about number {number} and {' '.join(chance.choices(words, k=6))}."
            answer = " ".join(chance.choices(words, k=chance.randrange(8, 40)))
            row = {"prompt": prompt, "completion": answer}
            if number % 1000 == 999:
                row = {"prompt": prompt}
            file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--frames", type=int, default=600)
    options = parser.parse_args()
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    sys.path.insert(0, str(PROJECT))
    with tempfile.TemporaryDirectory(prefix="hone-bench-") as home:
        os.environ["HONE_HOME"] = home
        print(json.dumps(main(options.rows, options.frames), indent=1))
