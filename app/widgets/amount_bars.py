"""Amounts of memory under each other: a name, a bar by its share of the largest, the amount."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from app.theme import Theme, sized
from core.figures import size

ROW = 22
AMOUNT_WIDTH = 84
BAR_HEIGHT = 8


@dataclass(frozen=True)
class Amount:
    """`color` is a token of the theme or a part of the estimate; `is_strong` sets the name in bold."""

    name: str
    num_bytes: int
    color: str
    is_strong: bool = False


class AmountBars(QWidget):
    """The names share a column of `name_width` pixels."""

    def __init__(self, theme: Theme, name_width: int = 130) -> None:
        super().__init__()
        self._theme, self._name_width = theme, name_width
        self.amounts: tuple[Amount, ...] = ()
        theme.changed.connect(self.update)

    def show_amounts(self, amounts: Sequence[Amount]) -> None:
        self.amounts = tuple(amounts)
        self.setFixedHeight(ROW * len(amounts))
        self.setAccessibleDescription(", ".join(f"{one.name} {size(one.num_bytes)}" for one in amounts))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        tokens, painter = self._theme.tokens, QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        middle = Qt.AlignmentFlag.AlignVCenter
        most = max((one.num_bytes for one in self.amounts), default=0) or 1
        room = self.width() - self._name_width - AMOUNT_WIDTH
        for index, one in enumerate(self.amounts):
            row = QRectF(0, index * ROW, self.width(), ROW)
            painter.setFont(sized(12, QFont.Weight.DemiBold if one.is_strong else QFont.Weight.Normal))
            painter.setPen(QColor(tokens.text))
            painter.drawText(row, middle, one.name)
            painter.setFont(sized(12, QFont.Weight.DemiBold))
            painter.drawText(row, middle | Qt.AlignmentFlag.AlignRight, size(one.num_bytes))
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(tokens.segments.get(one.color) or self._theme.color(one.color)))
            wide, top = max(2.0, room * one.num_bytes / most), row.center().y() - BAR_HEIGHT / 2
            painter.drawRoundedRect(QRectF(self._name_width, top, wide, BAR_HEIGHT), 2, 2)
