"""A short list of things with how many there are of each, to choose one from."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QKeyEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractButton, QFrame, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from app.theme import CONTROL_RADIUS, Theme, sized
from app.widgets.label import set_tooltip

HEIGHT = 28


@dataclass(frozen=True)
class Count:
    """`tone` colours its dot: a token of the theme, or nothing for no dot."""

    key: str
    name: str
    number: str
    tone: str = ""


class CountList(QScrollArea):
    """`chosen` carries the key of the line that was pressed or moved to."""

    chosen = Signal(str)

    def __init__(self, theme: Theme, name: str) -> None:
        super().__init__()
        self._theme = theme
        self.key = ""
        self.lines: list[CountLine] = []
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setAccessibleName(name)
        inside = QWidget()
        inside.setObjectName("clear")
        self._column = QVBoxLayout(inside)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(0)
        self._column.addStretch()
        self.setWidget(inside)

    def show_counts(self, counts: list[Count]) -> None:
        """Show these; the chosen one stays chosen where it is among them, else the first is."""
        while len(self.lines) < len(counts):
            line = CountLine(self._theme)
            line.clicked.connect(lambda _=False, line=line: self.choose(line.count.key))
            line.moved.connect(self._move)
            self.lines.append(line)
            self._column.insertWidget(len(self.lines) - 1, line)
        for line, count in zip(self.lines, counts, strict=False):
            line.show_count(count)
        for line in self.lines[len(counts) :]:
            line.hide()
        if all(count.key != self.key for count in counts):
            self.key = counts[0].key if counts else ""
        self._mark()

    def choose(self, key: str) -> None:
        if key != self.key:
            self.key = key
            self.chosen.emit(key)
        self._mark()

    def _move(self, step: int) -> None:
        shown = [line for line in self.lines if not line.isHidden()]
        place = next((i for i, line in enumerate(shown) if line.count.key == self.key), 0) + step
        if 0 <= place < len(shown):
            shown[place].setFocus()
            self.choose(shown[place].count.key)

    def _mark(self) -> None:
        for line in self.lines:
            line.setChecked(line.count.key == self.key and not line.isHidden())
            line.setFocusPolicy(Qt.FocusPolicy.TabFocus if line.isChecked() else Qt.FocusPolicy.NoFocus)
            if line.isChecked():
                self.ensureWidgetVisible(line, 0, 0)


class CountLine(QAbstractButton):
    """One of them."""

    moved = Signal(int)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme, self.count = theme, Count("", "", "")
        self.setCheckable(True)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        theme.changed.connect(self.update)

    def show_count(self, count: Count) -> None:
        self.count = count
        self.setText(count.name)
        self.setAccessibleName(f"{count.name}: {count.number}")
        self.show()
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(120, HEIGHT)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1}.get(Qt.Key(event.key()))
        self.moved.emit(step) if step else super().keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        tokens, painter = self._theme.tokens, QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = QRectF(self.rect()).adjusted(1, 1, -1, -1)
        painter.setPen(QPen(QColor(tokens.accent), 1.5) if self.hasFocus() else Qt.PenStyle.NoPen)
        if self.isChecked() or self.underMouse():
            painter.setBrush(QColor(tokens.wash if self.isChecked() else tokens.hover))
        painter.drawRoundedRect(box, CONTROL_RADIUS - 2, CONTROL_RADIUS - 2)
        middle = Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextSingleLine
        left, right = 8.0, self.width() - 8.0
        if self.count.tone:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(self._theme.color(self.count.tone))
            painter.drawEllipse(QRectF(left, self.height() / 2 - 3, 6, 6))
            left += 14
        painter.setFont(sized(12, QFont.Weight.DemiBold if self.isChecked() else QFont.Weight.Normal))
        painter.setPen(QColor(tokens.secondary))
        wide = painter.fontMetrics().horizontalAdvance(self.count.number)
        painter.drawText(QRectF(right - wide, 0, wide + 2, self.height()), middle, self.count.number)
        painter.setPen(QColor(tokens.text))
        room = max(0, int(right - wide - 10 - left))
        name = painter.fontMetrics().elidedText(self.count.name, Qt.TextElideMode.ElideRight, room)
        set_tooltip(self, self.count.name if name != self.count.name else "")
        painter.drawText(QRectF(left, 0, room, self.height()), middle, name)
