"""Places one to six columns: in one row while they are wide enough to read, else in two."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRect, QSize
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QWidget

GAP = 12
NARROWEST = 222
"""A row of four or more columns narrower than this becomes two rows."""
WIDEST = 900
"""A column that stands alone is no wider than this, since long lines are hard to read."""


class ColumnsGrid(QWidget):
    """`show_columns` takes the widgets in order and keeps those that it had."""

    def __init__(self) -> None:
        super().__init__()
        self._columns: list[QWidget] = []

    def show_columns(self, columns: Sequence[QWidget]) -> None:
        for widget in self._columns:
            if widget not in columns:
                widget.hide()
                widget.deleteLater()
        self._columns = list(columns)
        for widget in columns:
            widget.setParent(self)
            widget.show()
        self._place()

    def minimumSizeHint(self) -> QSize:
        return QSize(480, 240)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place()

    def _place(self) -> None:
        for widget, area in zip(self._columns, areas(len(self._columns), self.size()), strict=True):
            widget.setGeometry(area)


def areas(num: int, room: QSize) -> list[QRect]:
    """Where each of `num` columns stands; rows of unequal number fill the width alike."""
    rows = num_rows(num, room.width())
    per_row = -(-num // rows) if num else 0
    height = (room.height() - GAP * (rows - 1)) / rows
    found = []
    for row in range(rows):
        in_row = min(per_row, num - row * per_row)
        whole = min(room.width(), WIDEST) if num == 1 else room.width()
        left = (room.width() - whole) / 2
        for place in range(in_row):
            start = round(left + place * (whole + GAP) / in_row)
            end = round(left + (place + 1) * (whole + GAP) / in_row - GAP)
            found.append(QRect(start, round(row * (height + GAP)), end - start, round(height)))
    return found


def num_rows(num_columns: int, width: int) -> int:
    """One row where each column gets a readable width, else two."""
    share = (width - GAP * (num_columns - 1)) / max(num_columns, 1)
    return 1 if share >= NARROWEST or num_columns < 4 else 2
