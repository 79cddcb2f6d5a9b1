"""A stretch of plain text that is as tall as its words: selectable, markable, never taken for markup."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtCore import QMimeData, QRectF, QSize, Qt
from PySide6.QtGui import (
    QColor,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QTextBlockFormat,
    QTextCharFormat,
    QTextCursor,
    QWheelEvent,
)
from PySide6.QtWidgets import QFrame, QSizePolicy, QTextEdit

from app.theme import Theme

LINE_PERCENT = 135.0
MOST_LETTERS = 100_000
"""More than this of one text is not drawn."""
# What turns the direction of a line around could make words read as others; shown as the sign for the unreadable.
TURNS = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)], "\ufffd")


class AnswerText(QTextEdit):
    """`show_text` replaces, or extends where the new text begins with the old; `mark` colours ranges of it.

    While `is_writing`, a caret in the given colour stands behind the last word.
    """

    def __init__(self, theme: Theme, *, tone: str = "text") -> None:
        super().__init__()
        self._theme, self._tone = theme, tone
        self._ranges: Sequence[tuple[int, int]] = ()
        self._caret: QColor | None = None
        self.setProperty("kind", "bare")
        self.setReadOnly(True)
        self.setAcceptRichText(False)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setUndoRedoEnabled(False)
        self.document().setDocumentMargin(0)
        self.viewport().setAutoFillBackground(False)
        self.document().documentLayout().documentSizeChanged.connect(self._fit)
        theme.changed.connect(self._recolor)
        self._recolor()

    @property
    def text(self) -> str:
        return self.toPlainText()

    def show_text(self, text: str) -> None:
        text, old = text[:MOST_LETTERS].translate(TURNS), self.toPlainText()
        if text == old:
            return
        cursor = QTextCursor(self.document())
        if old and text.startswith(old):
            cursor.movePosition(QTextCursor.MoveOperation.End)
            cursor.insertText(text[len(old) :])
        else:
            self.setPlainText(text)
            cursor = QTextCursor(self.document())
            cursor.select(QTextCursor.SelectionType.Document)
            lines = QTextBlockFormat()
            lines.setLineHeight(LINE_PERCENT, QTextBlockFormat.LineHeightTypes.ProportionalHeight.value)
            cursor.mergeBlockFormat(lines)
        self._fit()

    def mark(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Colour ranges of characters (start, end), counted as Python counts them."""
        self._ranges = ranges
        self._draw_marks()

    def set_writing(self, color: QColor | None) -> None:
        """Show a caret in a colour behind the text, or none."""
        self._caret = color
        self.viewport().update()

    def sizeHint(self) -> QSize:
        return QSize(80, self._wanted_height())

    def minimumSizeHint(self) -> QSize:
        return QSize(40, self._wanted_height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()  # the column scrolls, not the words in it

    def createMimeDataFromSelection(self) -> QMimeData:
        plain = QMimeData()
        plain.setText(self.textCursor().selection().toPlainText())
        return plain

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if self._caret is None:
            return
        end = QTextCursor(self.document())
        end.movePosition(QTextCursor.MoveOperation.End)
        place = QRectF(self.cursorRect(end))
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._caret)
        gap = 3 if self.document().characterCount() > 1 else 0
        painter.drawRoundedRect(QRectF(place.left() + gap, place.bottom() - 15, 7, 14), 1.5, 1.5)

    def _wanted_height(self) -> int:
        return max(math.ceil(self.document().size().height()), self.fontMetrics().height() + 4)

    def _fit(self, *_: object) -> None:
        self.document().setTextWidth(self.viewport().width())
        if self.height() != self._wanted_height():
            self.setFixedHeight(self._wanted_height())

    def _recolor(self) -> None:
        palette = self.palette()
        palette.setColor(palette.ColorRole.Text, self._theme.color(self._tone))
        self.setPalette(palette)
        self.setStyleSheet(f"color: {getattr(self._theme.tokens, self._tone)};")
        self._draw_marks()

    def _draw_marks(self) -> None:
        look = QTextCharFormat()
        look.setBackground(self._theme.color("mark"))
        found, text = [], self.toPlainText()
        for start, end in self._ranges:
            if end > len(text):
                continue
            selection = QTextEdit.ExtraSelection()
            cursor = QTextCursor(self.document())
            cursor.setPosition(_units(text[:start]))
            cursor.setPosition(_units(text[:end]), QTextCursor.MoveMode.KeepAnchor)
            selection.cursor, selection.format = cursor, look  # type: ignore[attr-defined]
            found.append(selection)
        self.setExtraSelections(found)


def _units(text: str) -> int:
    """Length as Qt counts it: characters outside the basic plane are two."""
    return len(text) + sum(ord(letter) > 0xFFFF for letter in text)
