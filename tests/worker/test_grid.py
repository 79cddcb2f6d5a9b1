"""A spread sample of the grid in tests/bench/estimate_grid.py, on every ordinary run."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bench"))

import estimate_grid

from core.models.facts import facts_from_config


@pytest.fixture(scope="module")
def outcomes() -> list[estimate_grid.Outcome]:
    """One point of each of twelve architectures, of few layers, through all quantisations in turn."""
    found = []
    for number, name in enumerate(list(estimate_grid.models())[:12]):
        of_model = [
            point
            for point in estimate_grid.points(seed=1, each=2)
            if point.name == name
            and point.values["model.quantization"] == estimate_grid.QUANTIZATIONS[number % 3]
            and facts_from_config(point.settings).num_layers <= 5
            and point.values["memory.loss"] == "chunked"
        ]
        found += [estimate_grid.compare(point) for point in of_model[:1]]
    return found


def test_the_estimate_is_near_the_rehearsal(outcomes: list[estimate_grid.Outcome]) -> None:
    errors = {f"{one.point.name} {one.point.values}": one.error for one in outcomes}
    assert len(outcomes) >= 8
    assert statistics.fmean(map(abs, errors.values())) <= 0.01, errors
    assert max(map(abs, errors.values())) <= 0.03, errors
