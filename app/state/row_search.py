"""Which rows of the chosen data hold some words: looked for on a thread, told while it goes on."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from app.state.background import Background, Ticket
from app.state.chosen_data import ChosenData

if TYPE_CHECKING:
    from core.data.row import Problem, Row
    from core.data.rows import Rows

CHUNK_ROWS = 200
MOST_FOUND = 10_000
REST_SECONDS = 0.001
"""Left to the window's thread after each chunk: reading rows holds Python's one lock."""


class RowSearch(QObject):
    """`found` is None while nothing is looked for, else the numbers found so far, in order."""

    changed = Signal()

    def __init__(self, data: ChosenData, background: Background) -> None:
        super().__init__()
        self._data, self._background = data, background
        self._rows: Rows | None = None
        self._ticket: Ticket | None = None
        self.words = ""
        self.found: list[int] | None = None
        self.share = 0.0
        """How much has been looked through."""
        data.changed.connect(self._follow)

    @property
    def is_running(self) -> bool:
        return self._ticket is not None

    def search(self, words: str) -> None:
        """Look for rows that hold these words, in any case; nothing ends the search."""
        words = words.strip()
        if words != self.words:
            self.words = words
            self._begin()

    def _follow(self) -> None:
        if self._data.rows is not self._rows:
            self._rows = self._data.rows
            self._begin()

    def _begin(self) -> None:
        if self._ticket is not None:
            self._ticket.drop()
        self._ticket, self._rows, self.share = None, self._data.rows, 0.0
        self.found = None
        if self.words and self._rows is not None:
            self.found = []
            look = partial(_look, self._rows, self.words.casefold(), self.found)
            self._ticket = self._background.run_long(self, look, self._end, told=self._tell)
        self.changed.emit()

    def _tell(self, share: float) -> None:
        self.share = share
        self.changed.emit()

    def _end(self, _: None) -> None:
        self._ticket, self.share = None, 1.0
        self.changed.emit()


def _look(rows: Rows, words: str, found: list[int], ticket: Ticket) -> None:
    """Append the number of each row that holds `words`; read by the window's thread meanwhile."""
    told = time.monotonic()
    for start in range(0, len(rows), CHUNK_ROWS):
        for number, row in enumerate(rows[start : start + CHUNK_ROWS], start):
            if holds(row, words):
                found.append(number)
        time.sleep(REST_SECONDS)
        if len(found) >= MOST_FOUND:
            return
        if (now := time.monotonic()) - told > 0.1:
            told = now
            ticket.report(start, len(rows))


def holds(row: Row | Problem, words: str) -> bool:
    """Whether any text of a row holds these words, which are without capitals."""
    if words in getattr(row, "text", "").casefold() or words in getattr(row, "reason", "").casefold():
        return True
    messages = (message for name in ("messages", "chosen", "rejected") for message in getattr(row, name, ()))
    return any(words in message.content.casefold() for message in messages)
