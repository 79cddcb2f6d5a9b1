"""A chip that names a change and the bytes it moves, the bytes in bold, with a tick when that is enough."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractButton

from app.theme import Theme, sized
from app.widgets.icon import pixmap

HEIGHT, PADDING, GAP, TICK = 26, 11, 6, 12


class SuggestionChip(QAbstractButton):
    """Press it to make the change."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._amount, self._mends, self._theme = "", False, theme
        self._plain, self._bold = sized(12), sized(12, QFont.Weight.DemiBold)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        theme.changed.connect(self.update)

    def show_words(self, title: str, amount: str, mends: bool = False) -> None:
        """`mends` says that with the change the run fits."""
        if (title, amount, mends) != (self.text(), self._amount, self._mends):
            self._amount, self._mends = amount, mends
            self.setText(title)
            self.setAccessibleName(f"{title}, {amount}{', then it fits' if mends else ''}")
            self.updateGeometry()
            self.update()

    def sizeHint(self) -> QSize:
        title = QFontMetrics(self._plain).horizontalAdvance(self.text())
        amount = QFontMetrics(self._bold).horizontalAdvance(self._amount)
        tick = TICK + GAP // 2 if self._mends else 0
        return QSize(2 * PADDING + tick + title + GAP + amount + 2, HEIGHT)

    def paintEvent(self, event: QPaintEvent) -> None:
        tokens, painter = self._theme.tokens, QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        is_hot = self.underMouse() or self.isDown()
        edge = tokens.accent if self.hasFocus() or is_hot else tokens.line
        painter.setPen(QPen(QColor(edge), 2 if self.hasFocus() else 1))
        painter.setBrush(QColor(tokens.wash if is_hot else tokens.card))
        inset = 1.0 if self.hasFocus() else 0.5
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(inset, inset, -inset, -inset), HEIGHT / 2, HEIGHT / 2)
        middle = Qt.AlignmentFlag.AlignVCenter
        amount_width = QFontMetrics(self._bold).horizontalAdvance(self._amount)
        area = self.rect().adjusted(PADDING, 0, -PADDING, 0)
        if self._mends:
            painter.drawPixmap(area.left(), (HEIGHT - TICK) // 2, pixmap("check", tokens.fits, TICK))
            area.setLeft(area.left() + TICK + GAP // 2)
        room = area.width() - amount_width - GAP
        painter.setFont(self._plain)
        painter.setPen(QColor(tokens.secondary))
        title = painter.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideRight, room)
        painter.drawText(area, middle, title)
        painter.setFont(self._bold)
        painter.setPen(QColor(tokens.text))
        painter.drawText(area, middle | Qt.AlignmentFlag.AlignRight, self._amount)
