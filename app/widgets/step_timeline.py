"""The memory of one optimizer step and an evaluation from left to right, each phase in its colour.

What stands all the time is a band at the foot, not to scale: above it is what comes and goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QMouseEvent, QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QToolTip, QWidget

from app.theme import Theme, sized
from core.figures import size

if TYPE_CHECKING:
    from core.memory.rehearsal import Point

PHASES = {
    "forward": ("forward", "activations"), "head": ("head", "head_and_loss"),
    "backward": ("backward", "recompute"), "step": ("step", "optimizer"),
    "evaluation": ("evaluation", "workspace"),
}  # fmt: skip
"""Name of a phase and the segment of the memory bar whose colour it has."""
FOOT, HEAD, BAND = 20.0, 22.0, 22.0
NARROW = 34.0


class StepTimeline(QWidget):
    """`show_points` draws; hovering tells the amount and the phase under the mouse."""

    def __init__(self, theme: Theme, height: int = 190) -> None:
        super().__init__()
        self._theme = theme
        self._points: list[Point] = []
        self._stretches: list[tuple[str, int, int]] = []
        self.setFixedHeight(height)
        self.setMouseTracking(True)
        self.setAccessibleName("Memory over one step")
        theme.changed.connect(self.update)

    @property
    def stretches(self) -> list[tuple[str, int, int]]:
        """The phases as drawn: name, first point, and the point after the last."""
        return self._stretches

    def show_points(self, points: list[Point]) -> None:
        self._points, self._stretches = points, []
        for number, point in enumerate(points):
            if self._stretches and self._stretches[-1][0] == point.phase:
                self._stretches[-1] = (point.phase, self._stretches[-1][1], number + 1)
            else:
                self._stretches.append((point.phase, number, number + 1))
        peak = max(points, key=lambda point: point.num_bytes, default=None)
        self.setAccessibleDescription(f"Peak {size(peak.num_bytes)} in the {peak.phase} phase" if peak else "")
        self.update()

    def _x(self, number: int) -> float:
        """Where a point begins; the end of the widget for the one after the last."""
        return self.width() * (self._points[number].at if number < len(self._points) else 1.0)

    @property
    def standing_bytes(self) -> int:
        """What is alive all the time."""
        return min((point.num_bytes for point in self._points), default=0)

    def _y(self, num_bytes: int) -> float:
        most, least = max(point.num_bytes for point in self._points), self.standing_bytes
        share = (num_bytes - least) / max(1, most - least)
        return HEAD + (1 - share) * (self.height() - HEAD - FOOT - BAND)

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self._points:
            return
        tokens, painter = self._theme.tokens, QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        foot = self.height() - FOOT - BAND
        for phase, first, end in self._stretches:
            path = QPainterPath(QPointF(self._x(first), foot))
            for number in range(first, end):
                y = self._y(self._points[number].num_bytes)
                path.lineTo(self._x(number), y)
                path.lineTo(self._x(number + 1), y)
            path.lineTo(self._x(end), foot)
            path.closeSubpath()
            color = QColor(tokens.segments[PHASES.get(phase, PHASES["forward"])[1]])
            painter.fillPath(path, color)
        band = QRectF(0, foot, self.width(), BAND)
        painter.fillRect(band, QColor(tokens.segments["weights"]))
        painter.setPen(QPen(QColor(tokens.card), 1))
        painter.drawLine(QLineF(0, foot + 0.5, self.width(), foot + 0.5))
        painter.setPen(QColor("#FFFFFF"))  # on the band, which is dark in both schemes
        painter.setFont(sized(11))
        words = f"stands all the time: {size(self.standing_bytes)}"
        painter.drawText(band.adjusted(8, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, words)
        self._paint_names(painter, foot + BAND)
        self._paint_peak(painter)

    def _paint_names(self, painter: QPainter, foot: float) -> None:
        painter.setFont(sized(11))
        painter.setPen(QColor(self._theme.tokens.secondary))
        for phase, first, end in self._stretches:
            left, width = self._x(first), self._x(end) - self._x(first)
            name = PHASES.get(phase, (phase, ""))[0]
            if width >= max(NARROW, painter.fontMetrics().horizontalAdvance(name) + 4):
                painter.drawText(QRectF(left, foot + 4, width, FOOT - 4), Qt.AlignmentFlag.AlignHCenter, name)

    def _paint_peak(self, painter: QPainter) -> None:
        tokens = self._theme.tokens
        number = max(range(len(self._points)), key=lambda index: self._points[index].num_bytes)
        x, y = (self._x(number) + self._x(number + 1)) / 2, self._y(self._points[number].num_bytes)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(tokens.text))
        painter.drawEllipse(QPointF(x, y), 3, 3)
        painter.setFont(sized(11, QFont.Weight.DemiBold))
        painter.setPen(QColor(tokens.text))
        words = f"peak {size(self._points[number].num_bytes)}"
        width = painter.fontMetrics().horizontalAdvance(words)
        left = min(max(0.0, x - width / 2), self.width() - width)
        painter.drawText(QPointF(left, y - 7), words)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if not self._points:
            return
        share = event.position().x() / max(1, self.width())
        point = next((one for one in reversed(self._points) if one.at <= share), self._points[0])
        words = f"{size(point.num_bytes)}, {PHASES.get(point.phase, (point.phase, ''))[0]}"
        QToolTip.showText(event.globalPosition().toPoint(), words, self)

    def leaveEvent(self, event: QEvent) -> None:
        QToolTip.hideText()
