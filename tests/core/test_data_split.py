"""Which side a row is on: by its content, its group, its stratum, or by a column that says so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.row import Message, Row
from core.data.split import HELD, TRAINED, digest, held_out, key, place, places

numbers = st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=40)


def row(text: str, **columns: Any) -> Row:
    return Row(1, (Message("user", text), Message("assistant", "Yes.")), **columns)


@given(numbers, st.floats(0, 0.5))
def test_a_share_is_never_all_and_with_two_kinds_of_rows_not_none(found, holdout):
    held = held_out(np.array(found), holdout)
    assert not held.all()
    assert held.any() == (holdout > 0 and len(set(found)) > 1)
    assert len({(where, side) for where, side in zip(found, held, strict=True)}) == len(set(found))


@given(st.lists(st.integers(0, 2**63 - 1), min_size=1), st.integers(0, 2**31 - 1))
def test_places_are_the_same_one_by_one_and_all_at_once_and_spread_evenly(keys, seed):
    together = places(np.array(keys, np.int64), seed)
    from core.data import split

    assert together.tolist() == [split._mixed(one, seed) / 2**64 for one in keys]
    assert ((together >= 0) & (together <= 1)).all()


def test_places_are_even_and_change_with_the_seed():
    keys = np.array([digest(str(number)) for number in range(20_000)])
    one, two = places(keys, 0), places(keys, 1)
    assert abs((one < 0.05).mean() - 0.05) < 0.005
    assert abs(((one < 0.5) == (two < 0.5)).mean() - 0.5) < 0.02


def test_a_row_stays_where_it_is_when_rows_are_added():
    few, many = [row(str(number)) for number in range(300)], [row(str(number)) for number in range(900)]
    sides = [held_out(np.array([place(one, 3) for one in rows]), 0.1) for rows in (few, many)]
    assert (sides[0] == sides[1][:300]).all()


def test_a_group_stays_together():
    rows = [row(str(number), group=f"author {number // 5}") for number in range(500)]
    held = held_out(np.array([place(one, 0) for one in rows]), 0.2).reshape(-1, 5)
    assert (held.all(axis=1) | ~held.any(axis=1)).all()
    assert 0.1 < held.mean() < 0.3


@pytest.mark.parametrize("word", ["test", "Validation", " dev ", "held-out"])
def test_a_column_says_the_side(word):
    rows = [row("a", split=word), row("b", split="train"), row("c", split="other")]
    assert [key(one) for one in rows] == [HELD, TRAINED, TRAINED]
    assert held_out(np.array([place(one, 0) for one in rows]), 0).tolist() == [True, False, False]


@given(st.lists(st.sampled_from([0, 1, 2]), min_size=20, max_size=200), st.integers(0, 99), st.floats(0.1, 0.5))
def test_each_stratum_gives_its_share_to_the_nearest_row(strata, seed, holdout):
    found = places(np.array([digest(str(number)) for number in range(len(strata))]), seed)
    held = held_out(found, holdout, np.array(strata))
    for stratum in set(strata):
        mine = np.array(strata) == stratum
        assert abs(held[mine].sum() - holdout * mine.sum()) <= 0.5 + 1e-9 or held.sum() == 1


def test_groups_stay_together_in_strata():
    groups = np.repeat(np.arange(60), 3)
    strata = np.repeat(np.arange(60) % 2, 3)
    found = places(np.array([digest(int(group)) for group in groups]), 0)
    held = held_out(found, 0.25, strata)
    assert all(len(set(held[groups == group])) == 1 for group in range(60))
    assert [held[strata == stratum].mean() for stratum in (0, 1)] == pytest.approx([0.25, 0.25], abs=0.02)
