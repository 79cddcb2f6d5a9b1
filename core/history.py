"""What a run's events add up to: how far it is, how well it does, how long it still takes. One pass, no torch."""

from __future__ import annotations

import math
import statistics
import time
from collections import deque
from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import Any, NamedTuple

from pydantic_core import from_json

from core.events import (
    Evaluated,
    Event,
    EventReader,
    Failed,
    Finished,
    Loaded,
    Progress,
    Saved,
    Started,
    Step,
    Warned,
    decode,
)
from core.runs import Run, State, state_after

STEP_COLUMNS = tuple(name for name in Step.model_fields if name != "type")
StepRow = tuple[float, ...]
"""The values of a Step in the order of STEP_COLUMNS; a run has a million of them, so they stay bare."""

_values = itemgetter(*STEP_COLUMNS)
TIME, STEP, LOSS, SPEED, MEMORY, PEAK = (
    STEP_COLUMNS.index(name)
    for name in ("time", "step", "loss", "tokens_per_second", "memory_bytes", "peak_bytes")
)
NUM_PACED = 60
NUM_DRAWN = 64


def parse(lines: list[bytes]) -> list[list[StepRow] | Event]:
    """What the lines say, in order; Steps as lists of bare rows, which are read four times as fast as events."""
    try:
        records = from_json(b"[" + b",".join(lines) + b"]")
    except ValueError:  # a torn line is among them
        records = [None] * len(lines)
    if len(records) != len(lines):
        records = [None] * len(lines)
    found: list[list[StepRow] | Event] = []
    rows: list[StepRow] = []
    for record, line in zip(records, lines, strict=True):
        item = _row(record) or decode(line)
        if isinstance(item, Step):
            item = _as_row(item)
        if isinstance(item, tuple):
            if not rows:
                found.append(rows)
            rows.append(item)
        elif item is not None:
            found.append(item)
            rows = []
    return found


def _row(record: Any) -> StepRow | None:
    """The row of a plain Step; None for anything else, which is then read with care."""
    try:
        if record["type"] != "step":
            return None
        row = _values(record)
        sum(row)  # only numbers add up
        if not (type(row[STEP]) is type(row[MEMORY]) is type(row[PEAK]) is int):
            return None
    except (TypeError, KeyError, OverflowError):
        return None
    return row


def _as_row(step: Step) -> StepRow:
    return tuple(getattr(step, name) for name in STEP_COLUMNS)


class Score(NamedTuple):
    """One evaluation on held-out rows; the loss is in nats per trained token."""

    step: int
    loss: float


class History:
    """Feed it what `parse` returns, in order; every attribute then holds the latest that is known."""

    def __init__(self) -> None:
        self.started: Started | None = None
        self.loaded: Loaded | None = None
        self.progress: Progress | None = None
        """Set while a long job before the first step is under way."""
        self.last: Event | None = None
        """The latest event that was no step; None before any, and again once a step has followed `Started`."""
        self.step = 0
        self.loss: float | None = None
        self.scores: list[Score] = []
        self.memory_bytes = 0
        self.peak_bytes = 0
        self.num_warnings = 0
        self.num_saved = 0
        self.saved_step = 0
        """The step of the newest checkpoint."""
        self.began: float | None = None
        """When the first process of the run started, in seconds since the epoch."""
        self.latest: float | None = None
        self.seconds = 0.0
        """Time at work in all processes of the run; pauses between them do not count."""
        self._session_began = 0.0
        self._seconds_before = 0.0
        self._paces: deque[tuple[float, float]] = deque(maxlen=NUM_PACED)
        self._speeds: deque[float] = deque(maxlen=NUM_PACED)
        self._drawn: list[tuple[float, float]] = []
        self._stretch: list[tuple[float, float]] = []
        self._stride = 1

    def add_all(self, items: Iterable[list[StepRow] | Event]) -> None:
        for item in items:
            self.add(item)

    def add(self, item: list[StepRow] | Event) -> None:
        if isinstance(item, list):
            self._add_steps(item)
        else:
            self._add_event(item)

    def _add_steps(self, rows: list[StepRow]) -> None:
        last = rows[-1]
        self.step, self.loss, self.memory_bytes = int(last[STEP]), last[LOSS], int(last[MEMORY])
        self.peak_bytes = max(self.peak_bytes, int(max(row[PEAK] for row in rows)))
        self._paces.extend((row[TIME], row[STEP]) for row in rows[-NUM_PACED:])
        self._speeds.extend(row[SPEED] for row in rows[-NUM_PACED:])
        self.progress = None
        self.last = None
        self._note_time(last[TIME])
        self._draw([(row[STEP], row[LOSS]) for row in rows if math.isfinite(row[LOSS])])

    def _draw(self, points: list[tuple[float, float]]) -> None:
        """Keep means of ever longer stretches, so that the curve stays short however long the run."""
        waiting = self._stretch + points
        done = 0
        while len(waiting) - done >= self._stride:
            stretch = waiting[done : done + self._stride]
            done += self._stride
            self._drawn.append((stretch[-1][0], sum(loss for _, loss in stretch) / self._stride))
            if len(self._drawn) == 2 * NUM_DRAWN:
                pairs = zip(self._drawn[::2], self._drawn[1::2], strict=True)
                self._drawn = [(step, (first + second) / 2) for (_, first), (step, second) in pairs]
                self._stride *= 2
        self._stretch = waiting[done:]

    def _add_event(self, event: Event) -> None:
        self.last = event
        match event:
            case Started():
                self._begin(event)
            case Loaded():
                self.loaded, self.progress = event, None
                self.memory_bytes = event.memory_bytes or self.memory_bytes
            case Progress():
                self.progress = event
            case Evaluated():
                self.scores.append(Score(event.step, event.loss))
            case Warned():
                self.num_warnings += 1
            case Saved():
                self.num_saved += 1
                self.saved_step = event.step
            case Finished():
                self.step, self.progress = event.step, None
                self.peak_bytes = max(self.peak_bytes, event.peak_bytes)
            case Failed():
                self.progress = None
        self._note_time(event.time)

    def _begin(self, event: Started) -> None:
        """A new process goes on from a checkpoint: what an earlier one did beyond it is done again."""
        self._seconds_before = self.seconds
        self._session_began = event.time
        self.began = self.began or event.time
        self.started, self.progress = event, None
        self.step = event.resumed_from
        self.scores = [score for score in self.scores if score.step <= event.resumed_from]
        self._drawn = [point for point in self._drawn if point[0] <= event.resumed_from]
        self._stretch = []
        self._paces.clear()
        self._speeds.clear()

    def _note_time(self, when: float) -> None:
        self.latest = when
        if self.started is not None:
            self.seconds = self._seconds_before + max(0.0, when - self._session_began)

    @property
    def total_steps(self) -> int:
        return self.started.total_steps if self.started else 0

    @property
    def best(self) -> Score | None:
        """The lowest held-out loss; the first of equal ones."""
        return min(
            (score for score in self.scores if not math.isnan(score.loss)), key=lambda s: s.loss, default=None
        )

    @property
    def predicted_peak_bytes(self) -> int:
        """What the plan said, corrected by earlier runs where it was."""
        return (self.started.planned_peak_bytes or self.started.predicted_peak_bytes) if self.started else 0

    @property
    def evidence(self) -> str:
        """What earlier runs changed in the plan, in words; empty where there were too few."""
        return self.started.evidence if self.started else ""

    @property
    def failure(self) -> str:
        """The sentence of the error that ended the run; empty for any other end."""
        return self.last.message if isinstance(self.last, Failed) else ""

    @property
    def tokens_per_second(self) -> float | None:
        """The median over the latest steps, so that one slow step does not show."""
        return statistics.median(self._speeds) if self._speeds else None

    @property
    def seconds_per_step(self) -> float | None:
        """The mean over the latest steps, evaluations included; a rare long pause counts as ten usual steps."""
        pairs = zip(self._paces, list(self._paces)[1:], strict=False)
        paces = [max(0.0, t2 - t1) / (n2 - n1) for (t1, n1), (t2, n2) in pairs if n2 > n1]
        if not paces:
            return None
        usual = statistics.median(paces)
        return statistics.fmean(min(pace, 10 * usual) for pace in paces)

    @property
    def seconds_left(self) -> float | None:
        """Time to the last step at the present pace; None while that is unknown."""
        pace = self.seconds_per_step
        return pace * max(0, self.total_steps - self.step) if pace is not None and self.total_steps else None

    @property
    def curve(self) -> list[float]:
        """The loss drawn small: at most 128 means over stretches of equal length."""
        rest = [loss for _, loss in self._stretch]
        return [loss for _, loss in self._drawn] + ([statistics.fmean(rest)] if rest else [])

    def state(self, is_live: bool) -> State:
        """What has become of the run; ask for its liveness before reading its events, never after."""
        if is_live:
            return "live"
        has_begun = self.started is not None or self.loss is not None
        return state_after(self.last) if self.last is not None else "interrupted" if has_begun else "new"


def read(run: Run, most_bytes: int = 4_000_000) -> History:
    """The history of a run as it stands on disk now."""
    history = History()
    for items in read_parts(EventReader(run.events_file), most_bytes):
        history.add_all(items)
    return history


def read_parts(reader: EventReader, most_bytes: int) -> Iterator[list[list[StepRow] | Event]]:
    """Everything the reader has not yet read, about `most_bytes` at a time."""
    while lines := reader.lines(most_bytes):
        yield parse(lines)


def summarise(run: Run) -> dict[str, Any]:
    """The run in one flat record, for tables and programs; what is not known yet is None.

    Losses are in nats per trained token. Raises HoneError when the run's config cannot be read.
    """
    is_live = run.is_live()
    history, config = read(run), run.config
    best = history.best
    return {
        "id": run.id,
        "name": run.name,
        "folder": str(run.folder.absolute()),
        "state": history.state(is_live),
        "model": config.model.source,
        "data": config.data.source,
        "method": config.method.kind,
        "step": history.step,
        "total_steps": history.total_steps or None,
        "loss": history.loss,
        "eval_loss": history.scores[-1].loss if history.scores else None,
        "best_eval_loss": best.loss if best else None,
        "best_eval_step": best.step if best else None,
        "predicted_peak_bytes": history.predicted_peak_bytes or None,
        "measured_peak_bytes": history.peak_bytes or None,
        "tokens_per_second": history.tokens_per_second,
        "seconds": history.seconds or None,
        "seconds_left": history.seconds_left if is_live else None,
        "began": time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(history.began)) if history.began else None,
        "adapter": str(run.adapter.absolute()) if run.adapter.is_dir() else None,
        "failure": history.failure or None,
    }
