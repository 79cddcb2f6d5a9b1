"""Push buttons and chips in the kinds the style sheet knows."""

from __future__ import annotations

from typing import Literal

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QFont, QFontMetrics
from PySide6.QtWidgets import QPushButton

from app.theme import Theme
from app.widgets.icon import icon
from app.widgets.label import set_tooltip

Kind = Literal["", "primary", "danger", "quiet", "chip", "icon", "mini", "link", "tab"]


class Button(QPushButton):
    """A push button. Mouse clicks leave the focus where it was, so that rings only follow the keyboard."""

    def __init__(self, text: str = "", kind: Kind = "", *, tip: str = "", name: str = "") -> None:
        super().__init__(text)
        if kind:
            self.setProperty("kind", kind)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAutoDefault(False)
        set_tooltip(self, tip)
        self.setAccessibleName(name or text or tip)
        self._icon: tuple[Theme, str, str] | None = None

    def set_icon(self, theme: Theme, name: str, color: str = "secondary") -> Button:
        """Show an icon in the colour of a token; it follows the theme."""
        if self._icon is None:
            theme.changed.connect(self._draw_icon)
            if self.text():
                self.setText(f" {self.text()}")  # the style leaves hardly any room between icon and words
        self._icon = (theme, name, color)
        self._draw_icon()
        return self

    def sizeHint(self) -> QSize:
        """Wide enough for the bolder words of a checked button, which Qt does not reckon with."""
        hint = super().sizeHint()
        if self.isCheckable() and self.text():
            bold = QFont(self.font())
            bold.setWeight(QFont.Weight.DemiBold)
            wider = QFontMetrics(bold).horizontalAdvance(self.text())
            hint.setWidth(hint.width() + max(0, wider - self.fontMetrics().horizontalAdvance(self.text())))
        return hint

    def _draw_icon(self) -> None:
        if self._icon is not None:
            theme, name, color = self._icon
            self.setIcon(icon(name, theme.color(color).name()))
            side = 12 if self.property("kind") == "mini" else 16
            self.setIconSize(QSize(side, side))


class Chip(Button):
    """A small rounded button; checkable ones stand for a choice."""

    def __init__(self, text: str, *, checkable: bool = False, tip: str = "") -> None:
        super().__init__(text, "chip", tip=tip)
        self.setCheckable(checkable)
