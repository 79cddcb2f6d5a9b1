"""Columns, outlines and moving means: exact, and no single spike is ever lost."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.state.series import Column, Series, Smooth


def series_of(values, positions=None) -> Series:
    along = Column()
    along.extend(np.arange(len(values), dtype=float) if positions is None else positions)
    series = Series(along)
    series.extend(np.asarray(values, dtype=float))
    return series


def plain_mean(values, factor: float) -> list[float]:
    """The definition, one value at a time."""
    mean, known, found = 0.0, math.nan, []
    for count, value in enumerate(values, 1):
        known = value if math.isfinite(value) else known
        mean = factor * mean + (1 - factor) * known
        found.append(mean / (1 - factor**count))
    return found


def test_a_column_keeps_everything_in_order():
    column, expected = Column(), []
    for size in (1, 2, 1000, 1, 5000, 0, 7):
        part = list(range(len(expected), len(expected) + size))
        column.extend([float(value) for value in part])
        expected += part
    assert column.values.tolist() == expected
    assert column.values.dtype == np.float64
    column.truncate(3)
    column.extend([9.0])
    assert column.values.tolist() == [0, 1, 2, 9]


@pytest.mark.parametrize("where", [0, 1, 17, 255, 256, 65_535, 65_536, 500_000, 999_998, 999_999])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_single_spike_in_a_million_is_always_in_the_outline(where, sign):
    values = np.random.default_rng(0).normal(size=1_000_000)
    values[where] = sign * 1000
    series = series_of(values)
    for left, right in ((0, 1e6), (where - 1e5, where + 3e5), (where - 4000, where + 1), (where - 3, where + 3)):
        for num_bins in (50, 400, 1000):
            xs, ys = series.outline(left, right, num_bins)
            assert sign * 1000 in ys
            assert len(xs) == len(ys) <= 4 * num_bins + 10
            spike = xs[np.argmax(sign * ys)]
            assert abs(spike - where) <= 2 * (min(right, 1e6) - max(left, 0)) / num_bins, "the spike has moved"


@settings(max_examples=80, deadline=None)
@given(
    num=st.integers(1, 5000),
    parts=st.lists(st.integers(1, 700), max_size=20),
    ends=st.tuples(st.floats(-10, 5010), st.floats(-10, 5010)),
    num_bins=st.integers(1, 300),
    seed=st.integers(0, 9),
)
def test_an_outline_has_the_extremes_of_what_it_covers(num, parts, ends, num_bins, seed):
    values = np.random.default_rng(seed).normal(size=num)
    along = Column()
    along.extend(np.arange(num, dtype=float))
    series, rest = Series(along), values
    for part in parts:
        series.extend(rest[:part])
        rest = rest[part:]
    series.extend(rest)
    left, right = min(ends), max(ends)
    xs, ys = series.outline(left, right, num_bins)
    inside = values[max(0, math.ceil(left)) : max(0, math.floor(right) + 1)]
    if len(inside):
        assert ys.min() <= inside.min() and ys.max() >= inside.max()
    assert set(ys.tolist()) <= set(values.tolist()), "every drawn value is a real one"
    assert np.all(np.diff(xs) >= 0)
    assert len(xs) <= 4 * num_bins + 10


def test_an_outline_reaches_the_last_value():
    for num in (1, 2, 15, 16, 17, 1000, 4097, 70_001):
        xs, ys = series_of(np.arange(num)).outline(-1, num + 1, 20)
        assert xs[-1] == num - 1 and ys[-1] == num - 1
        assert xs[0] == 0


def test_an_outline_of_nothing_is_empty():
    xs, ys = series_of([]).outline(0, 10, 100)
    assert len(xs) == len(ys) == 0
    assert series_of([]).span(0, 10) is None
    assert series_of([math.nan, math.nan]).span(0, 10) is None


def test_values_that_are_no_numbers_leave_gaps_and_hide_nothing():
    values = np.ones(100_000)
    values[::2] = math.nan
    values[5001] = 7
    xs, ys = series_of(values).outline(0, 1e5, 200)
    assert np.nanmax(ys) == 7 and np.nanmin(ys) == 1
    whole_gap = np.ones(100_000)
    whole_gap[:50_000] = math.nan
    xs, ys = series_of(whole_gap).outline(0, 1e5, 200)
    assert np.isnan(ys[xs < 49_000]).all() and not np.isnan(ys[xs > 51_000]).any()


def test_an_outline_can_run_along_other_positions():
    series = series_of(np.arange(10_000))
    seconds = np.arange(10_000) * 0.5
    xs, ys = series.outline(100, 200, 1000, seconds)
    assert xs[0] == 99.5 and xs[-1] == 200.5
    assert ys[0] == 199 and ys[-1] == 401


@settings(max_examples=40, deadline=None)
@given(first=st.integers(0, 3000), kept=st.integers(0, 3000), more=st.integers(0, 3000), seed=st.integers(0, 5))
def test_dropping_the_end_and_going_on_is_the_same_as_never_having_had_it(first, kept, more, seed):
    dice = np.random.default_rng(seed)
    one, two = dice.normal(size=first), dice.normal(size=more)
    along = Column()
    along.extend(np.arange(first, dtype=float))
    series = Series(along)
    smooth = Smooth(series, 0.9)
    series.extend(one)
    smooth.catch_up()
    kept = min(kept, first)
    for column in (along, series, smooth):
        column.truncate(kept)
    along.extend(np.arange(kept, kept + more, dtype=float))
    series.extend(two)
    smooth.catch_up()
    expected = np.concatenate([one[:kept], two])
    assert series.values.tolist() == expected.tolist()
    for num_bins in (3, 50):
        fresh = series_of(expected).outline(-1, 1e9, num_bins)
        assert [part.tolist() for part in series.outline(-1, 1e9, num_bins)] == [part.tolist() for part in fresh]
    np.testing.assert_allclose(smooth.values, plain_mean(expected, 0.9), rtol=1e-9)


@pytest.mark.parametrize("factor", [0.0, 0.6, 0.9, 0.99, 0.999])
@pytest.mark.parametrize("parts", [(5000,), (1, 1, 1, 63, 64, 65, 2000), (100, 0, 31, 32, 33)])
def test_the_moving_mean_follows_its_definition_however_it_is_fed(factor, parts):
    dice = np.random.default_rng(4)
    raw = Series(Column())
    smooth = Smooth(raw, factor)
    for part in parts:
        raw.extend(dice.normal(size=part) + 3)
        smooth.catch_up()
    np.testing.assert_allclose(smooth.values, plain_mean(raw.values, factor), rtol=1e-9)


def test_the_moving_mean_stands_still_where_there_is_no_number():
    raw = Series(Column())
    smooth = Smooth(raw, 0.9)
    for part in ([math.nan], [math.nan, 2.0, 3.0], [math.inf], [math.nan, 4.0]):
        raw.extend(part)
        smooth.catch_up()
    assert np.isnan(smooth.values[:2]).all()
    np.testing.assert_allclose(smooth.values[2:], plain_mean([2.0, 3.0, 3.0, 3.0, 4.0], 0.9))
    for series in (raw, smooth):
        series.truncate(1)
    raw.extend([5.0])
    smooth.catch_up()
    np.testing.assert_allclose(smooth.values, [math.nan, 5.0])
