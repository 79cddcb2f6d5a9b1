from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from core.cli import main
from core.config import RunConfig
from core.errors import HoneError
from core.gpus import find_gpu, gpus
from core.hardware import Device
from core.memory.estimate import estimate
from core.memory.fit import LENGTH, fit, is_roomy, models_that_fit
from core.memory.suggestions import changed
from core.models.catalogue import catalogue
from core.models.facts import facts_from_config

GIB = 2**30
FACTS = {m.name: facts_from_config(m.config, m.name) for m in catalogue()}
EIGHT = FACTS["meta-llama/Llama-3.1-8B"]


def card(gib: float) -> Device:
    return Device("cuda", 0, "a card", round(gib * GIB), round(gib * GIB), bf16=True, capability=(8, 9))


@settings(max_examples=25, deadline=None)
@given(
    some.sampled_from(sorted(FACTS)),
    some.floats(2, 90),
    some.sampled_from(["none", "nf4", "int8"]),
    some.booleans(),
    some.sampled_from(["full", "chunked"]),
)  # fmt: skip
def test_the_largest_fits_and_the_next_does_not(
    name: str, gib: float, base: str, recompute: bool, loss: str
) -> None:
    config = RunConfig().with_values({
        "model.quantization": base, "memory.activation_checkpointing": recompute, "memory.loss": loss
    })  # fmt: skip
    for one in fit(config, FACTS[name], card(gib)).largest:
        step = 8 if one.path == LENGTH else 1
        if one.value:
            found = estimate(changed(config, {one.path: one.value}), FACTS[name], card(gib))
            assert is_roomy(found)
            assert found.peak_bytes == one.peak_bytes
        if one.value + step <= one.limit:
            assert not is_roomy(estimate(changed(config, {one.path: one.value + step}), FACTS[name], card(gib)))


def test_what_fits_grows_with_the_budget() -> None:
    config = RunConfig().with_value("model.quantization", "nf4")
    lengths = [fit(config, EIGHT, card(gib)).largest[0].value for gib in (4, 8, 12, 16, 24, 48, 80)]
    assert lengths == sorted(lengths)
    assert lengths[0] == 0
    assert lengths[2] > 512
    assert lengths[-1] <= EIGHT.max_positions


def test_every_change_is_verified_and_takes_the_run_where_it_says() -> None:
    config = RunConfig().with_values({"memory.loss": "full", "data.max_length": 4096, "optim.optimizer": "adamw"})
    found = fit(config, EIGHT, card(16))
    titles = [one.title for one in found.changes]
    assert "4-bit base" in titles
    assert "Scores in slices" in titles
    assert "Attention only" in titles
    for one in found.changes:
        then = estimate(config.with_values(one.changes), EIGHT, card(16))
        assert then.peak_bytes == one.peak_bytes == found.estimate.peak_bytes - one.saved_bytes
        assert then.verdict == one.verdict
    order = ["fits", "tight", "does not fit"]
    assert [order.index(one.verdict) for one in found.changes] == sorted(
        order.index(o.verdict) for o in found.changes
    )
    worth = [one.saved_bytes / one.price for one in found.changes if one.verdict == "does not fit"]
    assert worth == sorted(worth, reverse=True)


def test_where_no_single_change_helps_several_do_and_where_none_does_nothing_is_promised() -> None:
    config = RunConfig().with_values({"data.max_length": 4096, "optim.batch_size": 16, "memory.loss": "full"})
    found = fit(config, EIGHT, card(12))
    assert found.estimate.verdict == "does not fit"
    assert all(one.verdict != "fits" for one in found.changes)
    assert found.together is not None
    then = estimate(config.with_values(found.together.changes), EIGHT, card(12))
    assert then.verdict == "fits"
    assert then.peak_bytes == found.together.peak_bytes
    batch = found.together.changes["optim.batch_size"] * found.together.changes["optim.accumulation"]
    assert batch >= config.optim.batch_size * config.optim.accumulation
    assert fit(config, EIGHT, card(2)).together is None
    assert fit(RunConfig(), FACTS["Qwen/Qwen2.5-0.5B"], card(24)).together is None


def test_the_same_effective_batch_is_kept() -> None:
    config = RunConfig().with_values({"optim.batch_size": 16, "optim.accumulation": 3})
    halved = next(one for one in fit(config, EIGHT, card(24)).changes if "optim.batch_size" in one.changes)
    assert halved.changes == {"optim.batch_size": 8, "optim.accumulation": 6}


def test_models_of_the_catalogue_are_judged_by_the_method() -> None:
    small, large = card(8), card(80)
    quantised = RunConfig().with_value("model.quantization", "nf4")
    found = {one.model.name: one for one in models_that_fit(quantised, small)}
    assert len(found) >= 40
    assert found["Qwen/Qwen2.5-0.5B"].estimate.verdict == "fits"
    assert found["meta-llama/Llama-3.1-70B"].estimate.verdict == "does not fit"
    assert found["meta-llama/Llama-3.1-70B"].max_length == 0
    plain = {one.model.name: one.estimate.verdict for one in models_that_fit(RunConfig(), large)}
    assert plain["meta-llama/Llama-3.1-8B"] == "fits"


def test_the_gpu_table_is_whole() -> None:
    table = gpus()
    assert len(table) >= 60
    assert len({gpu.name for gpu in table}) == len(table)
    assert {gpu.use for gpu in table} == {"consumer", "laptop", "workstation", "datacentre", "unified"}
    for gpu in table:
        assert 2 * GIB < gpu.device.free_bytes <= gpu.memory_bytes
        assert 60 <= gpu.bandwidth_gbs <= 10_000
        assert 2016 <= gpu.year <= 2026
        assert (gpu.kind == "mps") == (gpu.capability is None)
        if gpu.capability is not None:
            assert gpu.bf16 == (gpu.capability >= (8, 0))
            assert gpu.fp8 == (gpu.capability >= (8, 9))


@pytest.mark.parametrize(
    ("name", "capacity_gib"),
    [
        ("RTX 4060", 7.60), ("RTX 3080", 9.62), ("RTX 4070", 11.56), ("RTX 5080", 15.46), ("RTX 4090", 23.52),
        ("RTX 5090", 31.33), ("RTX A6000", 47.40), ("RTX PRO 6000 Blackwell", 94.96), ("T4", 14.56), ("L4", 22.03),
        ("L40S", 44.39), ("V100 16GB", 15.77), ("V100 32GB", 31.73), ("A100 40GB", 39.38), ("A100 80GB", 79.14),
        ("H100 SXM", 79.10), ("H200", 139.72), ("B200", 178.35),
    ],
)  # fmt: skip
def test_no_more_of_a_card_is_free_than_torch_can_have(name: str, capacity_gib: float) -> None:
    """The least "total capacity" that people's out-of-memory reports state for these cards."""
    gpu = find_gpu(name)
    screen = 0 if gpu.use == "datacentre" else 2**29
    assert 0.975 * capacity_gib <= (gpu.device.free_bytes + screen) / GIB <= capacity_gib


@pytest.mark.parametrize("typed", ["RTX 4090", "rtx4090", "NVIDIA GeForce RTX 4090", "nvidia rtx-4090"])
def test_a_card_is_found_by_what_people_call_it(typed: str) -> None:
    assert find_gpu(typed).name == "RTX 4090"


@pytest.mark.parametrize(
    ("typed", "told"),
    [("A100", "A100 40GB, A100 80GB"), ("RTX 4091", "RTX 4090"), ("toaster", "--budget"), ("", "--")],
)
def test_an_unknown_card_names_near_ones(typed: str, told: str) -> None:
    with pytest.raises(HoneError, match=told):
        find_gpu(typed)


def test_fit_answers_with_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "--budget", "1GiB", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["budget_bytes"] == GIB
    assert set(found["largest"]) == {"data.max_length", "optim.batch_size", "method.rank"}
    assert found["changes"]
    assert main(["fit", "--models", "--gpu", "RTX 3060", "--json"]) == 0
    models = json.loads(capsys.readouterr().out)
    assert models["device"] == "RTX 3060"
    assert len(models["models"]) >= 40


def test_estimate_for_a_card_says_whose_it_is_and_compares(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", "--gpu", "H100 SXM", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["device"] == "H100 SXM"
    assert found["stock_peak_bytes"] > 0
    assert found["evidence"] == ""
    assert main(["fit", "--gpu", "no such card"]) == 1
    assert "no card that Hone knows" in capsys.readouterr().err


def test_a_model_of_the_catalogue_is_planned_before_it_is_downloaded(capsys: pytest.CaptureFixture[str]) -> None:
    typed = [
        "--gpu",
        "RTX 3090",
        "--set",
        "model.source=meta-llama/Llama-3.1-8B",
        "--set",
        "model.quantization=nf4",
    ]
    assert main(["estimate", *typed]) == 0
    assert "The same run in stock PEFT" in capsys.readouterr().out
    assert main(["estimate", "--set", "model.source=meta-llama/no-such-model"]) == 1


def test_another_budget_is_the_whole_device() -> None:
    half = dataclasses.replace(card(8), free_bytes=4 * GIB)
    assert not is_roomy(estimate(RunConfig().with_value("model.quantization", "nf4"), EIGHT, half))
