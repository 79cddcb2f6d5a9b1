"""All runs of the store as rows, looked at again every second or two; an unchanged run costs a glance."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from PySide6.QtCore import QObject, QTimer, Signal

from app.state.background import Background
from core.config import RunConfig
from core.errors import HoneError
from core.events import EventReader
from core.history import History, read_parts
from core.runs import Run, RunStore, State

INTERVAL_MS = 1500
PART_BYTES = 1_000_000
TRASH_SECONDS = 7 * 86400


@dataclass(frozen=True)
class RunRow:
    """One run as a table shows it; what is not known is None or empty."""

    run: Run
    state: State
    config: RunConfig | None
    problem: str = ""
    """Why the run cannot be read, in a sentence."""
    step: int = 0
    total_steps: int = 0
    loss: float | None = None
    best_loss: float | None = None
    peak_bytes: int = 0
    seconds: float = 0.0
    began: float = 0.0
    """Seconds since the epoch; when its folder was made, if it never started."""
    curve: tuple[float, ...] = ()
    pid: int = 0
    """Of the newest worker, living or dead; 0 before the first."""


class RunList(QObject):
    """`rows` are newest first. `start` and `pause` as the list comes into sight and goes."""

    changed = Signal()
    refused = Signal(str)
    """A sentence: something that was asked for cannot be done."""
    discarded = Signal(object)
    """The runs, as they lie in the trash; `restore` brings them back."""

    def __init__(self, store: RunStore, background: Background) -> None:
        super().__init__()
        self.store = store
        self._background = background
        self._known: dict[str, _Known] = {}
        self._is_looking = False
        self._wants_look = False
        self.rows: list[RunRow] = []
        self.has_looked = False
        self._timer = QTimer(self)
        self._timer.setInterval(INTERVAL_MS)
        self._timer.timeout.connect(self.look)

    @property
    def num_live(self) -> int:
        return sum(row.state == "live" for row in self.rows)

    def start(self) -> None:
        self._timer.start()
        self.look()

    def pause(self) -> None:
        self._timer.stop()

    def look(self) -> None:
        """Read on a thread what has changed since the last look."""
        if self._is_looking:
            self._wants_look = True
            return
        self._is_looking, self._wants_look = True, False
        self._background.run(self, self._read, self._seen, self._not_seen)

    def _seen(self, rows: list[RunRow]) -> None:
        self._is_looking = False
        was_first, self.has_looked = not self.has_looked, True
        if rows != self.rows or was_first:
            self.rows = rows
            self.changed.emit()
        if was_first:
            self._empty_old_trash()
        if self._wants_look:
            self.look()

    def _not_seen(self, error: HoneError) -> None:
        self._is_looking = False
        self.refused.emit(error.message)
        self._seen([])

    def _read(self) -> list[RunRow]:
        runs = self.store.runs()
        self._known = {run.id: self._known.get(run.id) or _Known(run) for run in runs}
        return [self._known[run.id].row() for run in runs]

    # What is asked for

    def discard(self, runs: list[Run]) -> None:
        """Put runs into the trash; live ones are refused."""
        self._do(runs, self.store.discard, self.discarded.emit)

    def restore(self, discarded: list[Run]) -> None:
        self._do(discarded, self.store.restore, lambda _: None)

    def rename(self, run: Run, name: str) -> None:
        self._do([run], lambda one: self.store.rename(one, name), lambda _: None)

    def _empty_old_trash(self) -> None:
        """Remove for good what has lain in the trash for a week."""
        self._background.run(self, lambda: self.store.empty_trash(TRASH_SECONDS), lambda _: None)

    def _do(self, runs: list[Run], work, done) -> None:
        def all_of_them() -> tuple[list[Run], list[str]]:
            moved, refusals = [], []
            for run in runs:
                try:
                    moved.append(work(run))
                except HoneError as error:
                    refusals.append(error.message)
            return moved, refusals

        def tell(result: tuple[list[Run], list[str]]) -> None:
            moved, refusals = result
            if moved:
                done(moved)
            if refusals:
                self.refused.emit(" ".join(refusals))
            self.look()

        self._background.run(self, all_of_them, tell)


@dataclass
class _Known:
    """What has been read of a run so far; reads on from there."""

    run: Run
    history: History = field(default_factory=History)
    _reader: EventReader = field(init=False)
    _row: RunRow | None = None
    _config: RunConfig | None = None
    _problem: str = ""

    def __post_init__(self) -> None:
        self._reader = EventReader(self.run.events_file)
        try:
            self._config = self.run.config
        except HoneError as error:
            self._problem = error.message

    def row(self) -> RunRow:
        is_live = self.run.is_live()  # before reading: what a worker said last is then surely read
        has_grown = self._reader.num_unread_bytes() > 0
        if has_grown:
            for items in read_parts(self._reader, PART_BYTES):
                self.history.add_all(items)
        state = self.history.state(is_live)
        if self._row is None or has_grown or state != self._row.state:
            self._row = self._make_row(state)
        return self._row

    def _make_row(self, state: State) -> RunRow:
        history, best = self.history, self.history.best
        return RunRow(
            run=self.run,
            state=state,
            config=self._config,
            problem=self._problem,
            step=history.step,
            total_steps=history.total_steps,
            loss=history.loss,
            best_loss=best.loss if best else None,
            peak_bytes=history.peak_bytes,
            seconds=history.seconds,
            began=history.began or _made(self.run),
            curve=tuple(history.curve),
            pid=history.started.pid if history.started else 0,
        )


def _made(run: Run) -> float:
    """When the run's folder was made, from its name; 0 where the name does not tell."""
    try:
        return time.mktime(time.strptime(run.id[:15], "%Y%m%d-%H%M%S"))
    except (ValueError, OverflowError):
        return 0.0
