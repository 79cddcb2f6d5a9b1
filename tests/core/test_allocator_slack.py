"""The estimate's slack against what torch's rules made of rehearsed runs (tests/bench/allocator_slack.py)."""

from __future__ import annotations

import csv
import statistics
from pathlib import Path

import pytest

from core.config import RunConfig
from core.hardware import Device
from core.memory.estimate import estimate
from core.models.catalogue import catalogue
from core.models.facts import facts_from_config

CARD = Device("cuda", 0, "GPU", 80 << 30, 80 << 30, bf16=True, capability=(8, 9))
SHAPES = {model.name.rpartition("/")[2]: model.config for model in catalogue()}
with (Path(__file__).resolve().parents[1] / "recorded" / "allocator-slack.csv").open(encoding="utf-8") as file:
    ROWS = [row for row in csv.DictReader(file) if row["model"] in SHAPES]


def config_of(text: str) -> RunConfig:
    values = dict(pair.split("=") for pair in text.split())
    kind = values.pop("method.kind", None)
    return (RunConfig().with_value("method.kind", kind) if kind else RunConfig()).with_values(values)


@pytest.mark.parametrize(("column", "grows", "mean", "worst"), [("growing_bytes", True, 0.01, 0.03),
                                                                ("fixed_bytes", False, 0.02, 0.11)])  # fmt: skip
def test_what_torch_would_hold_is_met(
    column: str, grows: bool, mean: float, worst: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With segments that cannot grow, the worst is a small model, of whose few segments one is hardly used."""
    monkeypatch.setattr("core.memory.estimate.can_grow", lambda: grows)
    errors = []
    for row in ROWS:
        facts = facts_from_config(SHAPES[row["model"]], row["model"])
        found = estimate(config_of(row["settings"]), facts, CARD, with_suggestions=False)
        held = int(row["allocated_bytes"]) + found.parts["margin"]
        errors.append(abs(held / int(row[column]) - 1))
    assert len(errors) >= 28
    assert statistics.fmean(errors) <= mean
    assert max(errors) <= worst
