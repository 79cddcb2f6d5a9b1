"""No run that runs out of memory is said to fit: measured, played and drawn at random, against every card."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from test_allocator_slack import CARD, ROWS, SHAPES
from test_allocator_slack import config_of as slack_config
from test_published_peaks import MIB, estimated, of_group
from test_published_peaks import ROWS as PUBLISHED

from core.config import RunConfig, field_at
from core.gpus import gpus
from core.hardware import Device
from core.memory.calibration import PastPeak
from core.memory.context import context_bytes, cublas_bytes
from core.memory.estimate import BAND, Estimate, estimate
from core.memory.fit import LENGTH, fit, is_roomy
from core.memory.hybrids import find_hybrid
from core.memory.stack import resolve
from core.memory.suggestions import changed
from core.models.catalogue import catalogue
from core.models.facts import ModelFacts, facts_from_config
from core.sections import BITSANDBYTES, PAGED

FACTS = {model.name: facts_from_config(model.config, model.name) for model in catalogue()}
ORDER = ("fits", "tight", "does not fit")
BUDGETS = [round(gib * 2**30) for gib in (1, 2, 4, 6, 8, 12, 16, 24, 48, 80, 180)]
RISING = {
    LENGTH: (8, 16, 127, 128, 129, 512, 1000, 1024, 2048, 4095, 4096, 4097, 16384),
    "optim.batch_size": (1, 2, 3, 4, 5, 8, 16, 33),
    "method.rank": (1, 2, 3, 8, 16, 17, 64, 256),
}
TARGETS = (("all-linear",), ("q_proj", "v_proj"), ("q_proj", "k_proj", "v_proj", "o_proj"))
DIP = 0.001
"""By so small a share a peak may fall where kernels or dimensions are rounded."""
QUICK, MANY = 20, 1000


def with_room(device: Device, num_bytes: int) -> Device:
    return dataclasses.replace(device, total_bytes=num_bytes, free_bytes=num_bytes, others_bytes=0)


def says_it_fits(found: Estimate, num_bytes: int) -> bool:
    """Whether the verdict would be "fits" on a device with that much room."""
    return found.is_sure and found.peak_bytes + found.margin_bytes <= num_bytes


@pytest.mark.parametrize("name", of_group("specified", "capacity", "loose"))
def test_what_was_measured_on_a_gpu_is_not_said_to_fit_into_less(name: str) -> None:
    row = PUBLISHED[name]
    measured = round(float(row["process_mib"] or row["peak_mib"]) * MIB)
    found = estimated(row)
    assert not says_it_fits(found, measured - 1)
    for card in (gpu.device for gpu in gpus() if gpu.device.free_bytes < measured):
        assert not says_it_fits(found, card.free_bytes), card.name


@pytest.mark.parametrize(("column", "grows"), [("growing_bytes", True), ("fixed_bytes", False)])
def test_what_torch_would_hold_is_not_said_to_fit_into_less(
    column: str, grows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.memory.estimate.can_grow", lambda: grows)
    context = context_bytes(CARD) - cublas_bytes(CARD)
    too_small = []
    for row in ROWS:
        held = int(row[column]) + context
        card = with_room(CARD, held - 1)
        facts = facts_from_config(SHAPES[row["model"]], row["model"])
        found = estimate(slack_config(row["settings"]), facts, card, with_suggestions=False)
        too_small += [row["settings"]] if found.verdict == "fits" else []
    assert not too_small


def test_what_was_rehearsed_is_not_said_to_fit_into_less() -> None:
    """The band that a verdict keeps free is wider than any error of the grid."""
    path = Path(__file__).resolve().parents[1] / "recorded" / "estimate-grid.csv"
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            assert int(row["rehearsed_bytes"]) <= 1.1 * int(row["estimated_bytes"])


def drawn(dice: random.Random) -> RunConfig:
    """Any config that is valid, rare settings as often as usual ones."""
    is_full = dice.random() < 0.2
    values: dict[str, Any] = {
        path: dice.choice(get_args(field_at(RunConfig(), path).annotation))
        for path in ("model.quantization", "model.attention", "model.dtype", "optim.optimizer",
                     "memory.loss", "memory.adapter_dtype")
    }  # fmt: skip
    values |= {
        path: dice.random() < 0.5
        for path in ("model.double_quantization", "data.packing", "memory.activation_checkpointing",
                     "memory.upcast")
    }  # fmt: skip
    values |= {
        LENGTH: dice.choice((8, 64, 100, 512, 513, 2048, 4096, 32768)),
        "optim.batch_size": dice.choice((1, 2, 3, 4, 16, 64)),
        "optim.accumulation": dice.choice((1, 2, 7)),
        "evaluation.samples": dice.choice((0, 2)),
        "evaluation.sample_tokens": dice.choice((1, 96, 4096)),
    }
    if is_full:
        return RunConfig().with_value("method.kind", "full").with_values(values | {"model.quantization": "none"})
    rank, dropout = dice.choice((1, 8, 16, 256)), dice.choice((0.0, 0.05))
    adapter = {"method.rank": rank, "method.dropout": dropout, "method.targets": dice.choice(TARGETS)}
    return RunConfig().with_values(values | adapter)


def is_traced(config: RunConfig, facts: ModelFacts, card: Device) -> bool:
    """Whether what its mode keeps was traced. For others differences of traced ones stand in, each at a peak
    of its own, and their sum may fall while each rises; by less than the band, which a verdict keeps free."""
    return find_hybrid(facts, resolve(config, facts, card).mode(facts), "chunked").is_own_mode


def past_of(config: RunConfig, card: Device, peak: int, dice: random.Random) -> list[PastPeak]:
    """Runs on that card that took more or less than was expected; none for every other config."""
    kind, base = config.method.kind, config.model.quantization
    ratios = [dice.uniform(0.8, 1.2) for _ in range(dice.choice((0, 4)))]
    return [PastPeak(card.name, kind, base, peak, round(ratio * peak)) for ratio in ratios]


def contradictions(config: RunConfig, facts: ModelFacts, card: Device, dice: random.Random) -> Iterator[str]:
    """Everything in which the estimates of a run and of others near it do not agree."""

    def of(one: RunConfig, device: Device = card) -> Estimate:
        return estimate(one, facts, device, with_suggestions=False)

    now = estimate(config, facts, card)
    if (now.verdict == "fits") != says_it_fits(now, now.free_bytes):
        yield "the verdict is not that of its figures"
    verdicts = [ORDER.index(of(config, with_room(card, budget)).verdict) for budget in BUDGETS]
    if verdicts != sorted(verdicts, reverse=True):
        yield f"more room makes it worse: {verdicts}"
    is_paged = config.optim.optimizer in PAGED
    for path, values in RISING.items():
        # Only states of tensors above a size can be paged, or take 8 bits, so a higher rank may rightly take less.
        if path == "method.rank" and (config.method.kind == "full" or config.optim.optimizer in BITSANDBYTES):
            continue
        near = [changed(config, {path: value}) for value in values]
        found = [of(one) for one in near]
        # Paged states leave the GPU when it is full, so there the peak may fall; the verdict may not get better.
        rising = [ORDER.index(one.verdict) if is_paged else one.peak_bytes for one in found]
        dip = DIP if all(is_traced(one, facts, card) for one in near) else BAND
        if any(after < (1 - dip) * before for before, after in itertools.pairwise(rising)):
            yield f"more of {path} takes less: {rising}"
    for one in now.suggestions:
        then = of(config.with_values(one.changes))
        if (then.peak_bytes, then.verdict) != (one.peak_bytes, one.verdict):
            yield f"{one.title} is not what it says"
        if then.peak_bytes >= now.peak_bytes if now.verdict != "fits" else then.verdict != "fits":
            yield f"{one.title} is no help"
    yield from _wrong_answers(config, facts, card, past_of(config, card, now.peak_bytes, dice))


def _wrong_answers(config: RunConfig, facts: ModelFacts, card: Device, past: list[PastPeak]) -> Iterator[str]:
    """What `hone fit` says that is not so."""

    def of(one: RunConfig) -> Estimate:
        return estimate(one, facts, card, past=past, with_suggestions=False)

    found = fit(config, facts, card, past=past)
    for one in found.largest:
        beyond = one.value + (8 if one.path == LENGTH else 1)
        if one.value and not is_roomy(of(config.with_value(one.path, one.value))):
            yield f"{one.path} {one.value} does not fit"
        if beyond <= one.limit and is_roomy(of(config.with_value(one.path, beyond))):
            yield f"{one.path} {beyond} fits too"
    if found.together and of(config.with_values(found.together.changes)).verdict != "fits":
        yield f"{found.together.title} does not fit"


@pytest.mark.parametrize("count", [QUICK, pytest.param(MANY, marks=pytest.mark.battery)])
def test_estimates_of_configs_drawn_at_random_agree_with_each_other(count: int) -> None:
    dice = random.Random(count)
    cards = [gpu.device for gpu in gpus()]
    for _ in range(count):
        name, card, config = dice.choice(sorted(FACTS)), dice.choice(cards), drawn(dice)
        found = list(contradictions(config, FACTS[name], card, dice))
        assert not found, (name, card.name, found, config.to_yaml())
