"""The sidebar: logo, one entry per page with an optional badge, and the device's memory at its foot."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractButton, QButtonGroup, QFrame, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout

from app.theme import SIDEBAR_WIDTH, Theme, sized
from app.widgets.icon import pixmap
from app.widgets.label import set_tooltip


@dataclass(frozen=True)
class Entry:
    """One page of the sidebar."""

    name: str
    title: str
    icon: str


class Sidebar(QFrame):
    """`chosen` carries the name of the entry a person pressed."""

    chosen = Signal(str)

    def __init__(self, theme: Theme, entries: list[Entry], foot: QFrame) -> None:
        super().__init__()
        self.setObjectName("sidebar")
        self.setFixedWidth(SIDEBAR_WIDTH)
        self._theme = theme
        self._logo = QLabel()
        self._logo.setFixedSize(22, 22)
        name = _Wordmark(theme)
        top = QHBoxLayout()
        top.setContentsMargins(10, 0, 10, 20)
        top.setSpacing(8)
        top.addWidget(self._logo)
        top.addWidget(name)
        top.addStretch()
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 20, 12, 18)
        column.setSpacing(2)
        column.addLayout(top)
        self._group = QButtonGroup(self)
        self._buttons: dict[str, NavButton] = {}
        for position, entry in enumerate(entries, 1):
            button = NavButton(theme, entry)
            set_tooltip(button, f"{entry.title} (Ctrl+{position})")
            button.clicked.connect(lambda _=False, name=entry.name: self.chosen.emit(name))
            self._group.addButton(button)
            self._buttons[entry.name] = button
            column.addWidget(button)
        column.addStretch()
        column.addWidget(foot)
        theme.changed.connect(self._draw_logo)
        self._draw_logo()

    def mark(self, name: str) -> None:
        """Show that this entry's page is open."""
        self._buttons[name].setChecked(True)

    def set_badge(self, name: str, text: str) -> None:
        """A few letters at the entry's right end, such as "1 live"; empty removes them."""
        self._buttons[name].set_badge(text)

    def _draw_logo(self) -> None:
        self._logo.setPixmap(pixmap("logo-dark" if self._theme.tokens.is_dark else "logo", "", 22))


class _Wordmark(QLabel):
    def __init__(self, theme: Theme) -> None:
        super().__init__("Hone")
        self.setTextFormat(Qt.TextFormat.PlainText)
        font = QFont(sized(18, QFont.Weight.Bold))
        font.setLetterSpacing(QFont.SpacingType.PercentageSpacing, 98)
        self.setFont(font)


class NavButton(QAbstractButton):
    """One entry: icon, title, badge; the open one stands on a card."""

    def __init__(self, theme: Theme, entry: Entry) -> None:
        super().__init__()
        self._theme, self._entry, self._badge = theme, entry, ""
        self.setText(entry.title)
        self.setAccessibleName(entry.title)
        self.setObjectName(f"nav-{entry.name}")
        self.setCheckable(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        theme.changed.connect(self.update)

    def set_badge(self, text: str) -> None:
        if text != self._badge:
            self._badge = text
            self.setAccessibleDescription(text)
            self.update()

    def sizeHint(self) -> QSize:
        return QSize(160, 34)

    def paintEvent(self, event: QPaintEvent) -> None:
        tokens, painter = self._theme.tokens, QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        if self.isChecked() or self.underMouse():
            painter.setBrush(QColor(tokens.card if self.isChecked() else tokens.hover))
            painter.setPen(QColor(tokens.line) if self.isChecked() else Qt.PenStyle.NoPen)
            painter.drawRoundedRect(box, 6, 6)
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(tokens.accent), 2))
            painter.drawRoundedRect(box.adjusted(0.5, 0.5, -0.5, -0.5), 6, 6)
        color = tokens.text if self.isChecked() else tokens.secondary
        painter.drawPixmap(10, (self.height() - 16) // 2, pixmap(self._entry.icon, color))
        painter.setPen(QColor(color))
        painter.setFont(sized(13, QFont.Weight.DemiBold if self.isChecked() else QFont.Weight.Normal))
        painter.drawText(self.rect().adjusted(36, 0, -10, 0), Qt.AlignmentFlag.AlignVCenter, self.text())
        if self._badge:
            painter.setPen(QColor(tokens.accent))
            painter.setFont(sized(11, QFont.Weight.DemiBold))
            where = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
            painter.drawText(self.rect().adjusted(36, 0, -10, 0), where, self._badge)
