"""Which rows a run would train on and hold out: counted as the run itself will part them."""

from __future__ import annotations

import json

import pytest

from core.config import RunConfig
from core.data.rows import rows_of
from core.data.sides import find_sides


@pytest.fixture
def config(tmp_path) -> RunConfig:
    kinds = ["tale", "verse", "verse", "verse"]
    rows = [
        {"prompt": f"Ask {n}", "completion": f"Answer {n}", "kind": kinds[n % 4], "author": n // 10,
         "split": "Validation" if n % 5 == 0 else "train"}
        for n in range(400)
    ]  # fmt: skip
    rows[3]["completion"] = ""
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return RunConfig().with_value("data.source", str(path))


def numbers_held(config: RunConfig) -> set[int]:
    rows = rows_of(config.data)
    split = find_sides(rows).split(
        config.data.holdout, config.runtime.seed, is_stratified=bool(config.data.stratify_by)
    )
    assert split.num_trained + split.num_held == 399, "the row that cannot be used is on no side"
    assert len(split.first) == min(100, split.num_held)
    return set(split.first)


def test_a_share_is_held_out_by_content_and_seed(config):
    held = numbers_held(config.with_value("data.holdout", 0.1))
    assert 20 <= len(held) <= 60
    assert numbers_held(config.with_value("data.holdout", 0.1)) == held
    assert numbers_held(config.with_values({"data.holdout": 0.1, "runtime.seed": 1})) != held
    assert not numbers_held(config.with_value("data.holdout", 0))


def test_a_column_alone_decides_where_it_is_named(config):
    held = numbers_held(config.with_value("data.split_column", "split"))
    assert held == set(range(0, 400, 5))


def test_strata_keep_their_shares_and_groups_stay_together(config):
    held = numbers_held(config.with_values({"data.holdout": 0.2, "data.stratify_by": "kind"}))
    num_tales = sum(number % 4 == 0 for number in held)
    assert num_tales == 20 and len(held) == 80
    held = numbers_held(config.with_values({"data.holdout": 0.2, "data.group_by": "author"}))
    assert all((number in held) == (number // 10 * 10 in held) for number in range(400) if number != 3)


def test_progress_is_told_and_nothing_is_nothing(config):
    told = []
    find_sides(rows_of(config.data), told.append)
    assert told == [0]
    assert find_sides([]).split(0.5, 0).num_trained == 0
