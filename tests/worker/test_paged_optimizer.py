"""Paged optimizers: bitsandbytes' own classes, whose states survive a checkpoint in the buffers they came from."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny_models import tiny_config
from torch import nn

from core.config import RunConfig
from core.hardware import Device
from core.memory.estimate import estimate
from core.memory.paging import movable
from core.memory.stack import resolve
from core.models.facts import facts_from_config
from core.sections import OptimSection
from core.worker import optimizer
from core.worker.rehearsal_report import describe
from core.worker.rehearse import rehearse

# Off a GPU bitsandbytes' paged classes work in ordinary memory and say so; the arithmetic is the same.
pytestmark = pytest.mark.filterwarnings("ignore:Paged optimizers are not supported on CPU")
CPU = Device("cpu", 0, "a processor", 8 << 30, 8 << 30)
GPU = Device("cuda", 0, "a GPU", 8 << 30, 8 << 30, bf16=True, capability=(8, 0))
KINDS = {"paged_adamw": "adamw", "paged_adamw_8bit": "adamw_8bit"}


def parameters() -> optimizer.NamedParameters:
    generator = torch.Generator().manual_seed(5)
    shapes = {"large": (400, 300), "middle": (80, 80), "small": (30,)}
    return [(name, nn.Parameter(torch.randn(shape, generator=generator))) for name, shape in shapes.items()]


def made(kind: str, members: optimizer.NamedParameters) -> Any:
    section = OptimSection.model_validate({"optimizer": kind, "learning_rate": 0.01, "weight_decay": 0.1})
    return optimizer.make_optimizer(members, section)


def step(rule: torch.optim.Optimizer, members: optimizer.NamedParameters, number: int) -> None:
    generator = torch.Generator().manual_seed(number)
    for _, parameter in members:
        parameter.grad = torch.randn(parameter.shape, generator=generator)
    rule.step()


@pytest.mark.parametrize("kind", KINDS)
def test_a_restored_state_goes_on_to_the_bit_and_stays_paged(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    straight, resumed = parameters(), parameters()
    rule = made(kind, straight)
    for number in range(3):
        step(rule, straight, number)
    first = made(kind, resumed)
    for number in range(2):
        step(first, resumed, number)
    again = made(kind, resumed)
    asked: list[tuple[int, torch.dtype]] = []
    buffer = again.get_state_buffer
    monkeypatch.setattr(
        again, "get_state_buffer", lambda p, dtype: asked.append((p.numel(), dtype)) or buffer(p, dtype=dtype)
    )
    optimizer.restore(again, resumed, optimizer.state_of(first, resumed))
    wanted = torch.uint8 if kind.endswith("8bit") else torch.float32
    assert asked == [(120_000, wanted)] * 2 + [(6400, wanted)] * 2 + [(30, torch.float32)] * 2
    step(again, resumed, 2)
    assert len(asked) == 6, "a restored state is not made anew"
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(straight, resumed, strict=True))


@pytest.mark.parametrize(("kind", "plain"), KINDS.items())
def test_paging_does_not_change_what_is_learnt(kind: str, plain: str) -> None:
    ours, theirs = parameters(), parameters()
    rules = made(kind, ours), made(plain, theirs)
    for number in range(3):
        step(rules[0], ours, number)
        step(rules[1], theirs, number)
    for (_, a), (_, b) in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_rehearsal_holds_the_states_that_the_estimate_counts(kind: str) -> None:
    settings = tiny_config(hidden_size=128, vocab_size=4000).to_dict()
    config = RunConfig().with_value("method.kind", "full").with_values({
        "optim.optimizer": kind, "data.max_length": 32
    })  # fmt: skip
    log = rehearse(config, settings, CPU).log
    states = sum(birth.num_bytes for birth in log.births if birth.kind == "optimizer")
    found = estimate(config, facts_from_config(settings), CPU, with_suggestions=False)
    assert states == pytest.approx(found.parts["optimizer"], rel=0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_on_a_gpu_large_states_are_no_memory_of_torch_s(kind: str) -> None:
    settings = tiny_config(hidden_size=128, vocab_size=40_000).to_dict()
    config = RunConfig().with_value("method.kind", "full").with_value("data.max_length", 32)
    paged, plain = config.with_value("optim.optimizer", kind), config.with_value("optim.optimizer", KINDS[kind])
    of_paged, of_plain = (describe(rehearse(one, settings, GPU), one, GPU, 32) for one in (paged, plain))
    facts = facts_from_config(settings)
    assert of_paged.paged_bytes == movable(facts, resolve(paged, facts, GPU)).num_bytes > 0
    assert of_plain.paged_bytes == 0
    assert of_paged.parts["optimizer"] == pytest.approx(of_plain.parts["optimizer"], rel=0.01)
    assert of_paged.peak_bytes == pytest.approx(of_plain.peak_bytes, rel=0.01)
    less = of_plain.reserved_bytes - of_paged.reserved_bytes
    assert of_paged.paged_bytes <= less <= of_paged.paged_bytes + (20 << 20), "but for what is left of a segment"
