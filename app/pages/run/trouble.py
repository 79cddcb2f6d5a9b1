"""What went wrong with a run, as a banner: the cause in plain words, and the remedy as a button."""

from __future__ import annotations

from PySide6.QtCore import Signal

from app.state.live_run import LiveRun
from app.theme import Theme
from app.widgets.banner import Banner
from app.widgets.words import in_labels
from core import figures
from core.config import RunConfig
from core.errors import HoneError
from core.events import Failed


class Trouble(Banner):
    """Hidden while all is well."""

    resume_pressed = Signal()
    folder_pressed = Signal()
    mended = Signal(object)
    """A RunConfig in which the cause is put right, for a new run."""

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme)
        self._live: LiveRun | None = None
        self.log = self.add_button("Show log")
        self.folder = self.add_button("Open folder")
        self.mend = self.add_button("")
        self.resume = self.add_button("Resume", "primary")
        self.log.clicked.connect(self._turn_log)
        self.folder.clicked.connect(self.folder_pressed)
        self.resume.clicked.connect(self.resume_pressed)
        self.mend.clicked.connect(self._mend)

    def show_run(self, live: LiveRun) -> None:
        self._live = live
        history = live.history
        step = figures.whole(history.step)
        again = f"Resume goes on from step {figures.whole(history.saved_step)}." if history.saved_step else (
            "No checkpoint was written yet, so Resume begins again.")  # fmt: skip
        if (
            not live.is_loaded
            or live.is_starting
            or live.state not in ("interrupted", "failed", "diverged", "new")
        ):
            self._hide()
        elif live.state == "interrupted":
            sentence = f"The worker ended without a word: it was killed, or the machine went down. {again}"
            self.say(f"Interrupted at step {step}", sentence, "tight", [self.log, self.resume])
        elif live.state == "failed":
            self.mend.setText("Change it in a new run")
            is_setting = isinstance(history.last, Failed) and bool(history.last.path)
            head = f"Failed at step {step}" if history.step else "Failed"
            buttons = [self.log, self.folder, *([self.mend] if is_setting else []), self.resume]
            self.say(head, in_labels(history.failure), "no", buttons)
        elif live.state == "diverged":
            self.mend.setText("New run with half the learning rate")
            self.say(
                f"Diverged at step {step}",
                "Its loss was no number any more, so it was ended; the last good checkpoint is kept.",
                "no",
                [self.log, self.mend],
            )
        elif live.has_failed_to_start:
            self.say(
                "It did not start",
                "The worker ended before it said a word; its last words are in the log.",
                "no",
                [self.log, self.folder, self.resume],
            )
        else:
            self._hide()
        self.resume.setText("Start again" if live.state == "new" else "Resume")

    @property
    def mended_config(self) -> RunConfig | None:
        """The run's config with the remedy applied, where there is one."""
        if self._live is None:
            return None
        try:
            config = self._live.run.config
            if self._live.state == "diverged":
                return config.with_value("optim.learning_rate", config.optim.learning_rate / 2)
        except HoneError:
            return None
        return config

    def _hide(self) -> None:
        self.hide()
        self.show_words(None)
        self.log.setText("Show log")

    def _turn_log(self) -> None:
        if self.words.isHidden() and self._live is not None:
            self.show_words(self._live.log_tail() or "The log is empty.")
        else:
            self.show_words(None)
        self.log.setText("Show log" if self.words.isHidden() else "Hide log")

    def _mend(self) -> None:
        if (config := self.mended_config) is not None:
            self.mended.emit(config)
