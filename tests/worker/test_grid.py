"""A spread sample of the grid in tests/bench/estimate_grid.py, and the table that its command wrote."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bench"))

import estimate_grid

from core.models.facts import facts_from_config

TABLE = Path(estimate_grid.TESTS) / "recorded" / "estimate-grid.csv"


@pytest.fixture(scope="module")
def outcomes() -> list[estimate_grid.Outcome]:
    """One point of each of twelve architectures, of few layers, through quantisations, losses and rare settings
    in turn."""
    found = []
    for number, name in enumerate(list(estimate_grid.models())[:12]):
        of_model = [
            point
            for point in estimate_grid.points(seed=1, each=4, only=name)
            if point.values["model.quantization"] == estimate_grid.QUANTIZATIONS[number % 3]
            and facts_from_config(point.settings).num_layers <= 3
            and point.values["memory.loss"] == ("full", "chunked")[number // 3 % 2]
        ]
        found += [estimate_grid.compare(point) for point in of_model[-1:]]
    return found


def test_the_estimate_is_near_the_rehearsal(outcomes: list[estimate_grid.Outcome]) -> None:
    errors = {f"{one.point.name} {one.point.values}": one.error for one in outcomes}
    assert len(outcomes) >= 8
    assert {one.point.values["memory.loss"] for one in outcomes} == {"full", "chunked"}
    assert statistics.fmean(map(abs, errors.values())) <= 0.01, errors
    assert max(map(abs, errors.values())) <= 0.03, errors


def test_today_s_estimates_are_near_every_rehearsal_of_the_table() -> None:
    """All of them, estimated anew: rows or formulas that changed show here, without a rehearsal."""
    table = estimate_grid.read_table(TABLE)
    errors = [
        estimate_grid.against(estimate_grid.point_of(row), int(row["rehearsed_bytes"]), row["rehearsed_at"]).error
        for row in table
    ]
    assert len(table) >= 300 and len({row["model"] for row in table}) >= 12
    assert statistics.fmean(map(abs, errors)) <= 0.01
    far = {row["model"]: round(error, 4) for row, error in zip(table, errors, strict=True) if abs(error) > 0.03}
    assert not far
