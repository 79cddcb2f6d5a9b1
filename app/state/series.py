"""Append-only columns of figures, and outlines of them for plots in which no single spike is ever lost."""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
BLOCK = 16
MIN_CAPACITY = 1024
_STAGGER = itertools.count()
LEVELS = 5  # 16⁵ = a million values per block of the coarsest level


class Column:
    """A growing array of float64. `values` is a view, valid until the next call that changes the column."""

    def __init__(self) -> None:
        # Columns that grew together would move together: eight of half a million values take 60 ms.
        self._store = np.empty(MIN_CAPACITY + next(_STAGGER) % 16 * 64)
        self._length = 0

    def __len__(self) -> int:
        return self._length

    @property
    def values(self) -> Floats:
        return self._store[: self._length]

    def extend(self, values: Floats | list[float]) -> None:
        wanted = self._length + len(values)
        if wanted > len(self._store):
            grown = np.empty(max(wanted, 2 * len(self._store)))
            grown[: self._length] = self.values
            self._store = grown
        self._store[self._length : wanted] = values
        self._length = wanted

    def truncate(self, length: int) -> None:
        self._length = min(self._length, length)


class Series:
    """Values over a shared column of positions that never falls, with the lowest and highest of every block of
    16, 256, 4096, ... of them, so that an outline of any stretch costs the same however long it is."""

    def __init__(self, positions: Column) -> None:
        self.positions = positions
        self._values = Column()
        self._lows = [Column() for _ in range(LEVELS)]
        self._highs = [Column() for _ in range(LEVELS)]

    def __len__(self) -> int:
        return len(self._values)

    @property
    def values(self) -> Floats:
        return self._values.values

    def extend(self, values: Floats | list[float]) -> None:
        self._values.extend(values)
        lower, higher = self.values, self.values
        for low, high in zip(self._lows, self._highs, strict=True):
            done = len(low)
            ready = len(lower) // BLOCK
            if ready > done:
                new = slice(done * BLOCK, ready * BLOCK)
                low.extend(np.fmin.reduce(lower[new].reshape(-1, BLOCK), axis=1))
                high.extend(np.fmax.reduce(higher[new].reshape(-1, BLOCK), axis=1))
            lower, higher = low.values, high.values

    def truncate(self, length: int) -> None:
        self._values.truncate(length)
        for level, (low, high) in enumerate(zip(self._lows, self._highs, strict=True), 1):
            low.truncate(length // BLOCK**level)
            high.truncate(length // BLOCK**level)

    def span(self, left: float, right: float) -> tuple[float, float] | None:
        """The lowest and highest finite value between two positions; None where there is none."""
        _, values = self.outline(left, right, 256)
        known = values[np.isfinite(values)]
        return (float(known.min()), float(known.max())) if len(known) else None

    def outline(self, left: float, right: float, num_bins: int, x: Floats | None = None) -> tuple[Floats, Floats]:
        """Positions and values to draw between two positions: all of them where there are few, else the lowest and
        the highest of each of `num_bins` to twice as many stretches. One value beyond each end is included.

        `x` replaces the shared positions by others of the same length, such as seconds.
        """
        along, first, last = self._stretch(left, right, x)
        if last - first <= 4 * num_bins:
            return along[first:last], self.values[first:last]
        size = 2 ** int(math.log2((last - first) / num_bins))
        return self._bins(along, first - first % size, last, size)

    def _stretch(self, left: float, right: float, x: Floats | None) -> tuple[Floats, int, int]:
        """All positions, and which of them lie between two, with one more at each end."""
        along = self.positions.values[: len(self)] if x is None else x[: len(self)]
        first = max(0, int(np.searchsorted(along, left, "left")) - 1)
        return along, first, min(len(along), int(np.searchsorted(along, right, "right")) + 1)

    def _bins(self, along: Floats, first: int, last: int, size: int) -> tuple[Floats, Floats]:
        """The low and high of each whole stretch of `size` values from `first`, and the same of the rest."""
        level = min(LEVELS, int(math.log2(size)) // int(math.log2(BLOCK)))
        block = BLOCK**level
        lower = self._lows[level - 1].values if level else self.values
        higher = self._highs[level - 1].values if level else self.values
        num = (last - first) // size
        cells = slice(first // block, first // block + num * (size // block))
        low = np.fmin.reduce(lower[cells].reshape(num, -1), axis=1)
        high = np.fmax.reduce(higher[cells].reshape(num, -1), axis=1)
        whole = first + num * size
        starts = along[first:whole:size]
        middles = along[first + size // 2 : whole : size]
        xs = np.empty(2 * num + (last > whole) * 3)
        ys = np.empty_like(xs)
        xs[0 : 2 * num : 2], xs[1 : 2 * num : 2] = starts, middles
        ys[0 : 2 * num : 2], ys[1 : 2 * num : 2] = low, high
        if last > whole:
            rest = self.values[whole:last]
            xs[-3:] = along[whole], along[(whole + last) // 2], along[last - 1]
            ys[-3:] = np.fmin.reduce(rest), np.fmax.reduce(rest), rest[-1]
        return xs, ys


class Smooth(Series):
    """The exponential moving mean of another series, corrected for its start (Kingma and Ba 2015, section 3).

    `factor` is the weight of the past: 0 repeats the series, 0.9 averages over about ten values. Where the other
    has no finite value, the mean stands still.
    """

    def __init__(self, raw: Series, factor: float) -> None:
        super().__init__(raw.positions)
        self.factor = factor
        self._raw = raw
        self._start = 0

    def catch_up(self) -> None:
        """Take in what the raw series has gained since the last call; truncate both when it loses some."""
        new = self._raw.values[len(self) :]
        if not len(self) or math.isnan(self.values[-1]):  # no number yet: the mean begins with the first
            numbers = np.flatnonzero(np.isfinite(new))
            num_blank = int(numbers[0]) if len(numbers) else len(new)
            self.extend(np.full(num_blank, np.nan))
            self._start, new = len(self), new[num_blank:]
            before, num_before = 0.0, 0
        else:
            num_before = len(self) - self._start
            before = float(self.values[-1]) * (1 - self.factor**num_before)
        if len(new):
            last = self._raw.values[: len(self)]
            self.extend(_moving_mean(_filled(new, last), self.factor, before, num_before))

    def outline(self, left: float, right: float, num_bins: int, x: Floats | None = None) -> tuple[Floats, Floats]:
        """As for any series, but the mean of each stretch: what is smoothed has no spikes to keep."""
        along, first, last = self._stretch(left, right, x)
        size = (last - first) // num_bins
        if size < 2:
            return along[first:last], self.values[first:last]
        first -= first % size
        num = (last - first) // size
        means = np.add.reduce(self.values[first : first + num * size].reshape(num, size), axis=1) / size
        middles = along[first + size // 2 : first + num * size : size]
        ends = slice(last - 1, last)
        return np.concatenate([middles, along[ends]]), np.concatenate([means, self.values[ends]])


def _filled(values: Floats, before: Floats) -> Floats:
    """The values with each that is not finite replaced by the last finite one, if need be from `before`."""
    known = np.isfinite(values)
    if known.all():
        return values
    source = np.maximum.accumulate(np.where(known, np.arange(len(values)), -1))
    numbers = before[np.isfinite(before)]
    return np.where(source >= 0, values[source], numbers[-1] if len(numbers) else math.nan)


def _moving_mean(values: Floats, factor: float, before: float, num_before: int) -> Floats:
    """Corrected means after each of `values`; `before` is the uncorrected one after `num_before` earlier ones."""
    block = 32
    powers = factor ** np.arange(1, block + 1)
    lags = np.subtract.outer(np.arange(block), np.arange(block))
    kernel = np.where(lags >= 0, (1 - factor) * factor ** np.maximum(lags, 0), 0.0)
    padded = np.zeros((-(-len(values) // block), block))
    padded.reshape(-1)[: len(values)] = values
    within = padded @ kernel.T
    carried = np.empty(len(within))
    for row, end in enumerate(within[:, -1].tolist()):
        carried[row] = before
        before = end + powers[-1] * before
    within += np.multiply.outer(carried, powers)
    means = within.reshape(-1)[: len(values)]
    num_early = math.ceil(-40 / math.log(factor)) if factor else 0  # after these the correction is below 1e-17
    early = np.arange(num_before + 1, min(num_early, num_before + len(values)) + 1)
    means[: len(early)] /= 1 - factor**early
    return means
