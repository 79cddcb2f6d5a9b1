"""A switch in the frame of a field: the word On or Off at the left, the knob at the right."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractButton, QSizePolicy

from app.theme import CONTROL_HEIGHT, CONTROL_RADIUS, Theme


class Switch(QAbstractButton):
    """Checkable; the whole field is the target."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self.setCheckable(True)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        theme.changed.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(96, CONTROL_HEIGHT)

    def paintEvent(self, event: QPaintEvent) -> None:
        tokens, painter = self._theme.tokens, QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        focused, alive = self.hasFocus(), self.isEnabled()
        inset = 1.0 if focused else 0.5
        edge = tokens.accent if focused else tokens.strong_line if self.underMouse() and alive else tokens.line
        painter.setPen(QPen(QColor(edge), 2 if focused else 1))
        painter.setBrush(QColor(tokens.field if alive else tokens.card))
        painter.drawRoundedRect(
            QRectF(self.rect()).adjusted(inset, inset, -inset, -inset), CONTROL_RADIUS, CONTROL_RADIUS
        )
        painter.setPen(QColor(tokens.text if alive else tokens.faint))
        words = self.text() or ("On" if self.isChecked() else "Off")
        painter.drawText(self.rect().adjusted(10, 0, -48, 0), Qt.AlignmentFlag.AlignVCenter, words)
        track = QRectF(self.width() - 40, self.height() / 2 - 8, 30, 16)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(tokens.accent if self.isChecked() and alive else tokens.strong_line))
        painter.drawRoundedRect(track, 8, 8)
        knob = QRectF(track.right() - 14 if self.isChecked() else track.left() + 2, track.top() + 2, 12, 12)
        painter.setBrush(QColor(tokens.on_accent if self.isChecked() else tokens.card))
        painter.drawEllipse(knob)
