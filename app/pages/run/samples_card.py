"""What the model writes: the first sample of a prompt beside one of a later step."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout

from app.state.live_run import LiveRun
from app.theme import Theme
from app.widgets.button import Button
from app.widgets.card import Card
from app.widgets.combo import Combo
from app.widgets.label import Label
from core import figures
from core.events import Sampled


class SamplesCard(Card):
    """Shows the latest step until a person chooses another one."""

    def __init__(self, theme: Theme) -> None:
        super().__init__("Samples", " ")
        self._live: LiveRun | None = None
        self._prompts: list[str] = []
        self._prompt = 0
        self._step: int | None = None
        self._num_seen = -1
        self.steps = Combo()
        self.steps.setAccessibleName("Step of the right-hand sample")
        self.steps.activated.connect(self._choose_step)
        self.before = Button("", "icon", tip="Previous prompt").set_icon(theme, "chevron-left")
        self.after = Button("", "icon", tip="Next prompt").set_icon(theme, "chevron-right")
        self.place = Label("", "secondary")
        self.before.clicked.connect(lambda: self._turn(-1))
        self.after.clicked.connect(lambda: self._turn(1))
        for widget in (self.before, self.place, self.after, self.steps):
            self.add_to_header(widget)
        self.first, self.latest = _Side(), _Side()
        self.first.text.set_tone("secondary")
        self.sides = QHBoxLayout()
        self.sides.setSpacing(24)
        self.sides.addLayout(self.first, 1)
        self.sides.addLayout(self.latest, 1)
        self.body.addLayout(self.sides)
        self.nothing = Label("", "secondary", wrap=True)
        self.body.addWidget(self.nothing)

    def follow(self, live: LiveRun) -> None:
        self._live, self._prompt, self._step, self._num_seen = live, 0, None, -1
        self.refresh()

    def refresh(self) -> None:
        live = self._live
        if live is None or len(live.samples) == self._num_seen:
            return
        self._num_seen = len(live.samples)
        self._prompts = list(dict.fromkeys(sample.prompt for sample in live.samples))
        self._prompt = min(self._prompt, max(0, len(self._prompts) - 1))
        self._show()

    def _of_prompt(self) -> list[Sampled]:
        if self._live is None or not self._prompts:
            return []
        prompt = self._prompts[self._prompt]
        return [sample for sample in self._live.samples if sample.prompt == prompt]

    def _show(self) -> None:
        samples = self._of_prompt()
        self._show_controls(samples)
        for widget in (self.first.head, self.first.text, self.latest.head, self.latest.text):
            widget.setVisible(bool(samples))
        self.nothing.setVisible(not samples)
        if not samples:
            self.set_summary("")
            self.nothing.setText(self._why_none())
            return
        self.set_summary(f"“{' '.join(self._prompts[self._prompt].split())}”")
        first = samples[0]
        chosen = next((sample for sample in samples if sample.step == self._step), samples[-1])
        self.first.show_sample(first)
        self.latest.show_sample(chosen if len(samples) > 1 else None)

    def _show_controls(self, samples: list[Sampled]) -> None:
        num = len(self._prompts)
        for widget in (self.before, self.place, self.after):
            widget.setVisible(num > 1)
        self.place.setText(f"{self._prompt + 1} of {num}")
        later = samples[1:]
        self.steps.setVisible(len(later) > 1)
        wanted = [("latest", None), *((f"step {figures.whole(s.step)}", s.step) for s in reversed(later))]
        if [self.steps.itemData(i) for i in range(self.steps.count())] != [value for _, value in wanted]:
            self.steps.clear()
            for text, value in wanted:
                self.steps.addItem(text, value)
        self.steps.pick(self._step)

    def _why_none(self) -> str:
        if self._live is not None and self._live.state == "live":
            return "Held-out prompts are answered at each evaluation, so that you can read along. Sample now asks at once."  # noqa: E501
        return "This run has answered no prompts."

    def _choose_step(self, index: int) -> None:
        self._step = self.steps.itemData(index)
        self._show()

    def _turn(self, by: int) -> None:
        self._prompt = (self._prompt + by) % max(1, len(self._prompts))
        self._show()


class _Side(QVBoxLayout):
    """One sample under its step."""

    def __init__(self) -> None:
        super().__init__()
        self.setSpacing(6)
        self.head = Label("", "caption")
        self.text = Label("", wrap=True)
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.text.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.text.setMinimumHeight(64)
        self.text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.MinimumExpanding)
        self.addWidget(self.head)
        self.addWidget(self.text, 1)

    def show_sample(self, sample: Sampled | None) -> None:
        self.head.setText(f"Step {figures.whole(sample.step)}" if sample else "")
        self.text.setText(sample.text if sample else "")
