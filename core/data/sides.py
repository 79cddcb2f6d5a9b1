"""Which rows a run would train on and which it would hold out, before any tokenizer has seen them."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.data.row import Problem, Row
from core.data.split import digest, held_out, key, places

ROWS_PER_PROGRESS = 2000
LISTED = 100


@dataclass(frozen=True)
class Split:
    """How the usable rows part. `first` has the numbers, counted from 0, of held-out rows in the order in which
    the run asks them."""

    num_trained: int
    num_held: int
    first: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Sides:
    """What the split hangs on, for each usable row. Shape [rows] each."""

    numbers: NDArray[np.int64]
    keys: NDArray[np.int64]
    strata: NDArray[np.int64]

    def split(self, holdout: float, seed: int, *, is_stratified: bool = False) -> Split:
        """The split at this share; one way is found at once when another was."""
        if not len(self.numbers):
            return Split(0, 0, ())
        where = places(self.keys, seed)
        held = held_out(where, holdout, self.strata if is_stratified else None)
        asked = np.flatnonzero(held)
        asked = asked[np.argsort(where[asked], kind="stable")][:LISTED]
        num_held = int(held.sum())
        return Split(len(held) - num_held, num_held, tuple(self.numbers[asked].tolist()))


class FoundSides:
    """`add` every row of a run in its order, then take the `sides`."""

    def __init__(self) -> None:
        self._num_rows = 0
        self._numbers, self._keys, self._strata = array("q"), array("q"), array("q")

    def add(self, row: Row | Problem) -> None:
        if isinstance(row, Row):
            self._numbers.append(self._num_rows)
            self._keys.append(key(row))
            self._strata.append(digest(row.stratum) if row.stratum else 0)
        self._num_rows += 1

    def sides(self) -> Sides:
        return Sides(*(np.frombuffer(values, np.int64) if values else np.zeros(0, np.int64)
                       for values in (self._numbers, self._keys, self._strata)))  # fmt: skip


def find_sides(rows: Iterable[Row | Problem], progress: Callable[[int], None] | None = None) -> Sides:
    """Read every row once. `progress(done)` is called now and then; an exception it raises ends the work."""
    found = FoundSides()
    for number, row in enumerate(rows):
        if progress and number % ROWS_PER_PROGRESS == 0:
            progress(number)
        found.add(row)
    return found.sides()
