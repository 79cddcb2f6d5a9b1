"""A coloured strip that says what is the matter, in one sentence, with the remedy as a button."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QPlainTextEdit, QVBoxLayout, QWidget

from app.theme import CARD_RADIUS, Theme, mono_font
from app.widgets.button import Button
from app.widgets.label import Label

_WASHES = {"no": "no_wash", "tight": "tight_wash", "accent": "wash", "fits": "fits_wash", "secondary": "hover"}


class Banner(QWidget):
    """`say` shows it; buttons are given once and shown as needed."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme, self._tone = theme, "tight"
        self.headline = Label("", "strong")
        self.sentence = Label("", wrap=True)
        self.sentence.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.words = QPlainTextEdit()
        self.words.setReadOnly(True)
        self.words.setFont(mono_font())
        self.words.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.words.setFixedHeight(180)
        self.words.setAccessibleName("Last words of the worker's log")
        self.words.hide()
        self._buttons = QHBoxLayout()
        self._buttons.setSpacing(8)
        text = QVBoxLayout()
        text.setSpacing(2)
        text.addWidget(self.headline)
        text.addWidget(self.sentence)
        row = QHBoxLayout()
        row.setSpacing(16)
        row.addLayout(text, 1)
        row.addLayout(self._buttons)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 12, 12, 12)
        column.setSpacing(10)
        column.addLayout(row)
        column.addWidget(self.words)
        theme.changed.connect(self.update)
        self.hide()

    def add_button(self, text: str, kind: str = "") -> Button:
        button = Button(text, kind)  # type: ignore[arg-type]
        self._buttons.addWidget(button, 0, Qt.AlignmentFlag.AlignVCenter)
        return button

    def say(self, headline: str, sentence: str, tone: str, buttons: list[Button]) -> None:
        """Show a headline, a sentence and these of the buttons, in a tone: tight, no, accent, fits."""
        self._tone = tone
        self.headline.setText(headline)
        self.headline.set_tone(tone)
        self.sentence.setText(sentence)
        self.sentence.setVisible(bool(sentence))
        for index in range(self._buttons.count()):
            item = self._buttons.itemAt(index)
            if item is not None and (button := item.widget()) is not None:
                button.setVisible(button in buttons)
        self.setAccessibleName(f"{headline}. {sentence}")
        self.show()
        self.update()

    def show_words(self, text: str | None) -> None:
        """Unfold the log's last words below the sentence; None folds them up."""
        self.words.setVisible(text is not None)
        if text is not None:
            self.words.setPlainText(text)
            self.words.moveCursor(self.words.textCursor().MoveOperation.End)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(getattr(self._theme.tokens, _WASHES[self._tone])))
        painter.drawRoundedRect(self.rect(), CARD_RADIUS, CARD_RADIUS)
