"""Where a person writes: a text that grows with its lines, and Send, which becomes Stop."""

from __future__ import annotations

import math

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPlainTextEdit, QSizePolicy

from app.theme import CARD_PADDING, Theme
from app.widgets.button import Button
from app.widgets.card import Card
from app.widgets.label import Label

MOST_LINES = 7


class Composer(Card):
    """Enter sends, Shift+Enter begins a new line. `sent` carries the text, which is cleared; `stopped` is Stop."""

    sent = Signal(str)
    stopped = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme, self._is_answering = theme, False
        self._may_send = False
        self.editor = _Editor()
        self.editor.setAccessibleName("Your message")
        self.editor.submitted.connect(self.send)
        self.editor.textChanged.connect(self._show)
        self.note = Label("", "small")
        self.button = Button("Send", "primary").set_icon(theme, "send", "on_accent")
        self.button.clicked.connect(self._press)
        self.stop_button = Button("Stop").set_icon(theme, "stop", "text")
        self.stop_button.clicked.connect(lambda: self.stopped.emit())
        row = QHBoxLayout()
        row.setSpacing(12)
        row.addWidget(self.editor, 1)
        row.addWidget(self.note, 0, Qt.AlignmentFlag.AlignBottom)
        row.addWidget(self.button, 0, Qt.AlignmentFlag.AlignBottom)
        row.addWidget(self.stop_button, 0, Qt.AlignmentFlag.AlignBottom)
        self.rows.setContentsMargins(CARD_PADDING, 10, 10, 10)
        self.rows.insertLayout(0, row)
        self.note.setFixedHeight(self.button.sizeHint().height())
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._show()

    def show_state(self, *, may_send: bool, is_answering: bool, placeholder: str, note: str) -> None:
        self._may_send, self._is_answering = may_send, is_answering
        self.editor.setPlaceholderText(placeholder)
        self.note.setText(note)
        self._show()

    def send(self) -> None:
        text = self.editor.toPlainText().strip()
        if text and self._may_send:
            self.editor.clear()
            self.sent.emit(text)

    def write(self, text: str) -> None:
        """Put a text into the editor, unless a person has begun another."""
        if not self.editor.toPlainText().strip():
            self.editor.setPlainText(text)
            self.editor.moveCursor(self.editor.textCursor().MoveOperation.End)

    def _press(self) -> None:
        self.send()
        self.editor.setFocus()

    def _show(self) -> None:
        self.button.setVisible(not self._is_answering)
        self.stop_button.setVisible(self._is_answering)
        can_send = self._may_send and bool(self.editor.toPlainText().strip())
        self.button.setEnabled(can_send)
        self.button.set_icon(self._theme, "send", "on_accent" if can_send else "faint")


class _Editor(QPlainTextEdit):
    """As tall as its lines, up to a few; then it scrolls."""

    submitted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("kind", "bare")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setTabChangesFocus(True)
        self.document().setDocumentMargin(0)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.document().documentLayout().documentSizeChanged.connect(lambda _: self._fit())
        self._fit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if enter and not event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self.submitted.emit()
            return
        super().keyPressEvent(event)

    def _fit(self) -> None:
        lines = max(1, math.ceil(self.document().size().height()))
        line = self.fontMetrics().lineSpacing()
        height = min(lines, MOST_LINES) * line
        # One line stands in the middle of the button's height; more lines grow upwards from there.
        above = max(0, (32 - line) // 2) if lines == 1 else 4
        self.setViewportMargins(0, above, 0, 0)
        self.setFixedHeight(max(32, height + above + 4))
        many = lines > MOST_LINES
        policy = Qt.ScrollBarPolicy.ScrollBarAsNeeded if many else Qt.ScrollBarPolicy.ScrollBarAlwaysOff
        self.setVerticalScrollBarPolicy(policy)
