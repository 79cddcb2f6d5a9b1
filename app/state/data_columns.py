"""The columns of the chosen data, read on a thread once they are wanted, and the values of the row in sight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal

from app.state.background import Background, Ticket
from app.state.chosen_data import ChosenData
from core.errors import HoneError

if TYPE_CHECKING:
    from core.data.columns import Columns
    from core.data.rows import Rows


class DataColumns(QObject):
    """`look` once, then `columns` follows the data, whether or not its rows make sense."""

    changed = Signal()

    def __init__(self, data: ChosenData, background: Background) -> None:
        super().__init__()
        self._data, self._background = data, background
        self._is_wanted = False
        self._read: tuple[str, Rows | None] | None = None
        self._number = 0
        self._ticket: Ticket | None = None
        self._row_ticket: Ticket | None = None
        self.columns: Columns | None = None
        self.tree: dict[str, Any] = {}
        """All columns of the row in sight, else of the first that can be read."""
        self.error = ""
        data.changed.connect(self._follow)

    def look(self) -> None:
        """Read the columns now, and again whenever the data is other data."""
        self._is_wanted = True
        self._follow()

    def show(self, number: int) -> None:
        """Take the values from this row, counted from 0."""
        self._number = number
        if self._is_wanted and self.columns is not None:
            self._read_tree()

    def _follow(self) -> None:
        """Other rows of the same data, as after an edit, have the same columns for all anyone knows."""
        if not self._is_wanted:
            return
        read = self._data.source, self._data.rows
        if read == self._read:
            return
        is_same = self._read is not None and self._read[0] == read[0] and self.columns is not None
        self._read = read
        if is_same and self._data.rows is not None:
            self._read_tree()
            return
        if is_same:
            return
        for ticket in (self._ticket, self._row_ticket):
            if ticket is not None:
                ticket.drop()
        self.columns, self.tree, self.error = None, {}, ""
        source = self._data.source
        self._ticket = self._background.run(self, lambda: _columns(source), self._found, self._failed)
        self.changed.emit()

    def _found(self, columns: Columns) -> None:
        self.columns, self.tree = columns, columns.tree
        self.changed.emit()
        self._read_tree()

    def _failed(self, error: HoneError) -> None:
        self.error = error.message
        self.changed.emit()

    def _read_tree(self) -> None:
        rows, number = self._data.rows, self._number
        if self._row_ticket is not None:
            self._row_ticket.drop()
        if rows is not None and 0 <= number < len(rows):
            self._row_ticket = self._background.run(self, lambda: rows.tree_of(number), self._take)

    def _take(self, tree: dict[str, Any]) -> None:
        self.tree = tree
        self.changed.emit()


def _columns(source: str) -> Columns:
    from core.data.columns import find_columns

    return find_columns(source)
