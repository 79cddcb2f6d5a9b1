"""A thin line in which a piece runs to and fro while something takes its time."""

from __future__ import annotations

import math
import time

from PySide6.QtCore import QRectF, Qt, QTimer
from PySide6.QtGui import QHideEvent, QPainter, QPaintEvent, QShowEvent
from PySide6.QtWidgets import QWidget

from app.theme import Theme

HEIGHT = 3
PERIOD_S = 2.4
FRAME_MS = 33


class LoadingLine(QWidget):
    """Show it while waiting; it moves only while it is visible, and keeps its height while it is still."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._is_running = False
        self._timer = QTimer(self)
        self._timer.setInterval(FRAME_MS)
        self._timer.timeout.connect(self.update)
        self.setFixedHeight(HEIGHT)

    def set_running(self, is_running: bool) -> None:
        self._is_running = is_running
        self._timer.start() if is_running and self.isVisible() else self._timer.stop()
        self.update()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.set_running(self._is_running)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._timer.stop()

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self._is_running:
            return
        painter, width = QPainter(self), self.width()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._theme.color("line"))
        painter.drawRoundedRect(QRectF(0, 0, width, HEIGHT), HEIGHT / 2, HEIGHT / 2)
        piece = width * 0.22
        place = (1 - math.cos(2 * math.pi * time.monotonic() / PERIOD_S)) / 2
        painter.setBrush(self._theme.color("accent"))
        painter.drawRoundedRect(QRectF((width - piece) * place, 0, piece, HEIGHT), HEIGHT / 2, HEIGHT / 2)
