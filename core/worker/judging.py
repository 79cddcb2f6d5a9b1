"""What becomes of rows that are in tokens: the judgement of core.data, with what only tokens tell."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.config import DataSection
from core.data.judgement import Judgement, judge
from core.data.kinds import LONG, NOTHING_LEFT
from core.data.listing import Detail
from core.worker.tokens import Tokens


def judge_tokens(made: Tokens, data: DataSection, seed: int, *, in_pieces: bool) -> Judgement:
    """What becomes of rows that are in tokens, at this length limit, split and these policies."""
    known = made.kinds()
    if not in_pieces:
        is_long = made.lengths > data.max_length
        known[LONG] = np.unique(made.rows[is_long])
        if data.on_long == "cut":
            known[NOTHING_LEFT] = np.union1d(known.get(NOTHING_LEFT, np.zeros(0, np.int64)), _emptied(made, data))
    return judge(made.marks, known, data, seed)


def _emptied(made: Tokens, data: DataSection) -> NDArray[np.int64]:
    """Rows of which nothing trained is left once they are cut."""
    learns = _trained_within(made, data.max_length) > 0
    return np.setdiff1d(made.rows, made.rows[learns])


def _trained_within(made: Tokens, limit: int) -> NDArray[np.int64]:
    """How many of the first tokens of each sequence are trained. Shape [sequences]."""
    begins, ends = np.minimum(made.spans.astype(np.int64), limit).T
    sums = running_sum(np.maximum(ends - begins, 0))
    return sums[made.span_starts[1:]] - sums[made.span_starts[:-1]]


def running_sum(values: NDArray[np.bool_] | NDArray[np.int64]) -> NDArray[np.int64]:
    """The sum of all values before each place. Shape [values + 1]."""
    return np.concatenate([[0], np.cumsum(values, dtype=np.int64)])


def long_in_words(made: Tokens, data: DataSection) -> Detail:
    """What is said of a row over the limit: how long it is and what is lost."""
    lengths, by_row = made.lengths, np.searchsorted(made.rows, np.arange(made.num_rows + 1))
    lost = np.maximum(lengths - data.max_length, 0)
    lost_trained = _trained_within(made, int(lengths.max(initial=0))) - _trained_within(made, data.max_length)

    def say(kind: str, number: int) -> str:
        if kind != LONG:
            return ""
        mine = slice(by_row[number], by_row[number + 1])
        num_trained = int(lost_trained[mine].sum())
        trained = f", {num_trained:,} of them trained" if num_trained else ""
        return f"has {int(lengths[mine].max()):,} tokens, {int(lost[mine].sum()):,} over the limit{trained}"

    return say
