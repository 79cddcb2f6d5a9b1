"""Names above their values, side by side."""

from __future__ import annotations

from PySide6.QtWidgets import QGridLayout, QWidget

from app.widgets.label import ElidedLabel, Label


class Pairs(QWidget):
    """`show_pairs` fills it; all pairs get the same width."""

    def __init__(self) -> None:
        super().__init__()
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(16)
        self._grid.setVerticalSpacing(2)
        self._labels: list[tuple[Label, ElidedLabel]] = []

    def show_pairs(self, pairs: list[tuple[str, str]]) -> None:
        while len(self._labels) < len(pairs):
            column = len(self._labels)
            labels = Label("", "small"), ElidedLabel("")
            for row, label in enumerate(labels):
                self._grid.addWidget(label, row, column)
            self._grid.setColumnStretch(column, 1)
            self._labels.append(labels)
        for index, (name, value) in enumerate(self._labels):
            shown = pairs[index] if index < len(pairs) else ("", "")
            name.setText(shown[0])
            value.setText(shown[1])
