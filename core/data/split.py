"""Which rows are held out to evaluate on: a matter of a row's content, so that it stays when rows are added."""

from __future__ import annotations

import hashlib
import json

import numpy as np
from numpy.typing import NDArray

from core.data.row import Row

HELD, TRAINED = -1, -2
"""Keys of rows that a column, or a file of their own, puts on a side."""
HELD_WORDS = frozenset({
    "test", "validation", "valid", "val", "dev", "development", "eval", "evaluation", "holdout", "held_out",
    "held out", "held-out",
})  # fmt: skip
ENCODER = json.JSONEncoder(ensure_ascii=False)
MASK, STEP = 2**64 - 1, 0x9E3779B97F4A7C15


def key(row: Row) -> int:
    """What the side of a row hangs on: its content, or its group where the run names a column of them. HELD or
    TRAINED where a column says the side itself. At least 0 otherwise, below 2**63."""
    if row.split:
        return HELD if row.split.strip().casefold() in HELD_WORDS else TRAINED
    if row.group:
        return digest(["group", row.group])
    return digest([[message.role, message.content] for message in row.messages] or row.text)


def place(row: Row, seed: int) -> float:
    """A number in [0, 1) from a row's content and the seed; rows below the share held out are held out. Below 0 or
    above 1 for a row whose column says so."""
    found = key(row)
    return float(places(np.array([found]), seed)[0]) if found < 0 else _mixed(found, seed) / 2**64


def places(keys: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    """The `place` of rows with these keys."""
    mixed = keys.astype(np.uint64) + np.uint64((seed + 1) * STEP & MASK)  # SplitMix64, Steele et al. 2014
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return np.where(keys == HELD, -1.0, np.where(keys == TRAINED, 2.0, mixed / 2**64))


def held_out(
    found: NDArray[np.float64], holdout: float, strata: NDArray[np.int64] | None = None
) -> NDArray[np.bool_]:
    """Which rows are held out, by their places: those below the share; never all, and not none where a share is
    asked for. With `strata` (a number for each row), each of them gives its share, to the nearest row.

    Where a column or a file says the sides, it alone decides.
    """
    if len(found) and (found.min() < 0 or found.max() > 1):
        return found < 0
    held = found < holdout if strata is None else _stratified(found, holdout, strata)
    if holdout > 0 and len(found) > 1 and not held.any():
        held[found == found.min()] = True
    if held.all():
        held[found == found.max(initial=-1)] = False
    return held


def digest(content: object) -> int:
    """A number from 0 to 2**63 - 1 that stands for this content, on every machine."""
    text = ENCODER.encode(content)
    return int.from_bytes(hashlib.blake2b(text.encode(errors="replace"), digest_size=8).digest(), "big") >> 1


def _stratified(found: NDArray[np.float64], holdout: float, strata: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The lowest places of each stratum. Rows with equal places, which are equal or of one group, stay together;
    the first of a group names its stratum."""
    units, first, unit_of, sizes = np.unique(found, return_index=True, return_inverse=True, return_counts=True)
    held = np.zeros(len(units), np.bool_)
    for stratum in np.unique(strata[first]):
        mine = np.flatnonzero(strata[first] == stratum)  # in the order of their places
        wanted = holdout * sizes[mine].sum()
        upto = np.cumsum(sizes[mine])
        held[mine[: int(np.argmin(np.abs(np.concatenate([[0], upto]) - wanted)))]] = True
    return held[unit_of]


def _mixed(number: int, seed: int) -> int:
    """`places` of one number, without an array."""
    mixed = number + (seed + 1) * STEP & MASK
    mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 & MASK
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & MASK
    return mixed ^ mixed >> 31
