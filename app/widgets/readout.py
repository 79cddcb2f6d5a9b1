"""The key of a plot in its corner; under the pointer it names the value of every curve."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from app.theme import Theme, sized

SWATCH, GAP, APART = 14, 6, 14


@dataclass(frozen=True)
class Entry:
    """One curve: its name and, where the pointer is, its value. Alone on a plot it needs no name."""

    name: str
    color: QColor
    is_dashed: bool = False
    value: str = ""


class Readout(QWidget):
    """A single line over the plot; mouse events pass through it."""

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._theme = theme
        self._heading = ""
        self._entries: list[Entry] = []

    def show_entries(self, heading: str, entries: list[Entry]) -> None:
        if (heading, entries) != (self._heading, self._entries):
            self._heading, self._entries = heading, entries
            self.resize(self.sizeHint())
            self.update()

    @property
    def text(self) -> str:
        """What it says, for those who listen rather than look."""
        words = [f"{entry.name} {entry.value}".strip() for entry in self._entries]
        return ", ".join([self._heading, *words] if self._heading else words)

    def sizeHint(self) -> QSize:
        return QSize(round(sum(width for _, width in self._parts()) + 12), 20)

    def _parts(self) -> list[tuple[Entry | None, float]]:
        plain, strong = QFontMetricsF(sized(11)), QFontMetricsF(sized(11, QFont.Weight.DemiBold))
        parts: list[tuple[Entry | None, float]] = []
        if self._heading:
            parts.append((None, plain.horizontalAdvance(self._heading) + APART))
        for entry in self._entries:
            width = SWATCH + GAP + plain.horizontalAdvance(entry.name) if entry.name else 0.0
            if entry.value:
                width += (GAP if entry.name else 0) + strong.horizontalAdvance(entry.value)
            parts.append((entry, width + APART))
        return parts

    def paintEvent(self, event: QPaintEvent) -> None:
        tokens, painter = self._theme.tokens, QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        back = QColor(tokens.card)
        back.setAlpha(225)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(back)
        painter.drawRoundedRect(self.rect(), 4, 4)
        x = 6.0
        for entry, width in self._parts():
            if entry is None:
                self._write(painter, x, self._heading, QColor(tokens.secondary), QFont.Weight.Normal)
            else:
                self._paint_entry(painter, x, entry)
            x += width

    def _paint_entry(self, painter: QPainter, x: float, entry: Entry) -> None:
        tokens, middle = self._theme.tokens, round(self.height() / 2)
        if entry.name:
            style = Qt.PenStyle.DashLine if entry.is_dashed else Qt.PenStyle.SolidLine
            painter.setPen(QPen(entry.color, 2, style))
            painter.drawLine(round(x), middle, round(x + SWATCH), middle)
            x = (
                self._write(painter, x + SWATCH + GAP, entry.name, QColor(tokens.secondary), QFont.Weight.Normal)
                + GAP
            )
        if entry.value:
            self._write(painter, x, entry.value, QColor(tokens.text), QFont.Weight.DemiBold)

    def _write(self, painter: QPainter, x: float, text: str, color: QColor, weight: QFont.Weight) -> float:
        font = sized(11, weight)
        width = QFontMetricsF(font).horizontalAdvance(text)
        painter.setFont(font)
        painter.setPen(color)
        painter.drawText(QRectF(x, 0, width + 2, self.height()), Qt.AlignmentFlag.AlignVCenter, text)
        return x + width
