"""Looks at every row of a dataset before training and reports what will be used and what will not, and why."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from core.config import RunConfig
from core.data.mapping import Meaning
from core.data.remarks import Remark, RemarkKind, Remarks
from core.data.row import Format, Kind, Problem
from core.data.rows import NO_MEANING, open_rows
from core.data.source import fingerprint, wrong
from core.data.split import place
from core.errors import HoneError

LISTED_PROBLEMS = 100
ROWS_PER_PROGRESS = 2000
HOLDOUT: float = RunConfig().data.holdout
SEED: int = RunConfig().runtime.seed


class Listed(BaseModel):
    """One row that will be skipped."""

    model_config = ConfigDict(frozen=True)

    row: int = -1
    """Its number, counted from 0."""
    line: int
    kind: Kind
    reason: str


class Spread(BaseModel):
    """Shortest, middle and longest, over used rows."""

    model_config = ConfigDict(frozen=True)

    min: int = 0
    median: int = 0
    max: int = 0


class Report(BaseModel):
    """What a dataset holds. Used rows are the ones that training will learn from or evaluate on."""

    model_config = ConfigDict(frozen=True)

    source: str
    path: str
    sha256: str
    num_bytes: int
    format: Format
    confidence: float = 1.0
    """How sure the format is, from 0 to 1."""
    seen: str = ""
    """What speaks for it."""
    num_rows: int
    num_used: int
    num_skipped: int
    num_duplicates: int
    """Used rows that repeat an earlier one exactly; they are used all the same."""
    num_messages: int
    roles: dict[str, int]
    """How many messages each role has in used rows."""
    characters: Spread
    """Of a whole row: all its messages, or its text."""
    reasons: dict[Kind, int]
    """How many rows are skipped for each kind of reason, most frequent first."""
    problems: list[Listed]
    """The first hundred skipped rows."""
    remark_counts: dict[RemarkKind, int] = {}
    """How many used rows are odd in each way; a row may be odd in several."""
    remarks: list[Remark] = []
    """The first hundred of each kind, by line."""


def check(
    source: str, progress: Callable[[int, int], None] | None = None, *, more: Sequence[str] = (),
    holdout: float = HOLDOUT, seed: int = SEED, meaning: Meaning = NO_MEANING,
) -> Report:  # fmt: skip
    """Read every row of the dataset that `source` and `more` name; `holdout` and `seed` are those of the run,
    and `meaning` is what it says about the columns.

    `progress(done, total)` is called now and then; an exception it raises ends the check. Raises
    HoneError(path="data.source") for a file that is missing, empty, unreadable, or in no known format.
    """
    rows = open_rows(source, more, seed=seed, meaning=meaning).once()
    lengths, remarks = array("q"), Remarks(holdout)
    roles: Counter[str] = Counter()
    reasons: Counter[Kind] = Counter()
    problems: list[Listed] = []
    for number, row in enumerate(rows):
        if progress and number % ROWS_PER_PROGRESS == 0:
            progress(number, len(rows))
        if isinstance(row, Problem):
            reasons[row.kind] += 1
            if len(problems) < LISTED_PROBLEMS:
                problems.append(Listed(row=number, line=row.line, kind=row.kind, reason=row.reason))
            continue
        messages = (*row.messages, *row.chosen, *row.rejected)
        roles.update(message.role for message in messages)
        lengths.append(len(row.text) + sum(len(message.content) for message in messages))
        remarks.add(row, place(row, seed), number)
    remark_counts, listed = remarks.found()
    return Report(
        source=source,
        path=str(rows.path),
        sha256=fingerprint(source, more),
        num_bytes=rows.num_bytes,
        format=rows.format,
        confidence=rows.layout.confidence,
        seen=rows.layout.seen,
        num_rows=len(rows),
        num_used=len(lengths),
        num_skipped=len(rows) - len(lengths),
        num_duplicates=remark_counts.get("repeats another row", 0),
        num_messages=roles.total(),
        roles=dict(roles),
        characters=spread(lengths),
        reasons=dict(reasons.most_common()),
        problems=problems,
        remark_counts=remark_counts,
        remarks=listed,
    )


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
