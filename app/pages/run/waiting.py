"""What a run's page shows before the first step: what the worker is doing, and how far it is with that."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QProgressBar, QVBoxLayout

from app.state.live_run import LiveRun
from app.theme import Theme
from app.widgets.card import Card
from app.widgets.label import Label
from core import figures
from core.events import Progress


class Waiting(Card):
    """Hidden as soon as there is a curve to look at."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.headline = Label("", "headline")
        self.sentence = Label("", "secondary", wrap=True)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedWidth(360)
        self.bar.setAccessibleName("Progress before the first step")
        column = QVBoxLayout()
        column.setSpacing(8)
        column.setContentsMargins(0, 72, 0, 88)
        for widget in (self.headline, self.sentence):
            widget.setAlignment(Qt.AlignmentFlag.AlignCenter)
            column.addWidget(widget)
        column.addSpacing(8)
        column.addWidget(self.bar, 0, Qt.AlignmentFlag.AlignHCenter)
        self.body.addLayout(column)

    def show_run(self, live: LiveRun) -> None:
        is_busy = live.state == "live" or live.is_starting or not live.is_loaded
        self.setVisible(len(live.steps) == 0 and (is_busy or live.state == "new") and not live.has_failed_to_start)
        self.bar.setVisible(is_busy)
        progress = live.history.progress
        if not is_busy:
            self.headline.setText("Ready to start")
            self.sentence.setText("Its settings are below. Start begins the training in a process of its own.")
        elif not live.is_loaded:
            self._say("Reading the run …", "", None)
        elif live.is_starting:
            self._say("Starting the worker …", "Training goes on when this window is closed.", None)
        elif progress is not None:
            self._say(f"{progress.label} …", _amount(progress), progress)
        elif live.history.loaded is not None:
            self._say("Ready, the first step is under way …", "", None)
        else:
            self._say("Loading model and data …", "Training goes on when this window is closed.", None)

    def _say(self, headline: str, sentence: str, progress: Progress | None) -> None:
        self.headline.setText(headline)
        self.sentence.setText(sentence)
        if progress is not None and progress.total:
            self.bar.setRange(0, 1000)
            self.bar.setValue(round(1000 * min(1.0, progress.done / progress.total)))
        else:
            self.bar.setRange(0, 0)


def _amount(progress: Progress) -> str:
    """How far, in the job's own unit: "1.2 GiB of 4.1 GiB", "1,200 of 4,212 rows"."""
    words = figures.size if progress.unit == "bytes" else figures.whole
    unit = f" {progress.unit}" if progress.unit in ("rows", "steps") else ""
    if not progress.total:
        return f"{words(progress.done)}{unit}" if progress.unit else ""
    return f"{words(progress.done)} of {words(progress.total)}{unit}" if progress.unit else ""
