"""A row of flat tabs, each with an optional count."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QWidget

from app.widgets.button import Button
from app.widgets.label import set_tooltip
from core.figures import whole


class Tabs(QWidget):
    """`chosen` carries the index of the tab a person pressed."""

    chosen = Signal(int)

    def __init__(self, titles: list[str]) -> None:
        super().__init__()
        self._titles = titles
        self._group = QButtonGroup(self)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(16)
        self.buttons: list[Button] = []
        for index, title in enumerate(titles):
            button = Button(title, "tab")
            button.setCheckable(True)
            self._group.addButton(button, index)
            self.buttons.append(button)
            row.addWidget(button)
        self.buttons[0].setChecked(True)
        self._group.idClicked.connect(self.chosen)

    def choose(self, index: int) -> None:
        """Open a tab as if it had been pressed."""
        if not self.buttons[index].isChecked():
            self.buttons[index].setChecked(True)
            self.chosen.emit(index)

    def enable_only(self, index: int | None, why: str = "") -> None:
        """Let a person open no other tab than this, and say why; None lets them open all."""
        for place, button in enumerate(self.buttons):
            button.setEnabled(index is None or place == index)
            set_tooltip(button, "" if button.isEnabled() else why)

    def set_count(self, index: int, number: int) -> None:
        """A number after the title; 0 removes it."""
        self.buttons[index].setText(f"{self._titles[index]}  {whole(number)}" if number else self._titles[index])
