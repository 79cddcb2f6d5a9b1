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
    sums = running_sum(made.mask())
    ends = np.minimum(made.starts[:-1] + data.max_length, made.starts[1:])
    learns = sums[ends] > sums[made.starts[:-1]]
    return np.setdiff1d(made.rows, made.rows[learns])


def running_sum(trained: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many tokens are trained before each place. Shape [tokens + 1]."""
    return np.concatenate([[0], np.cumsum(trained, dtype=np.int64)])


def long_in_words(made: Tokens, data: DataSection) -> Detail:
    """What is said of a row over the limit: how long it is and what is lost."""
    sums, by_row = running_sum(made.mask()), np.searchsorted(made.rows, np.arange(made.num_rows + 1))

    def say(kind: str, number: int) -> str:
        if kind != LONG:
            return ""
        mine = slice(by_row[number], by_row[number + 1])
        starts, ends = made.starts[:-1][mine], made.starts[1:][mine]
        cut = np.minimum(starts + data.max_length, ends)
        lost, lost_trained = int((ends - cut).sum()), int((sums[ends] - sums[cut]).sum())
        over = f"{lost:,} over the limit" + (f", {lost_trained:,} of them trained" if lost_trained else "")
        return f"has {int((ends - starts).max()):,} tokens, {over}"

    return say
