"""Looks at every row of a dataset before training and reports what will be used and what will not, and why."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Callable

import numpy as np

from core.config import RunConfig
from core.data.judgement import Judgement, judge
from core.data.kinds import REPEATED
from core.data.listing import Listing
from core.data.marks import GrowingMarks, Marks, oddities
from core.data.pace import Told, unheard
from core.data.passed import in_words
from core.data.report import Listed, Report, Spread
from core.data.row import Problem, Row
from core.data.run_rows import RunRows
from core.data.source import fingerprint, wrong
from core.errors import HoneError
from core.sections import DataSection

ROWS_PER_PROGRESS = 2000
LISTED_PASSED = 100
SEED: int = RunConfig().runtime.seed
Progress = Callable[[int, int], None]
"""`progress(done, total)` is called now and then; an exception it raises ends the work."""


def check(data: DataSection, seed: int = SEED, progress: Progress | None = None, told: Told = unheard) -> Report:
    """Read every row that a run with these settings would read, those to evaluate on included; `told` hears of
    unpacking and indexing.

    Raises HoneError(path="data.source") for a file that is missing, empty, unreadable, or in no known format.
    """
    rows = RunRows.of(data, seed, told).once()
    reading = Reading(rows, data)
    lengths: array[int] = array("q")
    roles: Counter[str] = Counter()
    for number, row in enumerate(rows):
        if progress and number % ROWS_PER_PROGRESS == 0:
            progress(number, len(rows))
        reading.add(row)
        if not isinstance(row, Problem):
            roles.update(message.role for message in row.spoken)
            lengths.append(sum(map(len, row.texts)))
    marks, judgement = reading.judged(seed)
    return Report(
        **dict(Listing(rows, marks, judgement).findings()),
        source=data.source,
        path=str(rows.data.path),
        sha256=fingerprint(data.source, data.more),
        num_bytes=rows.data.num_bytes,
        format=rows.data.format,
        confidence=rows.data.layout.confidence,
        seen=rows.data.layout.seen,
        num_duplicates=len(judgement.found.get(REPEATED, ())),
        num_messages=roles.total(),
        roles=dict(roles),
        characters=spread(lengths),
        passed=list(rows.passed[:LISTED_PASSED]),
        passed_in_words=in_words(rows.passed),
    )


class Reading:
    """`add` all rows of a run, one after another; then they are `judged` by what reading them tells."""

    def __init__(self, rows: RunRows, data: DataSection) -> None:
        self._data, self._num_own = data, len(rows.data)
        self._is_personal_sought = data.on_personal != "ignore"
        self._own, self._apart = GrowingMarks(), GrowingMarks()
        self._has_apart = rows.apart is not None
        self._known: defaultdict[str, array[int]] = defaultdict(lambda: array("q"))
        self._num_read = 0

    def add(self, row: Row | Problem) -> None:
        (self._own if self._num_read < self._num_own else self._apart).add(row)
        kinds = [row.kind] if isinstance(row, Problem) else oddities(row, self._is_personal_sought)
        for kind in kinds:
            self._known[kind].append(self._num_read)
        self._num_read += 1

    def judged(self, seed: int) -> tuple[Marks, Judgement]:
        marks = self._own.marks()
        if self._has_apart:
            marks = marks.and_held_out(self._apart.marks())
        known = {kind: np.array(numbers, np.int64) for kind, numbers in self._known.items()}
        return marks, judge(marks, known, self._data, seed)


def no_usable_row(source: str, num_rows: int, first: Problem | Listed) -> HoneError:
    """The error for a dataset of which nothing can be used."""
    which = "its only row cannot" if num_rows == 1 else f"none of its {num_rows:,} rows can"
    return wrong(f"{source}: {which} be used; line {first.line}: {first.reason}.")


def spread(lengths: array[int]) -> Spread:
    """The spread of these figures; zeros without any."""
    if not lengths:
        return Spread()
    values = np.frombuffer(lengths, np.int64)
    return Spread(min=int(values.min()), median=int(np.median(values)), max=int(values.max()))
