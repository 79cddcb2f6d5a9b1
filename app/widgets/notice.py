"""A sentence on a coloured ground that stays until it is dealt with, with the button that mends it."""

from __future__ import annotations

from typing import Literal

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QSizePolicy

from app.theme import CARD_RADIUS, Theme
from app.widgets.button import Button
from app.widgets.icon import pixmap
from app.widgets.label import Label

Tone = Literal["no", "tight"]
GAP = 12


class Notice(QFrame):
    """Hidden until `say`. `pressed` is its button; the cross closes it. Brings its own room beneath it."""

    pressed = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme, self._tone = theme, "no"
        self._picture = QLabel()
        self._words = Label("", wrap=True)
        self._words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.button = Button("")
        self.button.clicked.connect(lambda: self.pressed.emit())
        self._close = Button("", "mini", tip="Close", name="Close").set_icon(theme, "close")
        self._close.clicked.connect(self.hide)
        row = QHBoxLayout(self)
        row.setContentsMargins(14, 9, 12, 9 + GAP)
        row.setSpacing(10)
        row.addWidget(self._picture)
        row.addWidget(self._words, 1)
        row.addWidget(self.button)
        row.addWidget(self._close)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme.changed.connect(self._draw)
        self.hide()

    @property
    def text(self) -> str:
        """The sentence now shown; empty when none is."""
        return "" if self.isHidden() else self._words.text()

    def say(self, sentence: str, tone: Tone = "no", button: str = "") -> None:
        self._tone = tone
        self._words.setText(sentence)
        self.button.setText(button)
        self.button.setVisible(bool(button))
        self._draw()
        self.show()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._theme.color(f"{self._tone}_wash"))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0, 0, 0, -GAP), CARD_RADIUS, CARD_RADIUS)

    def _draw(self) -> None:
        self._picture.setPixmap(pixmap("warning", self._theme.color(self._tone).name()))
        self.update()
