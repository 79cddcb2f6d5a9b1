"""What stands on a plot beside its curves: levels across it, the present, the best point, the crosshair."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyqtgraph as pg
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QPen
from PySide6.QtWidgets import QGraphicsRectItem

from app.theme import Theme, sized

Place = tuple[float, float]
"""A position in steps and in seconds."""


@dataclass(frozen=True)
class Best:
    """A point to be marked and the words beside it."""

    at: Place
    value: float
    words: str


class Marks:
    """Lives on one view box. `place` puts everything where it belongs for what is shown."""

    def __init__(self, box: pg.ViewBox, theme: Theme) -> None:
        self._box, self._theme = box, theme
        self.levels: dict[str, float] = {}
        """Values of the lines across the plot, by the words on them."""
        self.now: Place | None = None
        """Where a live run stands."""
        self.best: Best | None = None
        self._lines: dict[str, tuple[pg.InfiniteLine, pg.TextItem]] = {}
        self._cross = pg.InfiniteLine(angle=90)
        self._now = pg.InfiniteLine(angle=90)
        self._now_words = pg.TextItem("now", anchor=(0, 0))
        self._point = pg.ScatterPlotItem(size=8, pxMode=True)
        self._words = pg.TextItem()
        self._selection = QGraphicsRectItem()
        for item in (self._cross, self._now, self._now_words, self._point, self._words, self._selection):
            item.setZValue(20)
            item.setVisible(False)
            box.addItem(item, ignoreBounds=True)

    def set_level(self, name: str, value: float | None, words: str = "") -> None:
        """A line across the plot with words on it; None removes it."""
        if value is None:
            self.levels.pop(name, None)
            for item in self._lines.pop(name, ()):
                self._box.removeItem(item)
            return
        if name not in self._lines:
            self._lines[name] = pg.InfiniteLine(angle=0), pg.TextItem(anchor=(1, 1))
            for item in self._lines[name]:
                self._box.addItem(item, ignoreBounds=True)
            self.repaint()
        self.levels[name] = value
        self._lines[name][1].setText(words or name)

    def place(self, left: float, right: float, *, is_time: bool, height: Callable[[float], float]) -> None:
        """`height` turns a value into a height on the plot."""
        for name, value in self.levels.items():
            line, words = self._lines[name]
            line.setValue(height(value))
            words.setPos(right, height(value))
        self._place_now(left, right, is_time)
        is_seen = self.best is not None and left <= self.best.at[is_time] <= right
        for item in (self._point, self._words):
            item.setVisible(is_seen)
        if self.best is not None and is_seen:
            x, y = self.best.at[is_time], height(self.best.value)
            self._point.setData([x], [y])
            self._words.setText(self.best.words)
            self._words.setAnchor((0 if x - left < (right - left) * 0.15 else 1, 1.2))
            self._words.setPos(x, y)

    def _place_now(self, left: float, right: float, is_time: bool) -> None:
        is_seen = self.now is not None and left <= self.now[is_time] <= right
        for item in (self._now, self._now_words):
            item.setVisible(is_seen)
        if self.now is not None and is_seen:
            x, (_, top) = self.now[is_time], self._box.viewRange()[1]
            self._now.setValue(x)
            self._now_words.setAnchor((1 if right - x < (right - left) * 0.06 else 0, 0))
            self._now_words.setPos(x, top)

    def cross(self, at: float | None) -> None:
        """Show the crosshair there, or hide it."""
        self._cross.setVisible(at is not None)
        if at is not None:
            self._cross.setValue(at)

    def select(self, area: QRectF | None) -> None:
        """Show the stretch that is being chosen, or hide it."""
        self._selection.setVisible(area is not None)
        if area is not None:
            self._selection.setRect(area)

    def repaint(self) -> None:
        """Take the theme's colours."""
        secondary, faint = self._theme.color("secondary"), self._theme.color("faint")
        self._cross.setPen(pen(self._theme.color("strong_line"), 1))
        self._now.setPen(pen(faint, 1, Qt.PenStyle.DotLine))
        for line, words in self._lines.values():
            line.setPen(pen(secondary, 1, Qt.PenStyle.DashLine))
            words.setColor(secondary)
            words.setFont(sized(11))
        self._now_words.setColor(secondary)
        self._now_words.setFont(sized(11))
        self._now_words.fill = pg.mkBrush(self._theme.color("card"))  # a gridline may run behind
        best = QColor(self._theme.tokens.curves[1])
        self._point.setPen(pen(self._theme.color("card"), 1.5))
        self._point.setBrush(best)
        self._words.setColor(best)
        self._words.setFont(sized(11))
        wash = self._theme.color("accent")
        wash.setAlpha(40)
        self._selection.setBrush(wash)
        self._selection.setPen(QPen(Qt.PenStyle.NoPen))


def pen(color: QColor, width: float, style: Qt.PenStyle = Qt.PenStyle.SolidLine) -> QPen:
    """A pen whose width is in pixels whatever the scale of the plot."""
    made = QPen(color, width, style)
    made.setCosmetic(True)
    # Round caps would cost ten times as much: curves are drawn segment by segment.
    made.setCapStyle(Qt.PenCapStyle.SquareCap if style == Qt.PenStyle.SolidLine else Qt.PenCapStyle.FlatCap)
    return made
