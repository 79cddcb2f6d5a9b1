"""Makes the README's pictures from the real window: a real run of the bundled model, watched, compared, grabbed.

    python docs/pictures/make.py [--out FOLDER] [--home FOLDER]

Takes about three minutes on two cores and needs no display. With --home, runs found there are used again.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

PROJECT = Path(__file__).resolve().parents[2]
SIZE = (1440, 900)
PROMPT = "Tell me about a fox who lost her hat."

if TYPE_CHECKING:
    from PySide6.QtWidgets import QApplication

    from app.main import Studio
    from core.runs import Run


def wait(app: QApplication, until, seconds: float, what: str) -> None:
    """Keep the window going until `until` answers yes. Raises TimeoutError."""
    end = time.monotonic() + seconds
    while not until():
        if time.monotonic() > end:
            raise TimeoutError(what)
        app.processEvents()
        time.sleep(0.01)


def pause(app: QApplication, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        app.processEvents()
        time.sleep(0.01)


def make_pictures(out: Path) -> None:
    from PySide6.QtWidgets import QApplication

    from app.main import Studio

    app = QApplication(sys.argv[:1])
    studio = Studio(app)
    studio.preferences.set("has_said_runs_live_on", True)
    studio.open()
    studio.window.resize(*SIZE)
    grab_new_run(app, studio, out)
    run = next((run for run in studio.store.runs() if run.state() == "done"), None) or train(app, studio, out)
    grab_run(app, studio, run, out)
    grab_runs(app, studio, out)
    grab_compare(app, studio, run, out)
    studio.window.close()


def grab(app: QApplication, studio: Studio, path: Path, appearance: str) -> None:
    studio.theme.set_appearance(appearance)  # type: ignore[arg-type]
    pause(app, 0.4)
    studio.window.grab().save(str(path))
    print(path)


def grab_new_run(app: QApplication, studio: Studio, out: Path) -> None:
    page = studio.window.show_page("new-run")
    wait(app, lambda: page.planner.plan is not None and page.plan.start.isEnabled(), 60, "no plan")  # type: ignore
    wait(app, lambda: page.data_card.contents.rows.sight.stack.currentIndex() == 1, 120, "no tokens")  # type: ignore[attr-defined]
    pause(app, 0.5)
    grab(app, studio, out / "new-run.png", "light")
    grab(app, studio, out / "new-run-dark.png", "dark")


def train(app: QApplication, studio: Studio, out: Path) -> Run:
    """Start what a person finds in the first window, grab it half way, and wait for its end."""
    studio.draft.rename("poet")
    page = studio.window.show_page("new-run")
    wait(app, lambda: page.plan.start.isEnabled(), 60, "cannot start")  # type: ignore[attr-defined]
    page.start()  # type: ignore[attr-defined]
    wait(app, lambda: studio.window.has_page("run"), 60, "no run page")
    live = studio.window.page("run").live  # type: ignore[attr-defined]
    wait(
        app, lambda: live.history.total_steps and live.history.step > 0.55 * live.history.total_steps, 600, "slow"
    )
    grab(app, studio, out / "run-dark.png", "dark")
    wait(app, lambda: live.state == "done", 900, "the run did not end")
    return live.run


def grab_run(app: QApplication, studio: Studio, run: Run, out: Path) -> None:
    studio.open_run(run)
    pause(app, 1.5)
    grab(app, studio, out / "run.png", "light")


def grab_runs(app: QApplication, studio: Studio, out: Path) -> None:
    studio.window.show_page("runs")
    wait(app, lambda: bool(studio.run_list.rows), 30, "no rows")
    pause(app, 0.5)
    grab(app, studio, out / "runs.png", "light")


def grab_compare(app: QApplication, studio: Studio, run: Run, out: Path) -> None:
    studio.compare([run])
    page = studio.window.page("compare")
    wait(app, lambda: page.comparison.state == "ready", 300, "the models did not load")  # type: ignore[attr-defined]
    page.composer.editor.setPlainText(PROMPT)  # type: ignore[attr-defined]
    page.composer.send()  # type: ignore[attr-defined]
    answers = page.comparison.conversations  # type: ignore[attr-defined]
    wait(app, lambda: all(one.last_answer for one in answers), 300, "no answers")
    pause(app, 0.5)
    grab(app, studio, out / "compare.png", "light")
    grab(app, studio, out / "compare-dark.png", "dark")
    page.comparison.close()  # type: ignore[attr-defined]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--scale", default="1")
    options = parser.parse_args()
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    os.environ["QT_SCALE_FACTOR"] = options.scale
    sys.path.insert(0, str(PROJECT))
    with tempfile.TemporaryDirectory(prefix="hone-pictures-") as home:
        os.environ["HONE_HOME"] = str(options.home or home)
        options.out.mkdir(parents=True, exist_ok=True)
        make_pictures(options.out)
