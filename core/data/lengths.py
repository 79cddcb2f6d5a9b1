"""How long rows are in a model's tokens, and what any length limit would cost. Arithmetic over counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from core.figures import whole
from core.preview import Measured


@dataclass(frozen=True, eq=False)
class Lengths:
    """Sequences by length, all of them or a fair sample. Figures in rows and tokens are for the whole data."""

    lengths: NDArray[np.int64]
    """Each length that occurs, shortest first."""
    counts: NDArray[np.int64]
    """How many sequences have it."""
    trained_at: NDArray[np.int64]
    """Trained tokens at places 0 to width - 1, width to 2 width - 1, ..."""
    width: int
    scale: float
    """Rows of the data for each row measured; 1 when all were."""
    is_split: bool
    """Longer rows go on in another sequence, so none is cut."""

    @classmethod
    def from_sample(cls, tokens: list[int], num_rows: int, num_measured: int, *, is_split: bool) -> Self:
        """Of rows of these lengths, without a word on which tokens are trained."""
        lengths, counts = np.unique(np.array(tokens, np.int64), return_counts=True)
        return cls(lengths, counts, np.zeros(1, np.int64), 1, num_rows / max(1, num_measured), is_split)

    @classmethod
    def of(cls, measured: Measured) -> Self:
        return cls(
            lengths=np.array(list(measured.lengths), np.int64),
            counts=np.array(list(measured.lengths.values()), np.int64),
            trained_at=np.array(measured.trained_at, np.int64),
            width=measured.width,
            scale=measured.num_rows / max(1, measured.num_measured),
            is_split=measured.is_split,
        )

    @property
    def is_sample(self) -> bool:
        return self.scale > 1

    @property
    def num_sequences(self) -> int:
        return round(self.scale * int(self.counts.sum()))

    @property
    def num_tokens(self) -> int:
        return round(self.scale * int(self.lengths @ self.counts))

    @property
    def num_trained(self) -> int:
        return round(self.scale * int(self.trained_at.sum()))

    @property
    def longest(self) -> int:
        """The longest measured sequence; 0 without any."""
        return int(self.lengths[-1]) if len(self.lengths) else 0

    def at_share(self, share: float) -> int:
        """The length that this share of the sequences does not exceed."""
        if not len(self.lengths):
            return 0
        reached = np.cumsum(self.counts)
        return int(self.lengths[np.searchsorted(reached, share * reached[-1])])

    def num_pieces(self, limit: int) -> int:
        """Sequences to train on once long rows are cut, or split into several."""
        return round(self.scale * int(self._pieces(limit) @ self.counts))

    def mean(self, limit: int) -> float:
        """Mean length of a sequence once long rows are cut, or split into several; 0 without any."""
        if not len(self.lengths):
            return 0.0
        pieces = self._pieces(limit)
        kept = self.lengths + pieces - 1 if self.is_split else np.minimum(self.lengths, limit)
        return float(kept @ self.counts / (pieces @ self.counts))

    def _pieces(self, limit: int) -> NDArray[np.int64]:
        """Of a sequence of each length. Each piece begins with the last token of the one before."""
        return np.maximum(1, -(-(self.lengths - 1) // max(1, limit - 1))) if self.is_split else self.lengths**0

    def num_cut(self, limit: int) -> int:
        """Rows that are longer than the limit; 0 where long rows are split."""
        return 0 if self.is_split else round(self.scale * int(self.counts[self.lengths > limit].sum()))

    def num_lost(self, limit: int) -> int:
        """Tokens beyond the limit; 0 where long rows are split."""
        return 0 if self.is_split else round(self.scale * int(np.maximum(0, self.lengths - limit) @ self.counts))

    def num_trained_lost(self, limit: int) -> int:
        """Trained tokens beyond the limit: exact up to 4,096 tokens, else with one entry of the count divided."""
        if self.is_split:
            return 0
        place, rest = divmod(limit, self.width)
        lost = self.trained_at[place:].sum() - rest / self.width * self.trained_at[place : place + 1].sum()
        return round(self.scale * float(lost))

    def histogram(self, num_bins: int, upto: int) -> NDArray[np.float64]:
        """Sequences in each of `num_bins` equal ranges of 1 to `upto` tokens; longer ones are in the last."""
        bins = np.minimum((self.lengths - 1) * num_bins // max(1, upto), num_bins - 1)
        return np.bincount(np.maximum(bins, 0), self.counts, num_bins).astype(np.float64) * self.scale

    def summary(self, limit: int) -> dict[str, Any]:
        """The figures at one limit, for programs."""
        return {
            "max_length": limit,
            "num_sequences": self.num_sequences,
            "num_tokens": self.num_tokens,
            "num_trained": self.num_trained,
            "share_trained": self.num_trained / max(1, self.num_tokens),
            "shortest": int(self.lengths[0]) if len(self.lengths) else 0,
            "median": self.at_share(0.5),
            "at_95_percent": self.at_share(0.95),
            "longest": self.longest,
            "num_cut": self.num_cut(limit),
            "num_lost": self.num_lost(limit),
            "num_trained_lost": self.num_trained_lost(limit),
        }

    def in_words(self, limit: int) -> list[str]:
        """The figures at one limit, for people."""
        if not len(self.lengths):
            return ["No row can be used."]
        return [
            f"{whole(self.num_tokens)} tokens, {self.num_trained / self.num_tokens:.0%} of them trained",
            f"A row has {whole(self.at_share(0.5))} tokens in the middle, {whole(self.lengths[0])} to "
            f"{whole(self.longest)}; 95 of 100 have at most {whole(self.at_share(0.95))}",
            f"With a limit of {whole(limit)} tokens: {self.cut_in_words(limit)}",
        ]

    def cut_in_words(self, limit: int) -> str:
        """What a limit costs, in one sentence."""
        if self.is_split:
            return "Longer rows go on in another sequence; nothing is cut."
        if not (rows := self.num_cut(limit)):
            return "No row is longer; nothing is cut."
        share = self.num_trained_lost(limit) / max(1, self.num_trained)
        lost = "less than 0.1%" if 0 < share < 0.001 else f"{100 * share:.1f}%"
        return (
            f"{whole(rows)} of {whole(self.num_sequences)} rows are cut: {whole(self.num_lost(limit))} tokens are "
            f"lost, {lost} of what is trained."
        )
