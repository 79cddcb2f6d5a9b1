"""What packing saves: positions that hold padding with and without it. Arithmetic over a count of lengths."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.data.lengths import Lengths

MOST_SAMPLED = 200_000
"""Sequences that stand for all where there are more."""


@dataclass(frozen=True)
class Padding:
    """Shares of all positions computed that hold no token of the data."""

    without: float
    with_packing: float

    @property
    def saved(self) -> float:
        """Share of the positions that packing spares."""
        return 1 - (1 - self.without) / (1 - self.with_packing) if self.with_packing < 1 else 0.0


def padding(lengths: Lengths, limit: int, batch_size: int, accumulation: int) -> Padding:
    """What is padded at this limit, with batches as training makes them: examples of a step sorted by length."""
    kept = np.minimum(lengths.lengths, limit)
    if not len(kept) or not lengths.counts.sum():
        return Padding(0.0, 0.0)
    counts = lengths.counts
    if (total := int(counts.sum())) > MOST_SAMPLED:
        counts = np.maximum(1, counts * MOST_SAMPLED // total)
    tokens = int(kept @ counts)
    return Padding(
        without=1 - tokens / _batched(np.repeat(kept, counts), batch_size, accumulation),
        with_packing=1 - tokens / max(tokens, _num_packed(kept, counts, limit) * limit),
    )


def _batched(lengths: NDArray[np.int64], batch_size: int, accumulation: int) -> int:
    """Positions in batches that are each padded to their longest, of steps whose examples are sorted."""
    shuffled = np.random.default_rng(0).permutation(lengths)
    step = batch_size * accumulation
    filled = np.zeros(-(-len(shuffled) // step) * step, np.int64)
    filled[: len(shuffled)] = shuffled
    steps = np.sort(filled.reshape(-1, accumulation, batch_size).reshape(-1, step), axis=1)
    longest = steps.reshape(-1, accumulation, batch_size).max(axis=2)
    sizes = (steps.reshape(-1, accumulation, batch_size) > 0).sum(axis=2)
    return int((longest * sizes).sum())


def _num_packed(lengths: NDArray[np.int64], counts: NDArray[np.int64], limit: int) -> int:
    """Sequences of `limit` positions that best-fit decreasing fills with all these."""
    room = np.zeros(limit + 1, np.int64)
    """Sequences by the room that is left in them."""
    opened = 0
    together: dict[int, int] = {}
    for length, count in zip(lengths.tolist(), counts.tolist(), strict=True):
        together[length] = together.get(length, 0) + count
    for length in sorted(together, reverse=True):
        left = together[length]
        while left:
            fits = np.flatnonzero(room[length:])
            if not len(fits):
                per = limit // length if length else left
                whole, rest = divmod(left, per)
                opened += whole + bool(rest)
                room[limit - per * length] += whole
                if rest:
                    room[limit - rest * length] += 1
                break
            best = length + int(fits[0])
            placed = min(left, int(room[best]))
            room[best] -= placed
            room[best - length] += placed
            left -= placed
    return opened
