"""What reading every row of a source tells, whatever a run does with them: made once, and kept by content.

A change of policies, of the split or of the file to evaluate on asks for another judgement, and for no reading.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import zipfile
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core import places
from core.data import shelf
from core.data.fingerprint import fingerprint
from core.data.mapping import Meaning
from core.data.marks import MARKS, GrowingMarks, Marks, oddities
from core.data.row import Problem, Row
from core.data.rows import Rows

LAYOUT = 1
"""Of what is kept, and of how rows are read and marked; what another one has kept is not found."""
ROWS_PER_PROGRESS = 2000
KEPT_ROWS = 2000
"""Fewer are read in a moment, and not worth a folder."""
ARRAYS = "reading.npz"

Numbers = NDArray[np.int64]
Progress = Callable[[int, int], None]
"""`progress(done, total)` is called now and then; an exception it raises ends the work."""


@dataclass(frozen=True, eq=False)
class Reading:
    """Of each row once, however often a weight shows it."""

    marks: Marks
    known: dict[str, Numbers]
    """Numbers of the rows of each kind, counted from 0."""
    lengths: Numbers
    """Characters of each row that can be read."""
    roles: dict[str, int]
    """How many messages each role has in them."""

    def beside(self, apart: Reading | None) -> Reading:
        """These rows, then those of a file to evaluate on."""
        if apart is None:
            return self
        num_own, kinds = len(self.marks), dict.fromkeys((*self.known, *apart.known))
        none = np.zeros(0, np.int64)
        return Reading(
            marks=self.marks.and_held_out(apart.marks),
            known={
                kind: np.concatenate([self.known.get(kind, none), apart.known.get(kind, none) + num_own])
                for kind in kinds
            },
            lengths=np.concatenate([self.lengths, apart.lengths]),
            roles=dict(Counter(self.roles) + Counter(apart.roles)),
        )

    def seen(self, numbers: Numbers) -> tuple[Marks, dict[str, Numbers]]:
        """Marks and kinds of rows as a run sees them: `numbers` says which row of these each one is."""
        known = {kind: np.flatnonzero(np.isin(numbers, rows)) for kind, rows in self.known.items()}
        return Marks(**{name: getattr(self.marks, name)[numbers] for name in MARKS}), known


class GrowingReading:
    """`add` all rows of a source, one after another; then take the `reading`."""

    def __init__(self, is_personal_sought: bool) -> None:
        self._is_personal_sought = is_personal_sought
        self._marks, self._num_rows = GrowingMarks(), 0
        self._known: defaultdict[str, array[int]] = defaultdict(lambda: array("q"))
        self._lengths: array[int] = array("q")
        self._roles: Counter[str] = Counter()

    def add(self, row: Row | Problem) -> None:
        self._marks.add(row)
        if isinstance(row, Problem):
            self._known[row.kind].append(self._num_rows)
        else:
            for kind in oddities(row, self._is_personal_sought):
                self._known[kind].append(self._num_rows)
            self._roles.update(message.role for message in row.spoken)
            self._lengths.append(sum(map(len, row.texts)))
        self._num_rows += 1

    def reading(self) -> Reading:
        known = {kind: np.array(numbers, np.int64) for kind, numbers in self._known.items()}
        return Reading(self._marks.marks(), known, np.array(self._lengths, np.int64), dict(self._roles))


def read_rows(
    rows: Rows, more: Sequence[str], meaning: Meaning, *, seed: int, is_personal_sought: bool, progress: Progress
) -> Reading:
    """The reading of a source and of those mixed in (`more`): kept from before, else made now. `rows` are theirs,
    without repeats. What `progress` raises ends it. Raises HoneError where the data is gone."""

    def kept_in() -> Path:
        beside = LAYOUT, "reading", repr(meaning), seed if more else 0, is_personal_sought
        words = json.dumps([fingerprint(rows.source, more), *beside])
        return places.cache_folder() / "data" / hashlib.sha256(words.encode()).hexdigest()[:32]

    folder = kept_in() if len(rows) >= KEPT_ROWS else None
    if folder is not None and (found := _kept(folder)) is not None and len(found.marks) == len(rows):
        return found
    growing = GrowingReading(is_personal_sought)
    for number, row in enumerate(rows):
        if number % ROWS_PER_PROGRESS == 0:
            progress(number, len(rows))
        growing.add(row)
    made = growing.reading()
    if folder is not None and kept_in() == folder:  # else it was changed while it was read
        with contextlib.suppress(OSError):  # a full disk only costs the next time its start
            _keep(folder, made)
    return made


def _keep(folder: Path, made: Reading) -> None:
    def fill(staged: Path) -> None:
        marks = np.stack([getattr(made.marks, name) for name in MARKS])
        known = np.concatenate([np.zeros(0, np.int64), *made.known.values()])
        np.savez(staged / ARRAYS, marks=marks, lengths=made.lengths, known=known)
        counts = {kind: len(numbers) for kind, numbers in made.known.items()}
        (staged / shelf.MARK).write_text(json.dumps({"known": counts, "roles": made.roles}))

    shelf.keep(folder, fill)


def _kept(folder: Path) -> Reading | None:
    """What is kept in a folder; None where nothing is, or nothing whole."""
    if not shelf.hold(folder):
        return None
    try:
        words = json.loads((folder / shelf.MARK).read_bytes())
        with (folder / ARRAYS).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            counts: dict[str, int] = words["known"]
            parts = np.split(arrays["known"], np.cumsum(list(counts.values()))[:-1])
            return Reading(
                marks=Marks(**dict(zip(MARKS, arrays["marks"], strict=True))),
                known=dict(zip(counts, parts, strict=False)),
                lengths=arrays["lengths"],
                roles=words["roles"],
            )
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None
