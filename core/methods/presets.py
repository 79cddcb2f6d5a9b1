"""Presets: whole recipes to start from. They leave the model, the data and the machine as chosen.

A preset varies the recipe that suits the model: RunConfig's own defaults, or for a bundled model, which is a
thousand times smaller than most, the recipe of the demonstration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from core.config import SECTION_NAMES, RunConfig
from core.data.kinds import POLICIES
from core.methods.catalogue import scaled
from core.places import RESOURCES

KEPT = (
    "model.source",
    "model.revision",
    "model.dtype",
    "model.attention",
    "data.source",
    "data.more",
    "data.mapping",
    "data.template",
    "data.train_on",
    "data.roles",
    "data.holdout_source",
    "data.split_column",
    "data.stratify_by",
    "data.group_by",
    *(policy.path for policy in POLICIES),
    "objective",
    "runtime",
)


@dataclass(frozen=True)
class Preset:
    """The model's recipe with `changes`, its learning rate and epochs multiplied."""

    name: str
    title: str
    sentence: str
    changes: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    rate: float = 1.0
    epochs: int = 1


PRESETS = (
    Preset(
        "fast",
        "Fast try",
        "Sixty short steps, to see whether the data does what you want.",
        MappingProxyType(
            {
                "method.rank": 8,
                "method.alpha": 16,
                "optim.max_steps": 60,
                "evaluation.every_steps": 20,
                "evaluation.samples": 1,
            }
        ),
    ),
    Preset("default", "Good default", "What works for most models and data."),
    Preset(
        "quality",
        "Best quality",
        "A wider adapter and smaller steps, for as long as held-out rows get better.",
        MappingProxyType(
            {
                "method.rank": 64,
                "method.alpha": 64,
                "method.dropout": 0.05,
                "evaluation.patience": 4,
            }
        ),
        rate=0.5,
        epochs=2,
    ),
    Preset(
        "memory",
        "Smallest memory",
        "Every saving at once: a 4-bit base, one row at a time, 8-bit optimizer.",
        MappingProxyType(
            {
                "model.quantization": "nf4",
                "method.rank": 8,
                "method.alpha": 16,
                "optim.optimizer": "adamw_8bit",
                "optim.batch_size": 1,
                "optim.accumulation": 16,
            }
        ),
    ),
)
DEFAULT = PRESETS[1]


def recipe_for(source: str) -> RunConfig:
    """The recipe that suits the model a source names, with that model and all else as it is by default."""
    return _demonstration() if source.startswith("starter:") else RunConfig()


def applied(preset: Preset, config: RunConfig) -> RunConfig:
    """The config with the preset's recipe in place of its own."""
    recipe = recipe_for(config.model.source)
    kept = {path: config.value(path) for path in KEPT}
    plain = {path: value.model_dump() if hasattr(value, "model_dump") else value for path, value in kept.items()}
    varied = {
        "optim.learning_rate": scaled(recipe.optim.learning_rate, preset.rate),
        "optim.epochs": recipe.optim.epochs * preset.epochs,
    }
    return recipe.with_values({**plain, **varied, **preset.changes})


def moved(config: RunConfig, origin: RunConfig, source: str) -> tuple[RunConfig, RunConfig]:
    """The config and its origin with another model. What differs from the origin stays as it is; the rest follows
    the recipe that suits the new model."""
    model = {"model.source": source, "model.revision": ""}
    if recipe_for(source) == recipe_for(config.model.source):
        return config.with_values(model), origin.with_values(model)
    new_origin = applied(preset_of(origin) or DEFAULT, origin.with_values(model))
    own: dict[str, Any] = {}
    for section in SECTION_NAMES:
        now, then = getattr(config, section), getattr(origin, section)
        if type(now) is not type(then):
            own[section] = now.model_dump()
        else:
            names = (name for name in type(now).model_fields if getattr(now, name) != getattr(then, name))
            own |= {f"{section}.{name}": getattr(now, name) for name in names}
    return new_origin.with_values({**own, **model}), new_origin


def preset_of(config: RunConfig) -> Preset | None:
    """The preset whose recipe the config has unchanged; None for a recipe of one's own."""
    return next((preset for preset in PRESETS if applied(preset, config) == config), None)


def first_config() -> RunConfig:
    """What a person finds before anything is chosen: the bundled model and poems, with the recipe for them."""
    return applied(DEFAULT, RunConfig())


@lru_cache(maxsize=1)
def _demonstration() -> RunConfig:
    return RunConfig.load(RESOURCES / "presets" / "demo.yaml")
