"""The estimate against peaks that others measured on GPUs and published, each for the stack it was measured in.

tests/recorded/published-peaks.csv has their settings. `specified` rows state everything that decides bytes;
`capacity` rows say which length fills a card; `loose` rows leave something open, or are rounded to a gigabyte.
`limit_percent` is the error that was reached, rounded up: a change that makes a row worse fails here. What is far
off says where row or estimate are at a loss: litgpt trains in code of its own, of which ours is 4 % below, and
LLaMA-Factory does not say what it measured.
"""

from __future__ import annotations

import csv
import statistics
from dataclasses import replace
from pathlib import Path

import pytest

from core.config import RunConfig
from core.gpus import find_gpu
from core.hardware import Device
from core.memory.estimate import Estimate, estimate_stack
from core.memory.stack import resolve
from core.memory.stock import stock_estimate
from core.models.catalogue import catalogue
from core.models.facts import ModelFacts, facts_from_config

MIB = 2**20
SHAPES = {model.name: model.config for model in catalogue()}
SHAPES["meta-llama/Llama-2-13b-hf"] = SHAPES["meta-llama/Llama-2-7b-hf"] | {
    "hidden_size": 5120, "num_hidden_layers": 40, "num_attention_heads": 40, "num_key_value_heads": 40,
    "intermediate_size": 13824,
}  # fmt: skip
PUBLISHED = Path(__file__).resolve().parents[1] / "recorded" / "published-peaks.csv"
with PUBLISHED.open(encoding="utf-8", newline="") as file:
    ROWS = {row["id"]: row for row in csv.DictReader(file)}


def of_group(*groups: str) -> list[str]:
    return [name for name, row in ROWS.items() if row["group"] in groups]


def facts_of(row: dict[str, str]) -> ModelFacts:
    return facts_from_config(SHAPES[row["model"]], row["model"])


def card(row: dict[str, str]) -> Device:
    if row["gpu"] == "T4":
        return find_gpu("T4").device
    return Device("cuda", 0, row["gpu"], 80 << 30, 80 << 30, bf16=True, capability=(8, 0))


def estimated(row: dict[str, str]) -> Estimate:
    """The estimate for the stack of a row."""
    facts, device = facts_of(row), card(row)
    config = RunConfig().with_values({
        "model.quantization": row["quantization"],
        "model.double_quantization": row["double_quantization"] == "yes",
        "model.attention": row["attention"],
        "method.rank": int(row["rank"]),
        "method.targets": tuple(row["targets"].split()),
        "method.dropout": float(row["dropout"]),
        "optim.batch_size": int(row["rows"]),
        "optim.accumulation": 1,
        "optim.optimizer": row["optimizer"],
        "data.max_length": int(row["length"]),
        "memory.activation_checkpointing": row["checkpointing"] == "yes",
        "memory.adapter_dtype": row["adapter_dtype"],
    })  # fmt: skip
    stack = resolve(config, facts, device)
    if row["loop"] != "hone":
        stack = replace(stack, loop=row["loop"], loss="full", upcast=row["upcast"] == "yes")  # type: ignore[arg-type]
    held = int(row["held_score_bytes"])
    return estimate_stack(replace(stack, held_score_bytes=held), config, facts, device)  # type: ignore[arg-type]


def error_of(row: dict[str, str]) -> float:
    """Percent by which the estimate is above what was measured. What is said of a card counts its context."""
    found = estimated(row)
    num_bytes = found.allocated_bytes
    if row["group"] != "specified" and row["loop"] == "trainer":
        num_bytes = found.tensor_bytes + found.parts["context"]
    return 100 * (num_bytes / MIB / float(row["peak_mib"]) - 1)


@pytest.mark.parametrize("name", of_group("specified", "capacity", "loose"))
def test_a_published_peak_is_met_as_closely_as_before(name: str) -> None:
    assert abs(error_of(ROWS[name])) <= float(ROWS[name]["limit_percent"])


def test_fully_specified_peaks_are_met_within_one_percent_on_average_and_three_at_worst() -> None:
    errors = [abs(error_of(ROWS[name])) for name in of_group("specified")]
    assert len(errors) >= 20
    assert statistics.fmean(errors) <= 1
    assert max(errors) <= 3


def test_what_the_process_takes_is_inside_the_band_so_no_run_that_runs_out_is_said_to_fit() -> None:
    """Measured with torch's default allocator, whose slack is the larger and hangs on chance. What decides it is
    in core/memory/stock_slack.py, without a number that these rows were fitted to."""
    errors = []
    for name in of_group("specified"):
        found, measured = estimated(ROWS[name]), float(ROWS[name]["process_mib"]) * MIB
        assert measured <= found.peak_bytes + found.margin_bytes, name
        errors.append(100 * abs(found.peak_bytes / measured - 1))
    assert statistics.fmean(errors) <= 3
    assert max(errors) <= 8


def test_what_the_process_takes_is_met_by_rehearsals_of_the_scripts_that_measured_it() -> None:
    """By tests/bench/published_totals.py: each tensor that torch allocates, in its order, in segments as torch has
    them. The worst row is one of eager attention, whose large tensors come to lie by chance."""
    with (PUBLISHED.parent / "published-totals.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert list(rows) == of_group("specified")
    errors = [100 * abs(float(row["error"])) for row in rows.values()]
    assert statistics.fmean(errors) <= 2.5
    assert max(errors) <= 9
    for name, row in rows.items():
        assert abs(int(row["allocated_bytes"]) / MIB / float(ROWS[name]["peak_mib"]) - 1) <= 0.005


def test_lengths_that_fill_a_card_are_met_within_five_percent() -> None:
    assert all(abs(error_of(ROWS[name])) <= 5 for name in of_group("capacity"))


def test_every_row_is_described_or_says_why_not() -> None:
    assert all(row["remark"] for row in ROWS.values() if row["group"] == "not described")
    assert len(of_group("not described")) < len(ROWS) / 5


def test_the_parts_of_another_stack_add_up() -> None:
    found = estimated(ROWS["P061"])
    assert sum(found.parts.values()) == found.peak_bytes
    assert "writing samples" not in found.moments  # other loops write none


def test_the_stock_stack_takes_more_than_ours() -> None:
    facts = facts_of(ROWS["P061"])
    config = RunConfig().with_values({"model.quantization": "nf4", "data.max_length": 2048})
    ours = resolve(config, facts, card(ROWS["P061"]))
    stock = stock_estimate(config, facts, card(ROWS["P061"]))
    lean = estimate_stack(ours, config, facts, card(ROWS["P061"]))
    assert stock.peak_bytes > 1.3 * lean.peak_bytes
    head = facts.vocab * facts.hidden
    assert stock.parts["weights"] - lean.parts["weights"] >= 2 * 2 * head  # embedding and head in 32 bits
