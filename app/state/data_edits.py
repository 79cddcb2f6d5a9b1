"""Edits of the chosen data's rows, written beside it on a thread; the data itself is never written."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal

from app.state.background import Background
from app.state.chosen_data import ChosenData
from core.errors import HoneError

if TYPE_CHECKING:
    from core.data.rows import Rows


class DataEdits(QObject):
    """Each edit reads the data again once it is written. One at a time: another is not begun before."""

    changed = Signal()
    opened = Signal(int, object)
    """A row's number and all its columns, for an editor."""
    done = Signal()
    failed = Signal(str)

    def __init__(self, data: ChosenData, background: Background) -> None:
        super().__init__()
        self._data, self._background = data, background
        self._rows: Rows | None = None
        self._is_busy = False
        self._edited = ""
        self.num_changed = 0
        self.file_name = ""
        """Of the file that holds the edits."""
        data.changed.connect(self._follow)

    @property
    def is_busy(self) -> bool:
        return self._is_busy

    def open(self, number: int) -> None:
        """Read a row's columns; `opened` brings them."""
        if (rows := self._data.rows) is not None:
            self._background.run(
                self, lambda: rows.tree_of(number), lambda tree: self.opened.emit(number, tree), self._fail
            )

    def exclude(self, number: int) -> None:
        """Leave a row out of training."""
        self._write(lambda rows: _exclude(rows, number), number)

    def set_fields(self, number: int, texts: dict[str, str]) -> None:
        """Set columns, or places within one such as messages.1.content, to what typed texts mean there."""
        self._write(lambda rows: _set_fields(rows, number, texts), number)

    def add(self, row: dict[str, Any]) -> None:
        """Add a row with these columns."""
        self._write(lambda rows: _add(rows, row))

    def undo(self) -> None:
        """Take the last edit back."""
        source = self._edited or self._data.source
        self._write(lambda _: _undo(source))

    def _write(self, work: Callable[[Rows], None], number: int = -1) -> None:
        """Do it on a thread. The last edit is the one of the source it was made in, where several are mixed."""
        rows = self._data.rows
        if rows is None or self._is_busy:
            return
        self._edited = rows.source_of(number) if number >= 0 else ""
        self._is_busy = True
        self._background.run(self, lambda: work(rows), self._written, self._fail)

    def _written(self, _: None) -> None:
        self._is_busy = False
        self.done.emit()
        self._data.read_again()

    def _fail(self, error: HoneError) -> None:
        self._is_busy = False
        self.failed.emit(error.message)

    def _follow(self) -> None:
        rows = self._data.rows
        if rows is self._rows:
            return
        self._rows = rows
        self.num_changed = rows.num_changed if rows is not None else 0
        if rows is not None and self.num_changed:
            self._background.run(self, lambda: _file_name(rows), self._name)
        self.changed.emit()

    def _name(self, name: str) -> None:
        self.file_name = name
        self.changed.emit()


def _exclude(rows: Rows, number: int) -> None:
    from core.data.edits import exclude

    exclude(rows.source_of(number), [number], rows)


def _set_fields(rows: Rows, number: int, texts: dict[str, str]) -> None:
    from core.data.edits import as_value, set_field

    source = rows.source_of(number)
    values = {place: as_value(source, number, place, text, rows) for place, text in texts.items()}
    for place, value in values.items():
        set_field(source, number, place, value, rows)


def _add(rows: Rows, row: dict[str, Any]) -> None:
    from core.data.edits import add_row

    add_row(rows.source, row, rows)


def _undo(source: str) -> None:
    from core.data.edits import undo

    undo(source)


def _file_name(rows: Rows) -> str:
    from core.data.edits import overlay_file

    return overlay_file(rows.source).name
