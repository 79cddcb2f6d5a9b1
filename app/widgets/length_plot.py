"""Rows by their length in tokens, as bars, with the length limit as a line that can be dragged."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from app.theme import Theme, sized
from core.data.lengths import Lengths
from core.figures import whole

LEFT, RIGHT, TOP, BOTTOM = 2.0, 12.0, 22.0, 18.0
BAR, GAP = 7.0, 1.5
GRIP = 8.0
SHORTEST = 8


class LengthPlot(QWidget):
    """`limit_moved` carries the limit in tokens while the line is dragged or moved by arrow keys."""

    limit_moved = Signal(int)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._lengths: Lengths | None = None
        self._limit = 512
        self._upto = 0
        self._is_dragged = False
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName("Lengths of rows; arrow keys move the length limit")
        theme.changed.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(600, 120)

    @property
    def limit(self) -> int:
        return self._limit

    def show_lengths(self, lengths: Lengths | None, limit: int) -> None:
        """Show these lengths, and the line at this limit."""
        self._lengths, self._limit = lengths, limit
        if not self._is_dragged and lengths is not None:
            longest = max(lengths.longest, SHORTEST)
            self._upto = round(max(longest, min(limit, longest * 1.6)) * 1.06) + 1
        self.setAccessibleDescription(lengths.cut_in_words(limit) if lengths is not None else "")
        self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self._lengths is not None:
            self._is_dragged = True
            self._move_to(event.position().x())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._is_dragged:
            self._move_to(event.position().x())
            return
        near = abs(event.position().x() - self._x(self._limit)) < GRIP
        self.setCursor(Qt.CursorShape.SizeHorCursor if near else Qt.CursorShape.ArrowCursor)
        if self._lengths is not None:
            QToolTip.showText(event.globalPosition().toPoint(), self._words_at(event.position().x()), self)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._is_dragged = False
        self.show_lengths(self._lengths, self._limit)

    def leaveEvent(self, event: QEvent) -> None:
        QToolTip.hideText()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        steps = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1, Qt.Key.Key_PageDown: -8, Qt.Key.Key_PageUp: 8}
        if self._lengths is not None and (step := steps.get(Qt.Key(event.key()))):
            self._set_limit(self._limit + step * self._grain)
        else:
            super().keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._lengths is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(sized(11))
        self._paint_axis(painter)
        self._paint_bars(painter, self._lengths)
        self._paint_limit(painter)

    # Where things go

    @property
    def _span(self) -> float:
        return max(1.0, self.width() - LEFT - RIGHT)

    @property
    def _grain(self) -> int:
        """Limits are moved by a power of two, about two pixels wide."""
        return max(1, 2 ** int(np.log2(max(1.0, self._upto / self._span * 2))))

    def _x(self, tokens: float) -> float:
        return LEFT + min(1.0, tokens / max(1, self._upto)) * self._span

    def _tokens(self, x: float) -> float:
        return max(0.0, (x - LEFT) / self._span) * self._upto

    def _bins(self) -> tuple[int, np.ndarray]:
        assert self._lengths is not None
        number = max(1, min(int(self._span / (BAR + GAP)), self._upto))
        return number, self._lengths.histogram(number, self._upto)

    def _move_to(self, x: float) -> None:
        self._set_limit(round(self._tokens(x) / self._grain) * self._grain)

    def _set_limit(self, limit: int) -> None:
        limit = max(SHORTEST, limit)
        if limit != self._limit:
            self.show_lengths(self._lengths, limit)
            self.limit_moved.emit(limit)

    def _words_at(self, x: float) -> str:
        number, bars = self._bins()
        place = min(number - 1, int(self._tokens(x) / self._upto * number))
        first, last = place * self._upto // number + 1, (place + 1) * self._upto // number
        return f"{whole(first)} to {whole(max(first, last))} tokens: {whole(bars[place])} rows"

    # Painting

    def _paint_axis(self, painter: QPainter) -> None:
        base = self.height() - BOTTOM
        painter.setPen(QPen(self._theme.color("line"), 1))
        painter.drawLine(QPointF(LEFT, base + 0.5), QPointF(LEFT + self._span, base + 0.5))
        painter.setPen(self._theme.color("secondary"))
        step = _round_step(self._upto / 6)
        for value in range(0, self._upto + 1, step):
            place = QRectF(self._x(value) - 40, base + 3, 80, BOTTOM - 3)
            side = Qt.AlignmentFlag.AlignHCenter
            if value == 0:
                place, side = QRectF(LEFT, base + 3, 80, BOTTOM - 3), Qt.AlignmentFlag.AlignLeft
            if place.right() <= self.width() + 30:
                painter.drawText(place, side | Qt.AlignmentFlag.AlignTop, whole(value))

    def _paint_bars(self, painter: QPainter, lengths: Lengths) -> None:
        number, bars = self._bins()
        most = max(1.0, float(bars.max(initial=0)))
        base, high = self.height() - BOTTOM, self.height() - BOTTOM - TOP
        painter.setPen(Qt.PenStyle.NoPen)
        limit = self._x(self._limit) if not lengths.is_split else float(self.width())
        kept, cut = QColor(self._theme.tokens.segments["constants"]), self._theme.color("no")
        for place in np.flatnonzero(bars):
            left, right = (self._x(edge * self._upto / number) for edge in (place, place + 1))
            tall = max(1.5, bars[place] / most * high)
            bar = QRectF(left, base - tall, max(1.0, right - left - GAP), tall)
            painter.fillRect(bar, kept)
            if bar.right() > limit:
                painter.fillRect(bar.intersected(QRectF(limit, 0, self.width(), self.height())), cut)

    def _paint_limit(self, painter: QPainter) -> None:
        x, base = self._x(self._limit), self.height() - BOTTOM
        color = self._theme.color("accent" if self.hasFocus() or self._is_dragged else "text")
        painter.setPen(QPen(color, 1.5, Qt.PenStyle.SolidLine))
        painter.drawLine(QPointF(x, TOP - 4), QPointF(x, base))
        words = f"limit {whole(self._limit)}" + (" →" if self._limit > self._upto else "")
        wide = painter.fontMetrics().horizontalAdvance(words) + 14
        left = min(max(LEFT, x - wide / 2), self.width() - wide - 1)
        handle = QRectF(left, 1, wide, TOP - 5)
        painter.setBrush(self._theme.color("card"))
        painter.drawRoundedRect(handle.adjusted(0.5, 0.5, -0.5, -0.5), 4, 4)
        painter.setPen(self._theme.color("text"))
        painter.drawText(handle, Qt.AlignmentFlag.AlignCenter, words)


def _round_step(least: float) -> int:
    """The smallest of 1, 2, 5, 10, 20, ... that is not below `least`."""
    size = 10 ** int(np.floor(np.log10(max(1.0, least))))
    return next((size * factor for factor in (1, 2, 5, 10) if size * factor >= least), size * 10)
