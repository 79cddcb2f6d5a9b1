"""Rows of the chosen data, read on a thread a screenful at a time, and kept while there is room."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal

from app.state.background import Background, Ticket
from app.state.chosen_data import ChosenData
from core.data.kinds import LEFT_OUT
from core.errors import HoneError

if TYPE_CHECKING:
    from core.data.row import Problem, Row
    from core.data.rows import Rows

"""The kind of problem that a row is which an edit excludes."""
KEPT_LETTERS = 8_000_000
MOST_AT_ONCE = 96
"""Rows read in one go; a flick of the wheel passes more, and those passed are never read."""


class RowReader(QObject):
    """`want` rows, then take each from `row` once `arrived` says that some are there."""

    arrived = Signal()
    reset = Signal()
    """The data is other data: every row before is forgotten."""

    def __init__(self, data: ChosenData, background: Background) -> None:
        super().__init__()
        self._data, self._background = data, background
        self._rows: Rows | None = None
        self._kept: OrderedDict[int, Read] = OrderedDict()
        self._num_letters = 0
        self._wanted: Sequence[int] = ()
        self._first = -1
        self._ticket: Ticket | None = None
        data.changed.connect(self._follow)
        self._follow()

    def __len__(self) -> int:
        return len(self._rows) if self._rows is not None else 0

    def row(self, number: int) -> Row | Problem | None:
        """A row that has been read already, counted from 0."""
        found = self._kept.get(number)
        return found.row if found else None

    def read(self, number: int) -> Read | None:
        """The same, with what edits did to it."""
        return self._kept.get(number)

    @property
    def source(self) -> str:
        return self._data.source

    def want(self, numbers: Sequence[int]) -> None:
        """Read these rows, those not there yet; only the latest wish counts."""
        self._wanted = numbers
        if self._ticket is None:
            self._read()

    def want_first(self, number: int) -> None:
        """Read this row before all others that are wanted."""
        self._first = number
        if self._ticket is None:
            self._read()

    def _follow(self) -> None:
        if self._data.rows is self._rows:
            return
        self._rows = self._data.rows
        if self._ticket is not None:
            self._ticket.drop()
        self._ticket, self._wanted, self._first, self._num_letters = None, (), -1, 0
        self._kept.clear()
        self.reset.emit()

    def _read(self) -> None:
        rows = self._rows
        missing = [n for n in (self._first, *self._wanted) if n not in self._kept and 0 <= n < len(self)]
        missing = sorted(set(missing[:MOST_AT_ONCE]))
        if rows is None or not missing:
            return
        self._ticket = self._background.run(self, lambda: _read(rows, missing), self._take, self._fail)

    def _take(self, found: list[tuple[int, Read]]) -> None:
        self._ticket = None
        for number, read in found:
            self._kept[number] = read
            self._num_letters += read.letters
        while self._num_letters > KEPT_LETTERS and len(self._kept) > MOST_AT_ONCE:
            self._num_letters -= self._kept.popitem(last=False)[1].letters
        self.arrived.emit()
        self._read()

    def _fail(self, error: HoneError) -> None:
        """The file went away while it was looked at; the check, which reads it whole, says so."""
        self._ticket, self._wanted, self._first = None, (), -1


@dataclass(frozen=True)
class Read:
    """A row as it was read, and what edits did to it. `words` are those of a row that was left out."""

    row: Row | Problem
    letters: int
    is_changed: bool = False
    words: str = ""


def _read(rows: Rows, numbers: list[int]) -> list[tuple[int, Read]]:
    """Each row by its number; a stretch of neighbours is read in one go."""
    if numbers[-1] - numbers[0] == len(numbers) - 1:
        found = rows[numbers[0] : numbers[-1] + 1]
    else:
        found = [rows[number] for number in numbers]
    has_edits = rows.num_changed > 0
    read = []
    for number, row in zip(numbers, found, strict=True):
        is_left_out = getattr(row, "kind", "") == LEFT_OUT
        words = _first_text(rows.tree_of(number)) if is_left_out else ""
        is_changed = has_edits and rows.is_changed(number)
        read.append((number, Read(row, _letters(row) + len(words), is_changed, words)))
    return read


def _first_text(tree: dict[str, Any]) -> str:
    """The first words in a row that is left out."""
    from core.data.columns import as_sample

    return next((as_sample(value) for value in tree.values() if isinstance(value, str | list) and value), "")


def _letters(row: Row | Problem) -> int:
    """About how much room a row takes."""
    texts = [getattr(row, "text", ""), getattr(row, "reason", "")]
    for name in ("messages", "chosen", "rejected"):
        texts += [message.content for message in getattr(row, name, ())]
    return 200 + sum(map(len, texts))
