"""One run, live or finished alike: follows its events, keeps its figures, passes wishes on to its worker."""

from __future__ import annotations

import math
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PySide6.QtCore import QObject, QTimer, Signal

from app.state.background import Background
from app.state.series import Column, Floats, Series, Smooth
from core import launch
from core.errors import HoneError
from core.events import Evaluated, Event, EventReader, Sampled, Started
from core.history import STEP_COLUMNS, History, StepRow, parse
from core.runs import RESUMABLE, Request, Run, State

TICK_MS = 100
IDLE_TICK_MS = 1000
PART_BYTES = 200_000
"""Read and parsed in about five milliseconds: so much at a time, with the window served in between. A thread
would be no faster and would hold up the window for longer, since both need the interpreter's lock."""
START_SECONDS = 60.0
PLOTTED = ("loss", "learning_rate", "grad_norm", "memory_bytes", "peak_bytes", "tokens_per_second")
_STEP, _TIME = STEP_COLUMNS.index("step"), STEP_COLUMNS.index("time")
_UNTOLD = ("step", "progress")


class LiveRun(QObject):
    """Listen to `advanced`: at most one signal per tick, after everything new has been taken in."""

    advanced = Signal()
    loaded = Signal()
    """All that was on disk when the run was opened has been read; emitted once."""
    refused = Signal(str)
    """A sentence: something that was asked for cannot be done."""

    def __init__(self, run: Run, background: Background, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.run = run
        self._background = background
        self._reader = EventReader(run.events_file)
        self._process: subprocess.Popen[bytes] | None = None
        self._awaits_lock = False
        self._has_died_early = False
        self._shown_at = 0.0
        self.history = History()
        self.state: State = "new"
        self.is_loaded = False
        self.is_asked_to_stop = False
        self.steps = Column()
        self.seconds = Column()
        """Time at work when each step ended; pauses between processes do not count."""
        self.series = {name: Series(self.steps) for name in PLOTTED}
        self.scores = Series(Column())
        """The loss on held-out rows, over the steps at which it was measured."""
        self.score_seconds = Column()
        self.samples: list[Sampled] = []
        self.told: list[Event] = []
        """All events worth reading, in order: neither steps nor progress."""
        self._smooth: dict[float, Smooth] = {}
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.tick)
        self._more = QTimer(self)
        self._more.setSingleShot(True)
        self._more.timeout.connect(self.tick)

    def start(self) -> None:
        """Begin to follow; what is already there is read at once or, if it is much, part by part."""
        self._timer.start(TICK_MS)
        self.tick()

    def pause(self) -> None:
        """Stop following while no one looks; `start` goes on without a gap."""
        self._timer.stop()
        self._more.stop()

    # What is known

    def smooth(self, factor: float) -> Smooth:
        """The smoothed loss; it keeps up with the run from now on."""
        if factor not in self._smooth:
            self._smooth[factor] = Smooth(self.series["loss"], factor)
            self._smooth[factor].catch_up()
        return self._smooth[factor]

    @property
    def is_starting(self) -> bool:
        """Whether a worker has been started and does not hold the run yet."""
        is_fresh = not self._has_died_early and _age(self.run.log_file) < START_SECONDS
        return self._awaits_lock or (self.state == "new" and is_fresh)

    @property
    def can_resume(self) -> bool:
        return self.is_loaded and not self.is_starting and self.state in (*RESUMABLE, "new")

    @property
    def can_compare(self) -> bool:
        """Whether there is something to talk to: the finished result, or a checkpoint."""
        return self.history.num_saved > 0 or self.state in ("done", "early")

    @property
    def has_failed_to_start(self) -> bool:
        """Whether a worker was started and ended before it had said anything."""
        return self.is_loaded and self.state == "new" and self.run.log_file.exists() and not self.is_starting

    def log_tail(self, num_bytes: int = 6000) -> str:
        """The last words of the worker's log, with the lines of progress bars left out."""
        try:
            with self.run.log_file.open("rb") as file:
                file.seek(max(0, file.seek(0, 2) - num_bytes))
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return ""
        lines = (line.rpartition("\r")[2] for line in text.split("\n"))
        return "\n".join(line for line in lines if line.strip())

    # What is asked for

    def save_now(self) -> None:
        self._request("save")

    def sample_now(self) -> None:
        self._request("sample")

    def stop(self) -> None:
        """Ask the worker to finish its step, save and end. Asked again, end it at once."""
        if self.state != "live":
            return
        if self.is_asked_to_stop:
            self._do(lambda: launch.kill_training(self.run), lambda _: None)
        else:
            self.is_asked_to_stop = True
            self._request("stop")
            self.advanced.emit()

    def resume(self) -> None:
        """Continue from the newest whole checkpoint, or begin if there is none."""
        if not self.can_resume:
            return
        self._do(lambda: launch.start_training(self.run), self._resumed)

    def _resumed(self, process: subprocess.Popen[bytes]) -> None:
        self._process, self._awaits_lock, self._has_died_early = process, True, False
        self.is_asked_to_stop = False
        self._timer.start(TICK_MS)
        self.advanced.emit()

    def _request(self, what: Request) -> None:
        try:
            self.run.request(what)
        except HoneError as error:
            self.refused.emit(error.message)

    def _do(self, work: Callable[[], object], done: Callable) -> None:
        self._background.run(self, work, done, lambda error: self.refused.emit(error.message))

    # How it is followed

    def tick(self) -> None:
        """Take in what is new; a long backlog in parts, each after the window has been served."""
        is_live = self.run.is_live()  # before reading: what a worker said last is then surely read
        if self._reader.num_unread_bytes() <= PART_BYTES:
            self._take(_read(self._reader), is_live)
            return
        self._add(_read(self._reader, PART_BYTES))
        self._more.start()
        if time.monotonic() - self._shown_at > TICK_MS / 1000:
            self._show()

    def _take(self, items: list[Steps | Event], is_live: bool) -> None:
        before = self.state, self.is_starting
        self._add(items)
        self.state = self.history.state(is_live)
        self._look_after_process(is_live)
        self.is_asked_to_stop = self.is_asked_to_stop and is_live
        self._timer.setInterval(TICK_MS if is_live or self.is_starting else IDLE_TICK_MS)
        was_loaded, self.is_loaded = self.is_loaded, True
        if items or before != (self.state, self.is_starting) or not was_loaded:
            self._show()
        if not was_loaded:
            self.loaded.emit()

    def _show(self) -> None:
        self._shown_at = time.monotonic()
        self.advanced.emit()

    def _look_after_process(self, is_live: bool) -> None:
        """A worker that this window started is a child to be waited for, however little else binds them."""
        has_ended = self._process is not None and self._process.poll() is not None
        if has_ended:
            self._process = None
        if is_live or has_ended:
            self._has_died_early = self._awaits_lock and not is_live
            self._awaits_lock = False

    def _add(self, items: list[Steps | Event]) -> None:
        for item in items:
            if isinstance(item, Steps):
                self.history.add(item.rows)
                self._add_steps(item.table)
            else:
                self.history.add(item)
                self._add_event(item)
        for smooth in self._smooth.values():
            smooth.catch_up()

    def _add_event(self, event: Event) -> None:
        match event:
            case Started():
                self._drop_after(event.resumed_from)
            case Evaluated():
                self._add_score(event)
            case Sampled():
                self.samples.append(event)
        if event.type not in _UNTOLD:
            self.told.append(event)

    def _drop_after(self, step: int) -> None:
        """A new process goes on from this step: what an earlier one did beyond it is done again."""
        kept = int(np.searchsorted(self.steps.values, step, "right"))
        self.steps.truncate(kept)
        self.seconds.truncate(kept)
        for series in (*self.series.values(), *self._smooth.values()):
            series.truncate(kept)
        kept = int(np.searchsorted(self.scores.positions.values, step, "right"))
        for column in (self.scores.positions, self.score_seconds, self.scores):
            column.truncate(kept)
        self.samples = [sample for sample in self.samples if sample.step <= step]

    def _add_score(self, event: Evaluated) -> None:
        steps, seconds = self.scores.positions, self.score_seconds
        last = (steps.values[-1], seconds.values[-1]) if len(steps) else (0.0, 0.0)
        steps.extend([max(event.step, last[0])])
        seconds.extend([max(self.history.seconds, last[1])])
        self.scores.extend([event.loss if math.isfinite(event.loss) else math.nan])

    def _add_steps(self, table: Floats) -> None:
        last_step = self.steps.values[-1] if len(self.steps) else -np.inf
        last_second = self.seconds.values[-1] if len(self.seconds) else 0.0
        # A plot searches these two, so they must never fall, whatever the file says.
        self.steps.extend(np.fmax.accumulate(np.fmax(table[:, _STEP], last_step)))
        ends = self.history.seconds + table[:, _TIME] - table[-1, _TIME]
        self.seconds.extend(np.fmax.accumulate(np.fmax(ends, last_second)))
        for name, series in self.series.items():
            series.extend(table[:, STEP_COLUMNS.index(name)])


@dataclass(frozen=True)
class Steps:
    """Consecutive steps, as rows for the history and as a table, steps × columns, for the series."""

    rows: list[StepRow]
    table: Floats


def _read(reader: EventReader, most_bytes: int = -1) -> list[Steps | Event]:
    """What the reader has not read yet, about so many bytes of it."""
    return [
        Steps(item, _table(item)) if isinstance(item, list) else item for item in parse(reader.lines(most_bytes))
    ]


def _table(rows: list[StepRow]) -> Floats:
    table = np.array(rows, dtype=np.float64)
    table[~np.isfinite(table)] = np.nan
    return table


def _age(path: Path) -> float:
    """Seconds since the file was last written; endless when there is none."""
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return float("inf")
