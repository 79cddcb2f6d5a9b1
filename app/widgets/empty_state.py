"""What a page shows while it has nothing to show: what it is for, and the one button that fills it."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from app.theme import Theme
from app.widgets.button import Button
from app.widgets.icon import pixmap
from app.widgets.label import Label


class EmptyState(QWidget):
    """An icon, a headline, a sentence, a button. `pressed` is the button's click."""

    pressed = Signal()

    def __init__(self, theme: Theme, icon_name: str, headline: str, sentence: str, button: str = "") -> None:
        super().__init__()
        self._theme, self._icon_name = theme, icon_name
        self._picture = QLabel()
        self._picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
        head = Label(headline, "headline")
        text = Label(sentence, "secondary", wrap=True)
        head.setAlignment(Qt.AlignmentFlag.AlignCenter)
        text.setAlignment(Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop)
        text.setFixedWidth(420)
        text.setMinimumHeight(text.heightForWidth(420))
        column = QVBoxLayout(self)
        column.setSpacing(8)
        column.addStretch(2)
        column.addWidget(self._picture)
        column.addSpacing(4)
        column.addWidget(head)
        column.addWidget(text, 0, Qt.AlignmentFlag.AlignHCenter)
        if button:
            press = Button(button, "primary")
            press.clicked.connect(lambda: self.pressed.emit())
            column.addSpacing(12)
            column.addWidget(press, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addStretch(3)
        theme.changed.connect(self._draw)
        self._draw()

    def _draw(self) -> None:
        self._picture.setPixmap(pixmap(self._icon_name, self._theme.tokens.faint, 36))
