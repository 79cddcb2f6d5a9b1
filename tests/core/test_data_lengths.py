"""What a length limit costs, against the plain sums over rows it stands for."""

from __future__ import annotations

import numpy as np
import pytest

from core.data.lengths import Lengths
from core.preview import Measured

ROWS = [(4, range(1, 4)), (9, range(5, 9)), (9, range(8, 9)), (30, range(2, 30))]
"""Length and trained places of each row."""


def measured(rows=ROWS, num_rows: int = 0, is_split: bool = False) -> Measured:
    trained_at = np.bincount([place for _, places in rows for place in places], minlength=31)
    lengths = sorted(length for length, _ in rows)
    return Measured(
        num_rows=num_rows or len(rows),
        num_measured=len(rows),
        num_refused=0,
        lengths={length: lengths.count(length) for length in lengths},
        trained_at=tuple(trained_at.tolist()),
        width=1,
        reasons={},
        is_split=is_split,
    )


@pytest.mark.parametrize("limit", [1, 4, 6, 8, 9, 29, 30, 31, 5000])
def test_the_cost_of_a_limit_is_summed_over_rows(limit):
    lengths = Lengths.of(measured())
    assert lengths.num_cut(limit) == sum(length > limit for length, _ in ROWS)
    assert lengths.num_lost(limit) == sum(max(0, length - limit) for length, _ in ROWS)
    assert lengths.num_trained_lost(limit) == sum(place >= limit for _, places in ROWS for place in places)
    assert lengths.mean(limit) == sum(min(length, limit) for length, _ in ROWS) / len(ROWS)
    assert lengths.summary(limit)["num_tokens"] == sum(length for length, _ in ROWS)
    assert lengths.histogram(10, limit).sum() == len(ROWS)


def test_a_sample_speaks_for_all_rows():
    lengths = Lengths.of(measured(num_rows=4000))
    assert lengths.is_sample
    assert (lengths.num_sequences, lengths.num_cut(9), lengths.num_lost(9)) == (4000, 1000, 21_000)
    assert lengths.mean(9) == Lengths.of(measured()).mean(9)


def test_split_rows_lose_nothing_and_repeat_one_token_per_piece():
    lengths = Lengths.of(measured([(30, range(1, 30))], is_split=True))
    assert (lengths.num_cut(8), lengths.num_lost(8), lengths.num_trained_lost(8)) == (0, 0, 0)
    assert lengths.num_pieces(8) == 5
    # 30 tokens in pieces of 8 that share their ends: 8 + 8 + 8 + 8 + 2.
    assert lengths.mean(8) == (8 + 8 + 8 + 8 + 2) / 5
    assert "nothing is cut" in lengths.cut_in_words(8)


def test_shares_and_words():
    lengths = Lengths.of(measured())
    assert [lengths.at_share(share) for share in (0, 0.25, 0.5, 0.75, 0.76, 1)] == [4, 4, 9, 9, 30, 30]
    words = "1 of 4 rows are cut: 21 tokens are lost, 58.3% of what is trained."
    assert lengths.cut_in_words(9) == words
    assert lengths.cut_in_words(30) == "No row is longer; nothing is cut."


def test_nothing_measured_is_no_division_by_zero():
    lengths = Lengths.of(Measured(num_rows=3, num_measured=3, num_refused=3, lengths={}, trained_at=(0,), width=1,
                                  reasons={"no answer": 3}, is_split=False))  # fmt: skip
    assert lengths.in_words(8) == ["No row can be used."]
    assert lengths.summary(8)["longest"] == 0
    assert lengths.mean(8) == 0
