"""Looks at every row of a dataset before training and reports what will be used and what will not, and why."""

from __future__ import annotations

from array import array

import numpy as np
from numpy.typing import NDArray

from core.config import RunConfig
from core.data.fingerprint import fingerprint
from core.data.judgement import judge
from core.data.kinds import REPEATED
from core.data.listing import Listing, split_of
from core.data.mapping import Meaning
from core.data.pace import Told, unheard
from core.data.passed import in_words
from core.data.reading import Progress, Reading, read_rows
from core.data.report import Listed, Report, Spread
from core.data.row import Problem
from core.data.run_rows import RunRows
from core.data.source import wrong
from core.errors import HoneError
from core.sections import DataSection

LISTED_PASSED = 100
SEED: int = RunConfig().runtime.seed


def check(data: DataSection, seed: int = SEED, progress: Progress | None = None, told: Told = unheard) -> Report:
    """Judge every row that a run with these settings would read, those to evaluate on included. What reading them
    tells is kept; `told` hears of unpacking and indexing.

    Raises HoneError(path="data.source") for a file that is missing, empty, unreadable, or in no known format.
    """
    rows = RunRows.of(data, seed, told)
    once = rows.once()
    reading = read_run(once, data, seed, progress)
    judgement = judge(reading.marks, reading.known, data, seed)
    findings = Listing(once, reading.marks, judgement).findings()
    if len(once) < len(rows):
        split = split_of(judge(*reading.seen(rows.once_numbers()), data, seed))
        findings = findings.model_copy(update={"split": split})
    return Report(
        **dict(findings),
        source=data.source,
        path=str(rows.data.path),
        sha256=fingerprint(data.source, data.more),
        num_bytes=rows.data.num_bytes,
        format=rows.data.format,
        confidence=rows.data.layout.confidence,
        seen=rows.data.layout.seen,
        num_duplicates=len(judgement.found.get(REPEATED, ())),
        num_messages=sum(reading.roles.values()),
        roles=reading.roles,
        characters=spread(reading.lengths),
        passed=list(rows.passed[:LISTED_PASSED]),
        passed_in_words=in_words(rows.passed),
    )


def read_run(rows: RunRows, data: DataSection, seed: int, progress: Progress | None = None) -> Reading:
    """What reading all of a run's rows tells, each once: of its data, then of its file to evaluate on."""
    num_own, total, seeks = len(rows.data), len(rows), data.on_personal != "ignore"

    def tell(done: int) -> None:
        if progress:
            progress(done, total)

    meaning = Meaning.of(data)
    own = read_rows(rows.data, data.more, meaning, seed=seed, is_personal_sought=seeks,
                    progress=lambda done, _: tell(done))  # fmt: skip
    if rows.apart is None:
        return own
    return own.beside(
        read_rows(rows.apart, (), Meaning(meaning.mapping), seed=seed, is_personal_sought=seeks,
                  progress=lambda done, _: tell(num_own + done))
    )  # fmt: skip


def no_usable_row(source: str, num_rows: int, first: Problem | Listed) -> HoneError:
    """The error for a dataset of which nothing can be used."""
    which = "its only row cannot" if num_rows == 1 else f"none of its {num_rows:,} rows can"
    return wrong(f"{source}: {which} be used; line {first.line}: {first.reason}.")


def spread(lengths: array[int] | NDArray[np.int64]) -> Spread:
    """The spread of these figures; zeros without any."""
    if not len(lengths):
        return Spread()
    values = np.frombuffer(lengths, np.int64)
    return Spread(min=int(values.min()), median=int(np.median(values)), max=int(values.max()))
