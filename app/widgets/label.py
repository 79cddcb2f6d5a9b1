"""Text that is never taken for markup: labels and tooltips for words that may come from anywhere."""

from __future__ import annotations

import html

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QFont, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QFrame, QLabel, QSizePolicy, QWidget

from app.theme import restyle

LINE_SIGNS, LINE_WIDTH = 52, 340
"""From how many signs on a tooltip has several lines, and how wide they are."""


class Label(QLabel):
    """A plain-text label. Roles: title, headline, card-title, strong, secondary, small, caption, number, mono,
    error, warning, pill. Tones: fits, tight, no, accent, secondary."""

    def __init__(self, text: str = "", role: str = "", *, tone: str = "", wrap: bool = False) -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(wrap)
        if role:
            self.setProperty("role", role)
        if tone:
            self.setProperty("tone", tone)
        if role == "caption":
            self.setFont(_caption_font(self.font()))
        self.setText(text)

    def setText(self, text: str) -> None:
        super().setText(text.upper() if self.property("role") == "caption" else text)

    def set_tone(self, tone: str) -> None:
        restyle(self, tone=tone)


class ElidedLabel(Label):
    """A single line that ends in an ellipsis where it lacks room, with the whole text as its tooltip."""

    def __init__(
        self,
        text: str = "",
        role: str = "",
        *,
        tone: str = "",
        mode: Qt.TextElideMode = Qt.TextElideMode.ElideRight,
    ) -> None:
        super().__init__(text, role, tone=tone)
        self._mode = mode
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)

    def minimumSizeHint(self) -> QSize:
        return QSize(24, super().minimumSizeHint().height())

    def setText(self, text: str) -> None:
        super().setText(text)
        self._tell_what_is_cut()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._tell_what_is_cut()

    def _tell_what_is_cut(self) -> None:
        is_cut = self.fontMetrics().horizontalAdvance(self.text()) > self.contentsRect().width()
        set_tooltip(self, self.text() if is_cut else "")

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, area = QPainter(self), self.contentsRect()
        shown = self.fontMetrics().elidedText(self.text(), self._mode, area.width())
        painter.setPen(self.palette().color(self.foregroundRole()))
        painter.drawText(area, self.alignment() | Qt.TextFlag.TextSingleLine, shown)


def set_tooltip(widget: QWidget, text: str) -> None:
    """A tooltip of plain words; Qt would guess markup, so markup is escaped. Of many words it would make a narrow
    column."""
    words, is_long = html.escape(text), len(text) > LINE_SIGNS
    cell = f"<table width='{LINE_WIDTH}' cellspacing='0' cellpadding='0'><tr><td>{words}</td></tr></table>"
    widget.setToolTip("" if not text else cell if is_long else f"<p style='margin:0'>{words}</p>")


def hairline() -> QFrame:
    """A horizontal rule of one pixel."""
    line = QFrame()
    line.setObjectName("hairline")
    line.setFixedHeight(1)
    return line


def _caption_font(font: QFont) -> QFont:
    font = QFont(font)
    font.setLetterSpacing(QFont.SpacingType.AbsoluteSpacing, 0.66)
    return font
