"""Counts how long rows are and where in them trained tokens stand, in memory that does not grow with the rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from core.preview import Measured
from core.worker.examples import Example
from core.worker.tokens import Tokens

MOST_PLACES = 4096
"""Entries in the count of trained tokens by place; longer rows share an entry between neighbouring places."""


class LengthCount:
    """`add` each row's sequences, then ask for what was `measured`."""

    def __init__(self) -> None:
        self.num_rows = 0
        self._num_refused = 0
        self._lengths: Counter[int] = Counter()
        self._trained_at = np.zeros(MOST_PLACES, np.int64)
        self._width = 1
        self._remarks: Counter[str] = Counter()

    def add(self, sequences: list[Example], remarks: Sequence[str] = ()) -> None:
        """One row: no sequence when it is left out."""
        self._remarks.update(remarks)
        self.num_rows += 1
        self._num_refused += not sequences
        for tokens, trained in sequences:
            self._lengths[len(tokens)] += 1
            while len(tokens) > MOST_PLACES * self._width:
                self._halve()
            places = np.flatnonzero(trained) // self._width
            self._trained_at += np.bincount(places, minlength=MOST_PLACES)

    def add_all(self, made: Tokens) -> None:
        """Every row of a dataset at once."""
        self.num_rows += made.num_rows
        self._num_refused += int((made.refusals >= 0).sum())
        for length, count in zip(*np.unique(made.lengths, return_counts=True), strict=True):
            self._lengths[int(length)] += int(count)
        for name in made.remark_names:
            self._remarks[name] += int(made.has_remark(name).sum())
        while made.lengths.max(initial=0) > MOST_PLACES * self._width:
            self._halve()
        edges = np.zeros(MOST_PLACES * self._width + 1, np.int64)
        np.add.at(edges, made.spans[:, 0], 1)
        np.subtract.at(edges, made.spans[:, 1], 1)
        self._trained_at += np.cumsum(edges[:-1]).reshape(MOST_PLACES, self._width).sum(axis=1)

    def measured(self, num_rows: int, reasons: dict[str, int], is_split: bool) -> Measured:
        """The counts, for data of this many rows in all."""
        used = max(self._lengths, default=0) // self._width + 1
        return Measured(
            num_rows=num_rows,
            num_measured=self.num_rows,
            num_refused=self._num_refused,
            lengths=dict(sorted(self._lengths.items())),
            trained_at=tuple(self._trained_at[:used].tolist()),
            width=self._width,
            reasons=reasons,
            remarks=dict(self._remarks.most_common()),
            is_split=is_split,
        )

    def _halve(self) -> None:
        """Let each entry count twice as many places."""
        pairs = self._trained_at.reshape(-1, 2).sum(axis=1)
        self._trained_at = np.concatenate([pairs, np.zeros(MOST_PLACES // 2, np.int64)])
        self._width *= 2
