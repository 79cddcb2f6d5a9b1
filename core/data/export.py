"""All that is wrong or odd about a dataset's rows, written to a file, and not the first hundred alone."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from core import durable
from core.data.check import read_run
from core.data.judgement import Judgement, judge
from core.data.kinds import policy_of
from core.data.listing import Listing
from core.data.reading import ROWS_PER_PROGRESS, Progress
from core.data.run_rows import RunRows
from core.errors import HoneError
from core.sections import DataSection

SUFFIXES = (".csv", ".jsonl")
NO_FORMULA = ("=", "+", "-", "@", "\t")
"""How a cell begins that a spreadsheet would compute."""


class Flaw(NamedTuple):
    """One line of the file: a row, counted from 1, where it stands, what it is about, and what a run does."""

    row: int
    file: str
    line: int
    is_used: bool
    kind: str
    action: str
    reason: str


def find_flaws(data: DataSection, seed: int, progress: Progress | None = None) -> Iterator[Flaw]:
    """All that reading the rows tells of them, in their order; they are read again for the words."""
    rows = RunRows.of(data, seed).once()
    first = (lambda done, total: progress(done, 2 * total)) if progress else None
    reading = read_run(rows, data, seed, first)
    judgement = judge(reading.marks, reading.known, data, seed)
    yield from flaws_of(rows, Listing(rows, reading.marks, judgement), judgement, progress)


def flaws_of(
    rows: RunRows, listing: Listing, judgement: Judgement, progress: Progress | None = None
) -> Iterator[Flaw]:
    """Every row that a judgement found something about, once for each kind."""
    found = [
        (int(number), kind, int(judgement.partners[kind][place]) if kind in judgement.partners else -1)
        for kind, numbers in judgement.found.items() if policy_of(kind) is not None or kind in judgement.skipped
        for place, number in enumerate(numbers)
    ]  # fmt: skip
    found.sort(reverse=True)
    for number, row in enumerate(rows):
        if not found:
            break
        if progress and number % ROWS_PER_PROGRESS == 0:
            progress(len(rows) + number, 2 * len(rows))
        while found and found[-1][0] == number:
            _, kind, partner = found.pop()
            one = listing.listed(kind, number, partner, row)
            yield Flaw(
                number + 1, one.file, one.line, bool(judgement.is_used[number]), kind, judgement.actions[kind],
                one.reason,
            )  # fmt: skip


def export_problems(data: DataSection, seed: int, target: Path, progress: Progress | None = None) -> int:
    """Write a .csv or .jsonl with every row that is wrong or odd. Returns how many lines of them there are.

    Raises HoneError for another suffix, data that cannot be opened, or a place that cannot be written.
    """
    require_target(data, seed, target)
    return write_flaws(find_flaws(data, seed, progress), target)


def require_target(data: DataSection, seed: int, target: Path) -> None:
    """Raise HoneError for a file that is neither .csv nor .jsonl, or that is the data itself."""
    if target.suffix.lower() not in SUFFIXES:
        raise HoneError(f"{target} is neither .csv nor .jsonl; give one of the two for the problems.")
    rows = RunRows.of(data, seed)
    files = [*rows.data.files, *(rows.apart.files if rows.apart is not None else ())]
    if target.exists() and any(target.resolve() == file.path for file in files):
        raise HoneError(f"{target} is the data itself; give another file for the problems.")


def write_flaws(flaws: Iterable[Flaw], target: Path) -> int:
    """Write them all, or nothing. Returns how many there are. Raises HoneError."""
    found = list(flaws)
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
