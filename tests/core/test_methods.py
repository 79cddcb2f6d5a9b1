"""Methods and presets: data that must fit the config they change."""

from __future__ import annotations

import itertools

import pytest

from core.config import RunConfig
from core.methods.catalogue import FULL, LORA, METHODS, QLORA, changes_to, describe, method_of
from core.methods.presets import PRESETS, applied, first_config, preset_of
from core.sections import Lora

OWN = RunConfig().with_values(
    {"model.source": "/models/mine", "data.source": "/data/mine.jsonl", "runtime.device": "cpu", "runtime.seed": 7,
     "data.train_on": "last_answer", "optim.epochs": 9}
)  # fmt: skip


@pytest.mark.parametrize(("start", "end"), list(itertools.product(METHODS, METHODS)))
def test_any_method_can_follow_any_other(start, end):
    before = RunConfig().with_values(changes_to(start, RunConfig()))
    after = before.with_values(changes_to(end, before))
    assert method_of(before) is start and method_of(after) is end
    assert after.optim.learning_rate == 2e-4 * end.rate, "exactly, not almost"


def test_a_learning_rate_of_ones_own_moves_along():
    config = RunConfig().with_value("optim.learning_rate", 3e-4)
    full = config.with_values(changes_to(FULL, config))
    assert full.optim.learning_rate == 3e-5
    assert full.with_values(changes_to(QLORA, full)).optim.learning_rate == 3e-4


def test_lora_over_four_bits_is_called_qlora():
    assert method_of(RunConfig()) is LORA
    assert method_of(RunConfig().with_value("model.quantization", "fp4")) is QLORA
    assert method_of(RunConfig().with_value("model.quantization", "int8")) is LORA
    assert describe(RunConfig()) == "LoRA, rank 16"


@pytest.mark.parametrize("preset", PRESETS, ids=[preset.name for preset in PRESETS])
def test_a_preset_brings_its_recipe_and_leaves_what_is_ones_own(preset):
    config = applied(preset, OWN)
    for path, value in preset.changes.items():
        assert config.value(path) == value
    for path in ("model.source", "data.source", "data.train_on", "runtime.device", "runtime.seed"):
        assert config.value(path) == OWN.value(path)
    assert preset_of(config) is preset
    assert preset_of(config.with_value("optim.weight_decay", 0.3)) is None


def test_presets_follow_any_config():
    full = RunConfig().with_values(changes_to(FULL, RunConfig()))
    for preset in PRESETS:
        assert isinstance(applied(preset, full).method, Lora)


def test_a_bundled_model_gets_the_recipe_that_suits_its_size():
    first = first_config()
    assert first.model.source == "starter:storyteller" and first.data.source == "sample:poems"
    assert preset_of(first) is PRESETS[1] and first.optim.learning_rate > 1e-3
    other = applied(PRESETS[1], first.with_value("model.source", "/models/large"))
    assert other.optim.learning_rate == 2e-4


def test_each_preset_is_another():
    recipes = [applied(preset, RunConfig()) for preset in PRESETS]
    assert all(one != other for one, other in itertools.combinations(recipes, 2))
