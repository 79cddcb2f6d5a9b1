"""All that is wrong or odd about a dataset's rows, written to a file, and not the first hundred alone."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from core import durable
from core.data.mapping import Meaning
from core.data.personal import find_personal
from core.data.remarks import Remarks
from core.data.row import Problem
from core.data.rows import NO_MEANING, Rows, open_rows
from core.data.split import place
from core.data.statistics import texts_of
from core.errors import HoneError

ROWS_PER_PROGRESS = 2000
SUFFIXES = (".csv", ".jsonl")
NO_FORMULA = ("=", "+", "-", "@", "\t")
"""How a cell begins that a spreadsheet would compute."""


class Flaw(NamedTuple):
    """One line of the file: a row, counted from 1, where it stands, and what it is about."""

    row: int
    file: str
    line: int
    is_used: bool
    kind: str
    reason: str


def find_flaws(
    rows: Rows,
    *,
    holdout: float,
    seed: int,
    personal: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Flaw]:
    """All problems in the order of the rows, with what looks `personal` where that is wanted; then all remarks of
    rows that are used."""
    remarks = Remarks(holdout, listed=len(rows))
    for number, row in enumerate(rows):
        if progress and number % ROWS_PER_PROGRESS == 0:
            progress(number, len(rows))
        if isinstance(row, Problem):
            name = rows.file_of(number)
            reason = row.reason.removeprefix(f"{name}: ") if name else row.reason
            yield Flaw(number + 1, name, row.line, False, row.kind, reason)
        else:
            remarks.add(row, place(row, seed), number)
            for kind, hint in (trace for text in texts_of(row) * personal for trace in find_personal(text)):
                yield Flaw(number + 1, rows.file_of(number), row.line, True, kind, f"may hold one: {hint}")
    for remark in remarks.found()[1]:
        yield Flaw(remark.row + 1, rows.file_of(remark.row), remark.line, True, remark.kind, remark.reason)


def export_problems(
    source: str,
    target: Path,
    *,
    holdout: float,
    seed: int,
    more: tuple[str, ...] = (),
    meaning: Meaning = NO_MEANING,
    personal: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write a .csv or .jsonl with every row that is left out or odd. Returns how many lines of them there are.

    Raises HoneError for another suffix, data that cannot be opened, or a place that cannot be written.
    """
    if target.suffix.lower() not in SUFFIXES:
        raise HoneError(f"{target} is neither .csv nor .jsonl; give one of the two for the problems.")
    rows = open_rows(source, more, seed=seed, meaning=meaning).once()
    if target.exists() and any(target.resolve() == data.path for data in rows.files):
        raise HoneError(f"{target} is the data itself; give another file for the problems.")
    found = list(find_flaws(rows, holdout=holdout, seed=seed, personal=personal, progress=progress))
    text = io.StringIO(newline="")
    if target.suffix.lower() == ".csv":
        writer = csv.writer(text)
        writer.writerow(Flaw._fields)
        writer.writerows([_plain(cell) for cell in flaw] for flaw in found)
    else:
        text.writelines(json.dumps(flaw._asdict(), ensure_ascii=False) + "\n" for flaw in found)
    try:
        durable.write_file(target, text.getvalue().encode(errors="replace"))
    except OSError as error:
        raise HoneError(f"{target} cannot be written ({error.strerror}); give another file.") from None
    return len(found)


def _plain(cell: object) -> object:
    """A cell that a spreadsheet shows and does not compute."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(NO_FORMULA) else cell
