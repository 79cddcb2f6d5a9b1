"""The head of a run's page: its name, what becomes of it, how far it is, and what one can ask of it."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QVBoxLayout, QWidget

from app.state.live_run import LiveRun
from app.theme import Theme, restyle
from app.widgets.button import Button
from app.widgets.label import ElidedLabel, Label, set_tooltip
from app.widgets.run_words import method_name, model_name, state_tone, state_word
from core import figures
from core.errors import HoneError


class RunHeader(QWidget):
    """`show_run` with the run's state after each change; the signals are the buttons."""

    back_pressed = Signal()
    sample_pressed = Signal()
    save_pressed = Signal()
    compare_pressed = Signal()
    stop_pressed = Signal()
    resume_pressed = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.back = Button("", "icon", tip="All runs (Esc)", name="All runs").set_icon(theme, "arrow-left")
        self.name = ElidedLabel("", "title")
        self.pill = Label("", "pill")
        self.facts = ElidedLabel("", "secondary")
        self.sample = Button("Sample now", tip="Answer the sample prompts after this step")
        self.save = Button("Save now", tip="Write a checkpoint after this step")
        self.compare = Button("Compare", tip="Talk to this run beside its base model")
        self.stop = Button("Stop", "danger")
        self.resume = Button("Resume", "primary", tip="Go on from the newest checkpoint")
        self.progress = QProgressBar()
        self.progress.setAccessibleName("Progress of the run")
        self.progress.setRange(0, 1000)
        self.progress.setTextVisible(False)
        for button, signal in (
            (self.back, self.back_pressed),
            (self.sample, self.sample_pressed),
            (self.save, self.save_pressed),
            (self.compare, self.compare_pressed),
            (self.stop, self.stop_pressed),
            (self.resume, self.resume_pressed),
        ):
            button.clicked.connect(lambda _=False, signal=signal: signal.emit())
        row = QHBoxLayout()
        row.setSpacing(12)
        row.addWidget(self.back)
        row.addWidget(self.name)
        row.addWidget(self.pill)
        row.addWidget(self.facts, 1)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        for button in (self.sample, self.save, self.compare, self.stop, self.resume):
            buttons.addWidget(button)
        row.addLayout(buttons)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(14)
        column.addLayout(row)
        column.addWidget(self.progress)

    def show_run(self, live: LiveRun) -> None:
        is_live = live.state == "live"
        self.name.setText(live.run.name)
        word, tone = pill_of(live)
        self.pill.setText(f"● {word}")
        self.pill.set_tone(tone)
        self.facts.setText(facts_of(live))
        for button in (self.sample, self.save, self.stop):
            button.setVisible(is_live)
        self.stop.setText("Stop at once" if live.is_asked_to_stop else "Stop")
        set_tooltip(
            self.stop,
            "End the worker now; what it did since its last checkpoint is done again on Resume"
            if live.is_asked_to_stop
            else "Finish this step, save and end; Resume goes on from there",
        )
        # What went wrong has a banner of its own, with Resume in it.
        self.resume.setVisible(
            live.can_resume and live.state in ("stopped", "new") and not live.has_failed_to_start
        )
        self.resume.setText("Start" if live.state == "new" else "Resume")
        self.compare.setVisible(live.can_compare)
        restyle(self.compare, kind="primary" if live.state in ("done", "early") else "")
        total, step = live.history.total_steps, live.history.step
        self.progress.setVisible(is_live or live.is_starting)
        self.progress.setValue(round(1000 * step / total) if total else 0)


def pill_of(live: LiveRun) -> tuple[str, str]:
    """The word for the state, finer while the run is live, and its tone."""
    if not live.is_loaded:
        return "reading", "secondary"
    if live.is_starting:
        return "starting", "accent"
    if live.state == "live":
        if live.is_asked_to_stop:
            return "stopping", "tight"
        if live.history.loss is None or live.history.progress is not None:
            return "loading", "accent"
    return state_word(live.state), state_tone(live.state)


def facts_of(live: LiveRun) -> str:
    """Step, time left, speed, model and method on one line."""
    history, parts = live.history, []
    if history.total_steps:
        parts.append(f"step {figures.whole(history.step)} of {figures.whole(history.total_steps)}")
    left, speed = history.seconds_left, history.tokens_per_second
    if live.state == "live" and left is not None and not live.is_asked_to_stop:
        parts.append(f"{figures.duration(left)} left")
    elif live.state != "live" and history.seconds >= 1:
        parts.append(figures.duration(history.seconds))
    if speed:
        parts.append(f"{figures.whole(speed)} tokens/s")
    try:
        config = live.run.config
    except HoneError:
        return " · ".join(parts)
    return " · ".join([*parts, model_name(config), method_name(config)])
