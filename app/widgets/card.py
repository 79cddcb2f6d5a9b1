"""A card: a bordered panel with a header row (title, summary, buttons) above its content."""

from __future__ import annotations

from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from app.theme import CARD_PADDING, FIELD_GAP
from app.widgets.label import ElidedLabel, Label


class Card(QFrame):
    """Put content into `body`; `add_to_header` places widgets at the right end of the header."""

    def __init__(self, title: str = "", summary: str = "") -> None:
        super().__init__()
        self.rows = QVBoxLayout(self)
        self.rows.setContentsMargins(CARD_PADDING, CARD_PADDING, CARD_PADDING, CARD_PADDING)
        self.rows.setSpacing(FIELD_GAP)
        self.title = Label(title, "card-title")
        self.summary = ElidedLabel(summary, "secondary")
        self.header = QHBoxLayout()
        self.header.setSpacing(12)
        self.header.addWidget(self.title)
        self.header.addWidget(self.summary, 1)
        if title:
            self.rows.addLayout(self.header)
        self.body = QVBoxLayout()
        self.body.setSpacing(FIELD_GAP)
        self.rows.addLayout(self.body, 1)

    def set_summary(self, text: str) -> None:
        self.summary.setText(text)

    def add_to_header(self, widget: QWidget) -> None:
        self.header.addWidget(widget)
