"""All rows of the data in a list, to move through and to search; any number of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from app.state.row_reader import RowReader
from app.state.row_search import MOST_FOUND, RowSearch
from app.theme import Theme
from app.widgets.button import Button
from app.widgets.label import ElidedLabel
from app.widgets.number_box import NumberBox, Range
from app.widgets.row_list import Line, RowList
from core.figures import whole

if TYPE_CHECKING:
    from core.data.row import Problem, Row

TYPED_MS = 250
"""A pause in typing, after which the search begins."""


class RowBrowser(QWidget):
    """`chosen` carries the number of the row a person moved to, counted from 0."""

    chosen = Signal(int)
    menu_wanted = Signal(int, object)
    """The number of a row and a place on the screen."""
    delete_pressed = Signal(int)

    def __init__(self, reader: RowReader, search: RowSearch, theme: Theme) -> None:
        super().__init__()
        self._reader, self._search = reader, search
        self._source = ""
        self.query = QLineEdit()
        self.query.setClearButtonEnabled(True)
        self.query.setPlaceholderText("Find in all rows")
        self.query.setAccessibleName("Find in all rows")
        self._typed = QTimer(self)
        self._typed.setSingleShot(True)
        self._typed.setInterval(TYPED_MS)
        self._typed.timeout.connect(lambda: search.search(self.query.text()))
        self.query.textEdited.connect(lambda _: self._typed.start())
        self.query.textChanged.connect(lambda text: None if text else search.search(""))
        self.query.returnPressed.connect(lambda: search.search(self.query.text()))
        self.list = RowList(theme, self._line)
        self.list.sighted.connect(reader.want)
        self.list.chosen.connect(self._choose)
        self.list.menu_wanted.connect(self.menu_wanted)
        self.list.delete_pressed.connect(self.delete_pressed)
        self.more = Button("", "mini", tip="Edit rows", name="Edit rows").set_icon(theme, "more")
        self.more.clicked.connect(
            lambda: self.menu_wanted.emit(self.number, self.more.mapToGlobal(self.more.rect().bottomLeft()))
        )
        self.box = NumberBox(OneByOne(1, 1, is_whole=True))
        self.box.setAccessibleName("Row")
        self.box.edited.connect(lambda number: self.go_to(int(number) - 1))
        self.count = ElidedLabel("", "small")
        foot = QHBoxLayout()
        foot.setSpacing(6)
        foot.addWidget(self.box)
        foot.addWidget(self.count, 1)
        foot.addWidget(self.more)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(self.query)
        column.addWidget(self.list, 1)
        column.addLayout(foot)
        reader.arrived.connect(self.list.look_again)
        reader.reset.connect(self._reset)
        search.changed.connect(self._list)
        self._reset()

    @property
    def number(self) -> int:
        """The chosen row's; -1 where there is none."""
        return int(self.box.value()) - 1 if len(self._reader) else -1

    def go_to(self, number: int) -> None:
        """Choose a row by its number, whether the list holds it or not."""
        if not 0 <= number < len(self._reader):
            return
        self.list.choose(number)
        self._choose(number)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        digits = self.fontMetrics().horizontalAdvance(whole(max(1, len(self._reader))))
        self.box.setFixedWidth(min(digits + 46, self.width() // 2))

    def _choose(self, number: int) -> None:
        self.box.show_value(number + 1)
        self.chosen.emit(number)

    def _reset(self) -> None:
        num_rows = len(self._reader)
        self.box.limits = OneByOne(1, max(1, num_rows), is_whole=True)
        self.box.setEnabled(num_rows > 0)
        self.resizeEvent(QResizeEvent(self.size(), self.size()))
        self._list()
        if num_rows:
            number = min(int(self.box.value()), num_rows) - 1 if self._reader.source == self._source else 0
            self._source = self._reader.source
            self.list.choose(number)
            self._choose(number)

    def _list(self) -> None:
        found = self._search.found
        num_rows = len(self._reader)
        self.list.show_numbers(range(num_rows) if found is None else list(found))
        self.list.choose(self.number)
        self.count.setText(f"of {whole(num_rows)}" if found is None else self._found_in_words(found))

    def _found_in_words(self, found: list[int]) -> str:
        number = f"{whole(len(found))} found"
        if self._search.is_running:
            return f"{number} · {self._search.share:.0%}"
        return f"first {number}" if len(found) >= MOST_FOUND else number

    def _line(self, number: int) -> Line | None:
        read = self._reader.read(number)
        if read is None:
            return None
        if read.words:
            return Line(read.words, "excluded")
        line = line_of(read.row)
        return Line(line.words, "changed") if read.is_changed and not line.tone else line


@dataclass(frozen=True)
class OneByOne(Range):
    """Rows are stepped through one by one, however many there are."""

    def _one_step(self, number: float, up: bool) -> float:
        return number + (1 if up else -1)


def line_of(row: Row | Problem) -> Line:
    """The beginning of what a row says."""
    if (reason := getattr(row, "reason", None)) is not None:
        return Line(_flat(reason), "no")
    messages = getattr(row, "messages", ())
    spoken = [message.content for message in messages if message.role != "system"] or [
        message.content for message in (*messages, *getattr(row, "chosen", ()))
    ]
    return Line(_flat(getattr(row, "text", "") or (spoken[0] if spoken else "")))


def _flat(text: str) -> str:
    return " ".join(text[:400].split())
