"""Work that would hold up the window: done on a thread, its result brought back to the window's thread."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, TypeVar

import shiboken6
from PySide6.QtCore import QObject, QRunnable, Qt, QThreadPool, Signal

from core.errors import HoneError

T = TypeVar("T")


class DroppedError(Exception):
    """Raised inside work that looks at its ticket, to end it: no one waits for the result."""


class Ticket:
    """One piece of work under way. Drop it when its result is no longer wanted."""

    def __init__(
        self,
        tell: Callable[[float], None],
        owner: QObject,
        work: Callable[[Ticket], Any],
        done: Callable[[Any], None],
        failed: Callable[[HoneError], None] | None,
        told: Callable[[float], None] | None,
    ) -> None:
        self._tell, self._owner, self._work = tell, owner, work
        self._done, self._failed, self._told = done, failed, told
        self._result: Any = None
        self._error: Exception | None = None
        self.is_dropped = False

    def drop(self) -> None:
        self.is_dropped = True

    def report(self, done: float, total: float) -> None:
        """For the work itself, on its thread, now and then: tells how far it is. Raises DroppedError once it is
        no longer wanted."""
        if self.is_dropped:
            raise DroppedError
        self._tell(done / total if total else 0.0)

    def work(self) -> None:
        """On a thread: do it, and keep what comes of it."""
        try:
            self._result = self._work(self)
        except Exception as caught:  # handed to the window's thread, where it is shown or raised
            self._error = caught

    def take_share(self, share: float) -> None:
        """On the window's thread: that share is done."""
        if self._told is not None and self._is_wanted:
            self._told(share)

    def deliver(self) -> None:
        """On the window's thread: hand over what came of it."""
        error, self._error = self._error, None
        if not self._is_wanted:
            return
        if error is None:
            self._done(self._result)
        elif isinstance(error, HoneError):
            if self._failed is not None:
                self._failed(error)
        else:
            raise error

    @property
    def _is_wanted(self) -> bool:
        return not self.is_dropped and shiboken6.isValid(self._owner)


class Background(QObject):
    """A few threads. `done` and `failed` are called on the window's thread, never after the owner is gone.

    Threads tell the window's thread the number of a ticket and hold nothing of it by then: what a ticket refers
    to, widgets among it, must not end on a thread.
    """

    _worked = Signal(int)
    _progressed = Signal(int, float)

    def __init__(self, num_threads: int = 4) -> None:
        super().__init__()
        self._pool = QThreadPool()
        self._pool.setMaxThreadCount(num_threads)
        self._held: list[_Work] | None = None
        self._numbers = itertools.count()
        self._tickets: dict[int, Ticket] = {}
        self._worked.connect(self._deliver, Qt.ConnectionType.QueuedConnection)
        self._progressed.connect(self._take_share, Qt.ConnectionType.QueuedConnection)

    def run(
        self,
        owner: QObject,
        work: Callable[[], T],
        done: Callable[[T], None],
        failed: Callable[[HoneError], None] | None = None,
    ) -> Ticket:
        """Do `work` on a thread. A HoneError goes to `failed`, any other is raised on the window's thread."""
        return self.run_long(owner, lambda _: work(), done, failed)

    def run_long(
        self,
        owner: QObject,
        work: Callable[[Ticket], T],
        done: Callable[[T], None],
        failed: Callable[[HoneError], None] | None = None,
        told: Callable[[float], None] | None = None,
    ) -> Ticket:
        """Like `run`, for work that takes longer than a person waits: it gets its ticket to report to, and `told`
        is called with the share that is done."""
        number = next(self._numbers)
        ticket = Ticket(lambda share: self._progressed.emit(number, share), owner, work, done, failed, told)
        self._tickets[number] = ticket
        task = _Work(self, number)
        self._pool.start(task) if self._held is None else self._held.append(task)
        return ticket

    def hold(self) -> None:
        """Begin nothing until `release`: threads that import modules would delay the window's first paint."""
        self._held = self._held or []

    def release(self) -> None:
        held, self._held = self._held or [], None
        for work in held:
            self._pool.start(work)

    @property
    def is_idle(self) -> bool:
        return not self._tickets

    def close(self, wait_ms: int = 3000) -> None:
        """Forget what has not begun, drop what has, and give threads a moment to end."""
        self._held = None
        self._pool.clear()
        for ticket in self._tickets.values():
            ticket.drop()
        self._pool.waitForDone(wait_ms)

    def work(self, number: int) -> None:
        """On a thread: do what a ticket is for."""
        self._tickets[number].work()
        if shiboken6.isValid(self):
            self._worked.emit(number)

    def _deliver(self, number: int) -> None:
        self._tickets.pop(number).deliver()

    def _take_share(self, number: int, share: float) -> None:
        if ticket := self._tickets.get(number):
            ticket.take_share(share)


class _Work(QRunnable):
    def __init__(self, background: Background, number: int) -> None:
        super().__init__()
        self._background, self._number = background, number

    def run(self) -> None:
        self._background.work(self._number)
