"""The data the draft names: its rows, opened lazily, and the report of a check of them all, made on a thread."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from app.state.background import Background, DroppedError, Ticket
from app.state.draft import Draft
from core.config import RunConfig
from core.data.kinds import POLICIES
from core.errors import HoneError

if TYPE_CHECKING:
    from core.data.report import Report
    from core.data.rows import Rows
    from core.sections import DataSection

LARGE_BYTES = 1 << 20
"""Data that takes longer to check than a process takes to start."""


class ChosenData(QObject):
    """First `rows` arrives, then `report`; or `error` does. `changed` is emitted at each."""

    changed = Signal()
    progressed = Signal()
    """Opening or checking is further on, which changes nothing but its share: no plan is made anew for it."""

    def __init__(self, draft: Draft, background: Background) -> None:
        super().__init__()
        self._background = background
        self._tickets: list[Ticket] = []
        self.source = ""
        self._config: RunConfig | None = None
        self._is_opening = False
        self.rows: Rows | None = None
        self.report: Report | None = None
        self.error = ""
        self.apart_error = ""
        """Why the file to evaluate on cannot be had, once the data has been checked without it."""
        self.opening = ""
        """What goes on with packed or large data before there are rows, such as "Unpacking"."""
        self.opened_share = 0.0
        self.checked_share = 0.0
        """How much of the data has been checked, while there is no report yet."""
        draft.changed.connect(self._follow)
        self._follow(draft.config)

    @property
    def is_reading(self) -> bool:
        return self.report is None and not self.error

    @property
    def unlearnable(self) -> str:
        """Why no objective of a run can learn from rows of this kind; empty where one can."""
        if self.rows is None or self._config is None:
            return ""
        from core.data.rows import require_objective

        try:
            require_objective(self.rows, self._config.objective.kind)
        except HoneError as error:
            return error.message
        return ""

    def read_again(self) -> None:
        """Read again after an edit; the rows as they were stay in sight until then."""
        self.report, self.error = None, ""
        if self.rows is None or self._is_opening:
            self._open()
            return
        self._drop()
        self._is_opening = True
        self._tickets = [self._background.run(self, self.rows.edited, self._opened, self._failed)]
        self.changed.emit()

    def look_again(self) -> None:
        """Read again, as after the file was mended."""
        self._forget()
        self._open()

    def _follow(self, config: RunConfig) -> None:
        """Other data is forgotten at once; the same data read in another way stays in sight until that is read."""
        before, self._config = self._config, config
        if before is None or config.data.source != self.source:
            self.source = config.data.source
            self._forget()
            self._open()
        elif _reading(config) != _reading(before):
            self.report, self.error = None, ""
            self._open()
        elif _checking(config) != _checking(before) and self.rows is not None and not self._is_opening:
            self._check()  # rows still being opened are checked once they are there

    def _forget(self) -> None:
        self.rows, self.report, self.error, self.apart_error = None, None, "", ""

    def _open(self) -> None:
        self._drop()
        self._is_opening, self.opening, self.opened_share = True, "", 0.0
        assert self._config is not None
        work = partial(_open, self._config.data, self._config.runtime.seed, self._tell_opening)
        self._tickets = [self._background.run_long(self, work, self._opened, self._failed, self._opened_so_far)]
        self.changed.emit()

    def _tell_opening(self, what: str) -> None:
        """Called on the thread that opens the data, before it reports how far it is."""
        self.opening = what

    def _opened_so_far(self, share: float) -> None:
        self.opened_share = share
        self.progressed.emit()

    def _drop(self) -> None:
        for ticket in self._tickets:
            ticket.drop()

    def _opened(self, rows: Rows) -> None:
        self.rows, self._is_opening = rows, False
        self._check()
        self.changed.emit()

    def _check(self) -> None:
        """Make the report; one still being made for another split is no longer wanted."""
        self._drop()
        assert self._config is not None
        is_large = self.rows is not None and self.rows.num_bytes > LARGE_BYTES
        check, self.checked_share = partial(_check, self._config, is_large), 0.0
        self._tickets = [self._background.run_long(self, check, self._checked, self._failed, self._progressed)]

    def _progressed(self, share: float) -> None:
        if share >= self.checked_share + 0.01:
            self.checked_share = share
            self.progressed.emit()

    def _checked(self, found: tuple[Report, str]) -> None:
        self.report, self.apart_error = found
        self.changed.emit()

    def _failed(self, error: HoneError) -> None:
        self.rows, self._is_opening, self.error = None, False, error.message
        self.changed.emit()


READ_BY = ("more", "mapping", "split_column", "stratify_by", "group_by")
CHECKED_BY = ("holdout", "holdout_source", *(policy.name for policy in POLICIES))
"""Settings of the data that change what is read of it, and what is found in it."""


def _reading(config: RunConfig) -> tuple[object, ...]:
    seed = config.runtime.seed if config.data.more else 0
    return (seed, *(getattr(config.data, name) for name in READ_BY))


def _checking(config: RunConfig) -> tuple[object, ...]:
    return (config.runtime.seed, *(getattr(config.data, name) for name in CHECKED_BY))


def _open(data: DataSection, seed: int, tell: Callable[[str], None], ticket: Ticket) -> Rows:
    """Ended when the ticket is dropped, as when other data is chosen."""
    from core.data.pace import now_and_then
    from core.data.rows import rows_of

    def show(what: str, done: int, total: int) -> None:
        tell(what)
        ticket.report(done, total)

    seldom = now_and_then(show)

    def told(what: str, done: int, total: int) -> None:
        if ticket.is_dropped:
            raise DroppedError
        seldom(what, done, total)

    return rows_of(data, seed, told)


def _check(config: RunConfig, is_large: bool, ticket: Ticket) -> tuple[Report, str]:
    """The report. While the file to evaluate on cannot be had, one on the data alone, and why."""
    from core.data.apart import check_apart, check_run

    check = check_apart if is_large else check_run
    try:
        return check(config, ticket.report), ""
    except HoneError as error:
        if error.path != "data.holdout_source":
            raise
        return check(config.with_value("data.holdout_source", ""), ticket.report), error.message
