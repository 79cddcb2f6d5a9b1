"""A list of any number of rows, one line each: only those in sight are asked for and painted."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

from PySide6.QtCore import QEvent, QRect, QRectF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QFont,
    QFontMetrics,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QFrame, QToolTip

from app.theme import CONTROL_RADIUS, Theme, sized
from core.figures import whole

LINE_HEIGHT = 26
MOST_STEPS = 2**30
"""Qt's scroll bars count in 32 bits; beyond that a step is several pixels."""
MOST_LETTERS = 200
Tone = Literal["", "no", "excluded", "changed"]


@dataclass(frozen=True)
class Line:
    """One row in a few words. `no` is a row that cannot be used, `excluded` one that was taken out by hand."""

    words: str
    tone: Tone = ""


def _counted(number: int) -> str:
    return whole(number + 1)


class RowList(QAbstractScrollArea):
    """`show_numbers` says which rows there are; `line_of` is asked for those in sight, and may not know yet."""

    chosen = Signal(int)
    """The number of the row that a person moved to."""
    sighted = Signal(object)
    """The numbers now in sight, and a screenful on either side, as a sequence."""
    menu_wanted = Signal(int, object)
    """The number of a row and a place on the screen."""
    opened = Signal(int)
    """The number of a row that was clicked, or on which Enter was pressed."""
    delete_pressed = Signal(int)

    def __init__(
        self, theme: Theme, line_of: Callable[[int], Line | None], name_of: Callable[[int], str] = _counted
    ) -> None:
        super().__init__()
        self._theme, self._line_of, self._name_of = theme, line_of, name_of
        self._numbers: Sequence[int] = range(0)
        self._place = -1
        self._step = 1
        self._told: tuple[int, int] = (-1, -1)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("Rows of the data; arrow keys move through them")
        self.viewport().setAutoFillBackground(False)
        self.verticalScrollBar().valueChanged.connect(self._tell)
        theme.changed.connect(self.viewport().update)

    @property
    def numbers(self) -> Sequence[int]:
        return self._numbers

    @property
    def number(self) -> int:
        """The chosen row's; -1 where there is none."""
        return self._numbers[self._place] if 0 <= self._place < len(self._numbers) else -1

    def show_numbers(self, numbers: Sequence[int]) -> None:
        """List these rows, in rising order; the chosen one stays chosen where it is among them."""
        chosen, grown = self.number, len(numbers) >= len(self._numbers) > 0
        top = self.verticalScrollBar().value() if grown else 0
        self._numbers, self._told = numbers, (-1, -1)
        self._place = self._place_of(chosen)
        self._set_range()
        self.verticalScrollBar().setValue(top)
        self._tell()

    def choose(self, number: int) -> None:
        """Mark the row with this number and bring it into sight, without emitting `chosen`."""
        place = self._place_of(number)
        if place == self._place:
            return
        self._place = place
        self._bring_into_sight(place)
        self._describe()
        self.viewport().update()

    def look_again(self) -> None:
        """Ask for the lines in sight anew."""
        self.viewport().update()

    def _place_of(self, number: int) -> int:
        if isinstance(self._numbers, range):
            return number if number in self._numbers else -1
        place = bisect_left(self._numbers, number)
        return place if place < len(self._numbers) and self._numbers[place] == number else -1

    # What is in sight

    def _set_range(self) -> None:
        tall, high = len(self._numbers) * LINE_HEIGHT, self.viewport().height()
        self._step = max(1, -(-tall // MOST_STEPS))
        bar = self.verticalScrollBar()
        bar.setPageStep(max(1, high // self._step))
        bar.setSingleStep(max(1, LINE_HEIGHT // self._step))
        bar.setRange(0, max(0, -(-(tall - high) // self._step)))

    @property
    def _top(self) -> int:
        """What is scrolled away, in pixels."""
        return self.verticalScrollBar().value() * self._step

    def _tell(self) -> None:
        """Say which rows are in sight, with a screenful on either side, when they are others."""
        first = self._top // LINE_HEIGHT
        num_lines = self.viewport().height() // LINE_HEIGHT + 2
        if (first, num_lines) == self._told:
            return
        self._told = first, num_lines
        last = len(self._numbers)
        near = [self._numbers[max(0, first) : min(last, first + num_lines)],
                self._numbers[min(last, first + num_lines) : min(last, first + 2 * num_lines)],
                self._numbers[max(0, first - num_lines) : max(0, first)]]  # fmt: skip
        self.sighted.emit([number for part in near for number in part])

    def _bring_into_sight(self, place: int) -> None:
        if place < 0:
            return
        top, high = place * LINE_HEIGHT, self.viewport().height()
        bar = self.verticalScrollBar()
        if top < self._top:
            bar.setValue(top // self._step)
        elif top + LINE_HEIGHT > self._top + high:
            bar.setValue(-(-(top + LINE_HEIGHT - high) // self._step))

    def _move_to(self, place: int) -> None:
        if not len(self._numbers):
            return
        place = min(max(place, 0), len(self._numbers) - 1)
        if place != self._place:
            self._place = place
            self._bring_into_sight(place)
            self._describe()
            self.viewport().update()
            self.chosen.emit(self._numbers[place])

    def _describe(self) -> None:
        number = self.number
        line = self._line_of(number) if number >= 0 else None
        self.setAccessibleDescription(f"Row {number + 1}: {line.words[:MOST_LETTERS] if line else ''}")

    # What a person does

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._set_range()
        self._tell()

    def scrollContentsBy(self, dx: int, dy: int) -> None:
        self.viewport().update()

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self.verticalScrollBar().maximum() == 0:
            event.ignore()  # the page scrolls instead
        else:
            super().wheelEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        page = max(1, self.viewport().height() // LINE_HEIGHT - 1)
        last = len(self._numbers) - 1
        moves = {
            Qt.Key.Key_Up: self._place - 1, Qt.Key.Key_PageUp: self._place - page, Qt.Key.Key_Home: 0,
            Qt.Key.Key_Down: self._place + 1, Qt.Key.Key_PageDown: self._place + page, Qt.Key.Key_End: last,
        }  # fmt: skip
        if (place := moves.get(Qt.Key(event.key()))) is not None:
            self._move_to(place)
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.number >= 0:
            self.opened.emit(self.number)
        elif event.key() == Qt.Key.Key_Delete and self.number >= 0:
            self.delete_pressed.emit(self.number)
        else:
            super().keyPressEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        place = self._place_at(event.position().y())
        if place >= 0 and event.button() in (Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton):
            self._move_to(place)
            if event.button() == Qt.MouseButton.LeftButton:
                self.opened.emit(self._numbers[place])

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        if self.number >= 0:
            self.menu_wanted.emit(self.number, event.globalPos())

    def viewportEvent(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            place = self._place_at(event.pos().y())
            line = self._line_of(self._numbers[place]) if place >= 0 else None
            words = f"<p style='margin:0'>{escape(line.words)}</p>" if line else ""
            QToolTip.showText(event.globalPos(), words, self.viewport())
            return True
        return super().viewportEvent(event)

    def _place_at(self, y: float) -> int:
        place = int(y + self._top) // LINE_HEIGHT
        return place if place < len(self._numbers) else -1

    # Painting

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        first, high = self._top // LINE_HEIGHT, self.viewport().height()
        last = min(len(self._numbers), first + high // LINE_HEIGHT + 2)
        gutter = QFontMetrics(sized(11)).horizontalAdvance(self._name_of(self._numbers[-1])) if last else 0
        for place in range(first, last):
            area = QRect(0, place * LINE_HEIGHT - self._top, self.viewport().width() - 2, LINE_HEIGHT)
            self._paint_line(painter, area, self._numbers[place], place == self._place, gutter)

    def _paint_line(self, painter: QPainter, area: QRect, number: int, is_chosen: bool, gutter: int) -> None:
        tokens, middle = self._theme.tokens, Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextSingleLine
        if is_chosen:
            has_ring = self.hasFocus()
            painter.setPen(QPen(QColor(tokens.accent), 1.5) if has_ring else Qt.PenStyle.NoPen)
            painter.setBrush(QColor(tokens.wash))
            painter.drawRoundedRect(QRectF(area).adjusted(1, 1, -1, -1), CONTROL_RADIUS - 2, CONTROL_RADIUS - 2)
        painter.setFont(sized(11))
        painter.setPen(QColor(tokens.secondary))
        painter.drawText(area.adjusted(6, 0, 0, 0), middle, self._name_of(number))
        line = self._line_of(number)
        room = area.adjusted(gutter + 14, 0, -6, 0)
        if line is None:
            painter.fillRect(
                QRectF(room.left(), room.center().y() - 2, room.width() * 0.6, 5), QColor(tokens.hover)
            )
            return
        font = sized(12)
        if line.tone == "excluded":
            font = QFont(font)
            font.setStrikeOut(True)
        painter.setFont(font)
        painter.setPen(QColor({"no": tokens.no, "excluded": tokens.secondary}.get(line.tone, tokens.text)))
        if line.tone == "changed":
            painter.setBrush(QColor(tokens.accent))
            painter.setPen(Qt.PenStyle.NoPen)
            painter.drawEllipse(QRectF(room.right() - 6, room.center().y() - 2, 6, 6))
            painter.setPen(QColor(tokens.text))
            room.setRight(room.right() - 12)
        words = painter.fontMetrics().elidedText(
            line.words[:MOST_LETTERS], Qt.TextElideMode.ElideRight, room.width()
        )
        painter.drawText(room, middle, words)
