"""The composition root: makes every object of the window's process once and passes it down."""

from __future__ import annotations

import contextlib
import gc
import sys
import time
import traceback
from types import TracebackType

# Before Qt: PySide6 reads the source of every module imported after it, which costs a twentieth of a second here.
from core.config import RunConfig
from core.errors import HoneError
from core.places import home
from core.runs import Run, RunStore
from core.settings import Settings

# isort: split
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QWidget

from app.state.background import Background
from app.state.draft import Draft
from app.state.garbage import Collector
from app.state.memory_watch import MemoryWatch
from app.state.preferences import Preferences
from app.state.run_list import RunList
from app.theme import Theme
from app.window import Window

NEWEST = 8
"""How many of the newest runs are looked at for a live one before the first paint."""

PULSE_MS = 3000
PAINT_MS = 30
"""Left to the first paint before any thread begins."""
SETTLED_MS = 1500
"""After which all is there that stays: collecting garbage need not look at it again, which took 60 ms."""
SWITCH_SECONDS = 0.0005
"""How long a thread may keep Python's lock from the window's: Python's own 5 ms would be lost several times in a
frame while rows are read."""


class Studio:
    """Everything one window needs. Pages are made on their first visit, and import what they need then."""

    def __init__(self, app: QApplication) -> None:
        self._collector = Collector()
        self.preferences = Preferences(Settings.load())
        settings = self.preferences.settings
        sys.setswitchinterval(SWITCH_SECONDS)
        self.theme = Theme(app, settings.appearance)
        self.background = Background()
        self.background.hold()
        self.watch = MemoryWatch(self.background)
        self.store = RunStore(settings.runs_folder)
        self.draft = Draft.restored()
        self.run_list = RunList(self.store, self.background)
        makers = {
            "runs": self._make_runs,
            "run": self._make_run,
            "new-run": self._make_new_run,
            "compare": self._make_compare,
            "settings": self._make_settings,
        }
        self.window = Window(self.theme, self.watch, makers)
        self.window.closed.connect(self.close)
        self._pulse = QTimer(self.window)  # the list rests while its page is out of sight; the badge does not
        self._pulse.setInterval(PULSE_MS)
        self._pulse.timeout.connect(self.run_list.look)
        self.run_list.changed.connect(self._show_live)
        self.preferences.changed.connect(lambda: self.theme.set_appearance(self.preferences.settings.appearance))

    def open(self) -> None:
        """Show the window, on a run that is being trained if there is one. What reads disks and devices begins
        after the first paint."""
        live = next((run for run in self.store.runs()[:NEWEST] if run.is_live()), None)
        self.open_run(live) if live else self.window.show_page("new-run")
        self.window.show()
        QTimer.singleShot(PAINT_MS, self.background.release)
        QTimer.singleShot(0, self.watch.start)
        QTimer.singleShot(0, self.run_list.look)
        QTimer.singleShot(SETTLED_MS, self.window, gc.freeze)
        self._pulse.start()

    def close(self) -> None:
        """Forget what is under way in this process. Runs have their own."""
        self.watch.stop()
        self._pulse.stop()
        self.run_list.pause()
        self.draft.keep()
        self.background.close()

    def tell_of(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """A mistake of ours, not of the user's: keep the window open, write it down, and say so."""
        if issubclass(kind, KeyboardInterrupt):
            self.window.close()
            return
        text = "".join(traceback.format_exception(kind, error, trace))
        sys.stderr.write(text)
        path = home() / "window.log"
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as log:
                log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}\n{text}\n")
        self.window.toast.say(f"Something went wrong inside Hone ({kind.__name__}); it is written down in {path}.")

    def open_run(self, run: Run) -> None:
        """Show one run's page."""
        self.window.page("run").open(run)  # type: ignore[attr-defined]
        self.window.show_page("run", run.name)

    def compare(self, runs: list[Run]) -> None:
        """Show runs side by side in chat."""
        self.window.show_page("compare").open_runs(runs)  # type: ignore[attr-defined]

    def prepare(self, config: RunConfig) -> None:
        """Show New run with another run's settings."""
        self.draft.replace(config, as_origin=True)
        self.window.show_page("new-run")

    def _started(self, run: Run) -> None:
        self.open_run(run)
        if not self.preferences.settings.has_said_runs_live_on:
            self.window.toast.say("Training goes on when you close this window; open Hone again to find it here.")
            with contextlib.suppress(HoneError):  # a note that comes twice is better than an error about it
                self.preferences.set("has_said_runs_live_on", True)

    def _show_live(self) -> None:
        live = [row for row in self.run_list.rows if row.state == "live"]
        self.window.sidebar.set_badge("runs", f"{len(live)} live" if live else "")
        self.watch.count_as_ours(row.pid for row in live)

    def _make_new_run(self) -> QWidget:
        from app.pages.new_run_page import NewRunPage

        page = NewRunPage(self.draft, self.store, self.watch, self.preferences, self.background, self.theme)
        page.started.connect(self._started)
        return page

    def _make_runs(self) -> QWidget:
        from app.pages.runs_page import RunsPage

        page = RunsPage(self.run_list, self.theme)
        page.run_opened.connect(self.open_run)
        page.compare_requested.connect(self.compare)
        page.duplicated.connect(self.prepare)
        page.new_run_requested.connect(lambda: self.window.show_page("new-run"))
        return page

    def _make_run(self) -> QWidget:
        from app.pages.run_page import RunPage

        page = RunPage(self.theme, self.store, self.background)
        page.back_requested.connect(lambda: self.window.show_page("runs"))
        page.compare_requested.connect(lambda run: self.compare([run]))
        page.duplicated.connect(self.prepare)
        return page

    def _make_compare(self) -> QWidget:
        from app.pages.compare_page import ComparePage
        from app.state.comparison import Comparison

        return ComparePage(Comparison(), self.store, self.theme)

    def _make_settings(self) -> QWidget:
        from app.pages.settings_page import SettingsPage

        return SettingsPage(self.preferences, self.theme, self.background)


def main() -> int:
    """Open the studio and return its exit code."""
    app = QApplication.instance() or QApplication(sys.argv)
    assert isinstance(app, QApplication)
    app.setApplicationName("Hone")
    app.setDesktopFileName("hone")
    studio = Studio(app)
    sys.excepthook = studio.tell_of
    studio.open()
    return app.exec()


if __name__ == "__main__":
    sys.exit(main())
