"""The data the draft names: its rows, opened lazily, and the report of a check of them all, made on a thread."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from app.state.background import Background, Ticket
from app.state.draft import Draft
from core.config import RunConfig
from core.errors import HoneError

if TYPE_CHECKING:
    from core.data.check import Report
    from core.data.rows import Rows


class ChosenData(QObject):
    """First `rows` arrives, then `report`; or `error` does. `changed` is emitted at each."""

    changed = Signal()

    def __init__(self, draft: Draft, background: Background) -> None:
        super().__init__()
        self._background = background
        self._tickets: list[Ticket] = []
        self.source = ""
        self._split = (draft.config.data.holdout, draft.config.runtime.seed)
        self.rows: Rows | None = None
        self.report: Report | None = None
        self.error = ""
        self.checked_share = 0.0
        """How much of the data has been checked, while there is no report yet."""
        draft.changed.connect(self._follow)
        self._follow(draft.config)

    @property
    def is_reading(self) -> bool:
        return self.report is None and not self.error

    def look_again(self) -> None:
        """Read again, as after the file was mended."""
        for ticket in self._tickets:
            ticket.drop()
        self.rows, self.report, self.error = None, None, ""
        source = self.source
        self._tickets = [self._background.run(self, lambda: _open(source), self._opened, self._failed)]
        self.changed.emit()

    def _follow(self, config: RunConfig) -> None:
        split = config.data.holdout, config.runtime.seed
        is_other_split, self._split = split != self._split, split
        if config.data.source != self.source:
            self.source = config.data.source
            self.look_again()
        elif is_other_split and self.rows is not None:
            self._check()

    def _opened(self, rows: Rows) -> None:
        self.rows = rows
        self._check()
        self.changed.emit()

    def _check(self) -> None:
        """Make the report; one still being made for another split is no longer wanted."""
        for ticket in self._tickets:
            ticket.drop()
        source, (holdout, seed) = self.source, self._split
        check, self.checked_share = partial(_check, source, holdout, seed), 0.0
        self._tickets = [self._background.run_long(self, check, self._checked, self._failed, self._progressed)]

    def _progressed(self, share: float) -> None:
        if share >= self.checked_share + 0.01:
            self.checked_share = share
            self.changed.emit()

    def _checked(self, report: Report) -> None:
        self.report = report
        self.changed.emit()

    def _failed(self, error: HoneError) -> None:
        self.error = error.message
        self.changed.emit()


def _open(source: str) -> Rows:
    from core.data.rows import open_rows

    return open_rows(source)


def _check(source: str, holdout: float, seed: int, ticket: Ticket) -> Report:
    from core.data.check import check

    return check(source, ticket.report, holdout=holdout, seed=seed)
