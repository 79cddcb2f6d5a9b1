"""Work that would hold up the window: done on a thread, its result brought back to the window's thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import shiboken6
from PySide6.QtCore import QObject, QRunnable, Qt, QThreadPool, Signal

from core.errors import HoneError

T = TypeVar("T")


class DroppedError(Exception):
    """Raised inside work that looks at its ticket, to end it: no one waits for the result."""


class Ticket(QObject):
    """One piece of work under way. Drop it when its result is no longer wanted."""

    arrived = Signal(object, object)
    finished = Signal()
    progressed = Signal(float)
    """Share that is done, of work that reports it."""

    def __init__(
        self,
        owner: QObject,
        done: Callable[[Any], None],
        failed: Callable[[HoneError], None] | None,
        told: Callable[[float], None] | None,
    ) -> None:
        super().__init__()
        self._owner, self._done, self._failed, self._told = owner, done, failed, told
        self.is_dropped = False
        self.arrived.connect(self._deliver, Qt.ConnectionType.QueuedConnection)
        self.progressed.connect(self._tell, Qt.ConnectionType.QueuedConnection)

    def drop(self) -> None:
        self.is_dropped = True

    def report(self, done: float, total: float) -> None:
        """For the work itself, on its thread, now and then: tells how far it is. Raises DroppedError once it is
        no longer wanted."""
        if self.is_dropped:
            raise DroppedError
        self.progressed.emit(done / total if total else 0.0)

    def _tell(self, share: float) -> None:
        if self._told is not None and not self.is_dropped and shiboken6.isValid(self._owner):
            self._told(share)

    def _deliver(self, result: Any, error: Exception | None) -> None:
        self.finished.emit()
        if self.is_dropped or not shiboken6.isValid(self._owner):
            return
        if error is None:
            self._done(result)
        elif isinstance(error, HoneError):
            if self._failed is not None:
                self._failed(error)
        else:
            raise error


class Background(QObject):
    """A few threads. `done` and `failed` are called on the window's thread, never after the owner is gone."""

    def __init__(self, num_threads: int = 4) -> None:
        super().__init__()
        self._pool = QThreadPool()
        self._pool.setMaxThreadCount(num_threads)
        self._held: list[_Work] | None = None
        self._tickets: set[Ticket] = set()

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
        ticket = Ticket(owner, done, failed, told)
        self._tickets.add(ticket)
        ticket.finished.connect(lambda: self._tickets.discard(ticket))
        task = _Work(ticket, work)
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
        for ticket in self._tickets:
            ticket.drop()
        self._pool.waitForDone(wait_ms)


class _Work(QRunnable):
    def __init__(self, ticket: Ticket, work: Callable[[Ticket], Any]) -> None:
        super().__init__()
        self._ticket, self._work = ticket, work

    def run(self) -> None:
        result, error = None, None
        try:
            result = self._work(self._ticket)
        except Exception as caught:  # handed to the window's thread, where it is shown or raised
            error = caught
        if shiboken6.isValid(self._ticket):
            self._ticket.arrived.emit(result, error)
