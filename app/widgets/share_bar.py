"""A thin bar in two parts, such as what is trained and what is held out."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPainterPath, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.theme import Theme

HEIGHT, GAP = 10, 2
LEAST = 4.0


class ShareBar(QWidget):
    """`show_share` with the share of the second part."""

    def __init__(self, theme: Theme, first: str = "fits", second: str = "accent") -> None:
        super().__init__()
        self._theme, self._colors, self._share = theme, (first, second), 0.0
        self.setFixedHeight(HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme.changed.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(200, HEIGHT)

    @property
    def share(self) -> float:
        return self._share

    def show_share(self, share: float) -> None:
        self._share = min(max(share, 0.0), 1.0)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area = QRectF(self.rect())
        outline = QPainterPath()
        outline.addRoundedRect(area, HEIGHT / 2, HEIGHT / 2)
        painter.setClipPath(outline)
        painter.setPen(Qt.PenStyle.NoPen)
        wide = max(LEAST, area.width() * self._share) if self._share else 0.0
        painter.fillRect(QRectF(0, 0, area.width() - wide - (GAP if wide else 0), HEIGHT),
                         self._theme.color(self._colors[0]))  # fmt: skip
        painter.fillRect(QRectF(area.width() - wide, 0, wide, HEIGHT), self._theme.color(self._colors[1]))
