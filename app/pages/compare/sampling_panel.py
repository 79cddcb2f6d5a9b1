"""How answers are chosen: the system prompt, the dice and the longest answer, in a panel under its button."""

from __future__ import annotations

from typing import Any

from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QPlainTextEdit

from app.state.comparison import Comparison
from app.theme import Theme
from app.widgets.button import Button
from app.widgets.field import Field
from app.widgets.label import Label, set_tooltip
from app.widgets.popup import Popup
from app.widgets.switch import Switch
from core.chat import Sampling

NAMES = {
    "temperature": "Temperature",
    "top_p": "Top-p",
    "top_k": "Top-k",
    "repetition_penalty": "Repetition penalty",
    "max_tokens": "Longest answer",
    "seed": "Seed",
}
WIDTH = 360


class SamplingPanel(Popup):
    """Changes take effect with the next question."""

    def __init__(self, comparison: Comparison, theme: Theme) -> None:
        super().__init__(theme, WIDTH)
        self._comparison = comparison
        self.system = QPlainTextEdit(comparison.system)
        self.system.setPlaceholderText("Tell the model how to behave; empty leaves it as it was trained.")
        self.system.setAccessibleName("System prompt")
        self.system.setTabChangesFocus(True)
        self.system.setFixedHeight(76)
        self.system.textChanged.connect(self._take_system)
        self.fields = {
            name: Field(f"sampling.{name}", Sampling.model_fields[name], theme, name=title)
            for name, title in NAMES.items()
        }
        grid = QGridLayout()
        grid.setHorizontalSpacing(12)
        grid.setVerticalSpacing(10)
        for place, field in enumerate(self.fields.values()):
            field.edited.connect(self._take)
            grid.addWidget(field, place // 2, place % 2)
            grid.setColumnStretch(place % 2, 1)
        self.template = Switch(theme)
        self.template.setAccessibleName("Chat template")
        set_tooltip(
            self.template, "Off: the model goes on writing your text, without the marks of a conversation."
        )
        self.template.clicked.connect(self._take_template)
        reset = Button("Back to defaults", "link")
        reset.clicked.connect(self._reset)
        foot = QHBoxLayout()
        foot.addStretch(1)
        foot.addWidget(reset)
        self.body.setSpacing(8)
        self.body.addWidget(Label("System prompt", "small"))
        self.body.addWidget(self.system)
        self.body.addSpacing(4)
        self.body.addLayout(grid)
        self.body.addWidget(Label("Chat template", "small"))
        self.body.addWidget(self.template)
        self.body.addLayout(foot)
        comparison.state_changed.connect(self._show)
        self._show()

    def _take(self, path: str, value: Any) -> None:
        name = path.rpartition(".")[2]
        try:
            self._comparison.set_sampling(**{name: value})
        except ValueError:
            limits = getattr(self.fields[name].editor, "limits", None)
            between = f" between {limits.low:g} and {limits.high:g}" if limits else ""
            self.fields[name].show_error(f"Give a number{between}.")

    def _take_system(self) -> None:
        self._comparison.system = self.system.toPlainText()

    def _take_template(self) -> None:
        self._comparison.uses_template = self.template.isChecked()

    def _reset(self) -> None:
        self.system.clear()
        self._comparison.uses_template = True
        self._comparison.set_sampling(**self._comparison.usual_sampling.model_dump())

    def _show(self) -> None:
        sampling, defaults = self._comparison.sampling, self._comparison.usual_sampling
        for name, field in self.fields.items():
            field.show_values({f"sampling.{name}": getattr(sampling, name)}, is_changed=False)
        self.template.setChecked(self._comparison.uses_template)
        self.is_changed = sampling != defaults or bool(self._comparison.system)
