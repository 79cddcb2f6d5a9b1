"""A short list to choose one thing from: each row a name, a few words about it, and a mark on the chosen one."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QKeyEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractButton, QSizePolicy, QVBoxLayout, QWidget

from app.theme import Theme, sized
from app.widgets.icon import pixmap
from app.widgets.label import set_tooltip

TOLD = {"fits": "fits", "tight": "tight", "no": "does not fit"}


@dataclass(frozen=True)
class Option:
    """`value` is what choosing it means; `note` stands at the right end; `tone` is that of a dot before it: a full
    one for fits, a half full one for tight, an empty one for no, and none without a tone."""

    value: str
    name: str
    words: str = ""
    note: str = ""
    tone: str = ""


class OptionList(QWidget):
    """`chosen` carries the value of the row that was pressed."""

    chosen = Signal(str)

    def __init__(self, theme: Theme, name: str) -> None:
        super().__init__()
        self._theme = theme
        self.rows: list[OptionRow] = []
        self.setAccessibleName(name)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(2)

    def show_options(self, options: list[Option], chosen: str) -> None:
        if [row.option for row in self.rows] != options:
            for row in self.rows:
                self._column.removeWidget(row)
                row.hide()
                row.deleteLater()
            self.rows = [OptionRow(self._theme, option) for option in options]
            for row in self.rows:
                row.clicked.connect(lambda _=False, value=row.option.value: self.chosen.emit(value))
                self._column.addWidget(row)
        for row in self.rows:
            row.setChecked(row.option.value == chosen)


class OptionRow(QAbstractButton):
    """One choice."""

    def __init__(self, theme: Theme, option: Option) -> None:
        super().__init__()
        self._theme, self.option = theme, option
        self.setText(option.name)
        self.setAccessibleName(option.name)
        told = TOLD.get(option.tone, "")
        self.setAccessibleDescription(" ".join(filter(None, (told, option.words, option.note))))
        if told:  # a name may be long, and the words at its side are the first to be cut
            set_tooltip(self, " · ".join(filter(None, (option.name, option.words, f"{told}: {option.note}"))))
        self.setCheckable(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        theme.changed.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(200, 36)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.click()
        else:
            super().keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        tokens, painter = self._theme.tokens, QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = QRectF(self.rect()).adjusted(1, 1, -1, -1)
        painter.setPen(QPen(QColor(tokens.accent), 2) if self.hasFocus() else Qt.PenStyle.NoPen)
        if self.isChecked() or self.underMouse():
            painter.setBrush(QColor(tokens.wash if self.isChecked() else tokens.hover))
        painter.drawRoundedRect(box, 6, 6)
        left, right = 12, self.width() - 12
        if self.option.tone:
            _paint_dot(painter, QPointF(left + 4, self.height() / 2), self.option.tone, self._theme)
            left += 18
        if self.isChecked():
            painter.drawPixmap(right - 14, (self.height() - 16) // 2, pixmap("check", tokens.accent))
        right -= 26
        middle = Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextSingleLine
        painter.setFont(sized(12))
        note_width = painter.fontMetrics().horizontalAdvance(self.option.note) if self.option.note else 0
        painter.setPen(QColor(tokens.secondary))
        painter.drawText(QRectF(right - note_width, 0, note_width + 2, self.height()), middle, self.option.note)
        right -= note_width + 12
        painter.setFont(sized(13, QFont.Weight.DemiBold))
        painter.setPen(QColor(tokens.text))
        name = painter.fontMetrics().elidedText(
            self.option.name, Qt.TextElideMode.ElideMiddle, max(60, right - left)
        )
        painter.drawText(QRectF(left, 0, right - left, self.height()), middle, name)
        left += painter.fontMetrics().horizontalAdvance(name) + 12
        painter.setFont(sized(13))
        painter.setPen(QColor(tokens.secondary))
        words = painter.fontMetrics().elidedText(
            self.option.words, Qt.TextElideMode.ElideRight, max(0, right - left)
        )
        painter.drawText(QRectF(left, 0, max(0, right - left), self.height()), middle, words)


def _paint_dot(painter: QPainter, middle: QPointF, tone: str, theme: Theme) -> None:
    """Told apart by how full it is, not by colour alone."""
    color = QColor(getattr(theme.tokens, tone))
    box = QRectF(middle.x() - 3.5, middle.y() - 3.5, 7, 7)
    painter.setPen(QPen(color, 1.5))
    painter.setBrush(color if tone == "fits" else Qt.BrushStyle.NoBrush)
    painter.drawEllipse(box)
    if tone == "tight":
        painter.setBrush(color)
        painter.drawChord(box, 90 * 16, 180 * 16)
