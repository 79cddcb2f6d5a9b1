"""Paged optimizers in the plan: what their states count for, when they are offered, and where they are refused."""

from __future__ import annotations

import pytest

from core import hardware, placement
from core.config import RunConfig
from core.errors import HoneError
from core.hardware import Device
from core.memory.estimate import estimate
from core.memory.fit import fit
from core.memory.paging import movable
from core.memory.stack import resolve
from core.mistakes import ConfigError
from core.models.catalogue import catalogue
from core.models.facts import facts_from_config

GIB = 2**30
CPU = Device("cpu", 0, "a processor", 64 * GIB, 60 * GIB)
FACTS = next(facts_from_config(m.config, m.name) for m in catalogue() if m.name == "meta-llama/Llama-3.2-1B")


def card(gib: float) -> Device:
    return Device("cuda", 0, "a card", round(gib * GIB), round(gib * GIB), bf16=True, capability=(8, 9))


def full(optimizer: str) -> RunConfig:
    return RunConfig().with_value("method.kind", "full").with_value("optim.optimizer", optimizer)


@pytest.fixture(autouse=True)
def plain_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    """The figures are those of a system whose driver moves memory out, whatever this one is."""
    for module in (hardware, placement):
        monkeypatch.setattr(module, "can_page", lambda: True)
    monkeypatch.setattr("core.memory.estimate.can_page", lambda: True)


def test_paged_states_count_while_there_is_room_for_them() -> None:
    for paged, plain in (("paged_adamw", "adamw"), ("paged_adamw_8bit", "adamw_8bit")):
        there, usual = estimate(full(paged), FACTS, card(80)), estimate(full(plain), FACTS, card(80))
        assert there.parts["optimizer"] == usual.parts["optimizer"] > 2 * FACTS.num_parameters
        assert there.verdict == "fits" and not there.notes


@pytest.mark.parametrize(("optimizer", "width"), [("paged_adamw", 8), ("paged_adamw_8bit", 2)])
def test_where_they_do_not_fit_they_wait_in_ram_and_the_plan_says_so(optimizer: str, width: int) -> None:
    gib = 18 if width == 2 else 19
    config, usual = full(optimizer), full(optimizer.removeprefix("paged_"))
    found = estimate(config, FACTS, card(gib), with_suggestions=False)
    before = estimate(usual, FACTS, card(gib), with_suggestions=False)
    out = movable(FACTS, resolve(config, FACTS, card(gib)))
    norms = FACTS.num_parameters - out.num_bytes // width
    assert 0 < norms < 0.001 * FACTS.num_parameters, "all but the norms may leave"
    assert out.largest == width * FACTS.num_embedding
    assert before.verdict == "does not fit" and found.verdict != "does not fit"
    assert before.parts["optimizer"] - found.parts["optimizer"] == out.num_bytes
    assert found.moments["the optimizer step"] - found.parts["context"] >= 8 * FACTS.num_parameters + out.largest
    assert any("wait in RAM" in note for note in found.notes)


def test_small_adapters_have_nothing_to_move() -> None:
    config = RunConfig().with_values({"optim.optimizer": "paged_adamw_8bit", "method.rank": 8})
    assert movable(FACTS, resolve(config, FACTS, card(24))).num_bytes == 0


def test_they_are_offered_after_what_costs_less_and_only_where_they_work() -> None:
    config = full("adamw")
    changes = {one.title: one for one in fit(config, FACTS, card(19)).changes}
    one = changes["Paged AdamW"]
    assert one.changes == {"optim.optimizer": "paged_adamw"} and "slower" in one.cost
    then = estimate(config.with_values(one.changes), FACTS, card(19))
    assert (then.peak_bytes, then.verdict) == (one.peak_bytes, one.verdict)
    assert one.price > changes["8-bit AdamW"].price
    tight = fit(full("adamw_8bit"), FACTS, card(19)).changes
    assert any(one.changes == {"optim.optimizer": "paged_adamw_8bit"} for one in tight)
    roomy = fit(config, FACTS, card(80)).changes
    assert not any(one.title.startswith("Paged") for one in roomy), "they save nothing where all fits"
    poor = Device("cpu", 0, "a processor", 19 * GIB, 19 * GIB)
    assert not any(one.title.startswith("Paged") for one in fit(config, FACTS, poor).changes)


@pytest.mark.parametrize("kind", ["cpu", "mps"])
def test_a_config_for_another_device_is_refused(kind: str) -> None:
    with pytest.raises(ConfigError, match="choose adamw_8bit") as caught:
        full("paged_adamw_8bit").with_value("runtime.device", kind)
    assert caught.value.mistakes[0].path == "optim.optimizer"


def test_a_machine_without_such_a_gpu_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    config = full("paged_adamw")
    placement.place(config, [card(24), CPU])
    for found in ([CPU], [Device("mps", 0, "M4", 24 * GIB, 20 * GIB), CPU]):
        with pytest.raises(HoneError, match=r"needs an NVIDIA GPU under Linux.*choose adamw\.") as caught:
            placement.place(config, found)
        assert caught.value.path == "optim.optimizer"
    monkeypatch.setattr(placement, "can_page", lambda: False)
    with pytest.raises(HoneError, match="under Linux"):
        placement.place(config, [card(24), CPU])
