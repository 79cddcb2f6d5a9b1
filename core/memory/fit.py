"""What fits: the largest length, batch and rank that a device has room for, and which models of the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from core.config import Lora, RunConfig, declared_at
from core.hardware import Device
from core.memory.calibration import PastPeak
from core.memory.estimate import Estimate, estimate
from core.memory.suggestions import Suggestion, changed, smaller
from core.models.catalogue import CatalogueModel, catalogue
from core.models.facts import ModelFacts, facts_from_config

LENGTH, BATCH, RANK = "data.max_length", "optim.batch_size", "method.rank"
MOST_RANK, MOST_ROWS = 4096, 4096
MOST_TOGETHER = 16


@dataclass(frozen=True)
class Largest:
    """How far one setting can be raised, the others as they are."""

    path: str
    now: int
    value: int
    """The largest that fits with its band; 0 when not even the smallest does."""
    limit: int
    """The most there can be, whatever the memory: of the field, or of the model."""
    peak_bytes: int
    """The peak at that value."""


@dataclass(frozen=True)
class Fit:
    """What a config comes to on a device, and what could be changed in it."""

    estimate: Estimate
    largest: tuple[Largest, ...]
    changes: tuple[Suggestion, ...]
    """Single changes that save memory, the best first."""
    together: Suggestion | None = None
    """Several of them that make the run fit where no single one does; None where not needed, or no help."""


@dataclass(frozen=True)
class ModelFit:
    """One model of the catalogue under a config's method."""

    model: CatalogueModel
    estimate: Estimate
    max_length: int
    """The longest rows that fit; 0 when none do."""


def fit(
    config: RunConfig, facts: ModelFacts, device: Device, *, longest_row: int = 0, past: Sequence[PastPeak] = ()
) -> Fit:
    """The largest length, batch and rank that fit, each with the others as set, and every change that saves.

    Length stops where the model's positions end. Everything is verified by the estimate, the changes too."""

    def estimated(one: RunConfig, longest: int = longest_row) -> Estimate:
        return estimate(one, facts, device, longest_row=longest, past=past, with_suggestions=False)

    now = estimated(config)
    changes = tuple(smaller(config, facts, now, estimated))
    together = _together(config, facts, now, changes, estimated)
    return Fit(now, tuple(_all_largest(config, facts, estimated)), changes, together)


def _together(
    config: RunConfig,
    facts: ModelFacts,
    now: Estimate,
    changes: Sequence[Suggestion],
    estimated: Callable[[RunConfig], Estimate],
) -> Suggestion | None:
    """Takes the change with the best worth again and again until the run fits."""
    if any(one.verdict == "fits" for one in (now, *changes)):
        return None
    values: dict[str, Any] = {}
    titles: list[str] = []
    then, price = now, 0.0
    for _ in range(MOST_TOGETHER):
        best = next(iter(smaller(changed(config, values), facts, then, estimated)), None)
        if best is None:
            return None
        values |= best.changes
        kind = best.title.partition(" ")[0]
        titles = [title for title in titles if title.partition(" ")[0] != kind] + [
            best.title
        ]  # the last of its kind
        then, price = estimated(changed(config, values)), price + best.price
        if then.verdict == "fits":
            saved = now.peak_bytes - then.peak_bytes
            return Suggestion(
                ", ".join(titles), values, saved, "all of these", then.verdict, price, then.peak_bytes
            )
    return None


def remedy(
    config: RunConfig, facts: ModelFacts, device: Device, *, longest_row: int = 0, past: Sequence[PastPeak] = ()
) -> Suggestion | None:
    """Several changes that make a run fit that no single one makes fit; None where that is not needed, or no help.
    Takes some dozen estimates: not for the window's thread."""

    def estimated(one: RunConfig) -> Estimate:
        return estimate(one, facts, device, longest_row=longest_row, past=past, with_suggestions=False)

    now = estimated(config)
    changes = smaller(config, facts, now, estimated)
    return _together(config, facts, now, changes, estimated)


def _all_largest(config: RunConfig, facts: ModelFacts, estimated: Callable[..., Estimate]) -> list[Largest]:
    found = [_length(config, facts, lambda one: estimated(one, longest=0))]
    limit = min(MOST_ROWS, _bound(config, BATCH))
    found.append(_largest(config, BATCH, 1, limit, 1, estimated))
    if isinstance(config.method, Lora):
        widest = max((min(layer.num_in, layer.num_out) for layer in facts.linears), default=MOST_RANK)
        limit = min(MOST_RANK, widest, _bound(config, RANK))  # a larger rank adds nothing
        found.append(_largest(config, RANK, 1, limit, 1, estimated))
    return found


def _length(config: RunConfig, facts: ModelFacts, estimated: Callable[[RunConfig], Estimate]) -> Largest:
    limit = min(facts.max_positions or _bound(config, LENGTH), _bound(config, LENGTH))
    return _largest(config, LENGTH, 8, limit, 8, estimated)


def _largest(
    config: RunConfig, path: str, least: int, limit: int, step: int, estimated: Callable[[RunConfig], Estimate]
) -> Largest:
    """Bisects over steps; the estimate rises with each of the three."""

    def peak(value: int) -> Estimate:
        return estimated(changed(config, {path: value}))

    fitting, beyond = 0, max(1, limit // step) + 1  # in steps
    if not is_roomy(peak(max(least, step))):
        beyond = 1
    while beyond - fitting > 1:
        middle = (fitting + beyond) // 2
        if is_roomy(peak(middle * step)):
            fitting = middle
        else:
            beyond = middle
    value = fitting * step
    return Largest(path, config.value(path), value, limit, peak(value).peak_bytes if value else 0)


def is_roomy(found: Estimate) -> bool:
    """Whether the peak fits with its band."""
    return found.peak_bytes + found.margin_bytes <= found.free_bytes


def models_that_fit(config: RunConfig, device: Device, past: Sequence[PastPeak] = ()) -> list[ModelFit]:
    """Every model of the catalogue under the config's settings, the largest first."""
    found = []
    for model in catalogue():
        facts = facts_from_config(model.config, model.name)
        now = fit_of(model, config, device, past)
        length = _length(
            config, facts, lambda one, facts=facts: estimate(one, facts, device, past=past, with_suggestions=False)
        )
        found.append(ModelFit(model, now, length.value))
    return sorted(found, key=lambda one: -one.model.num_parameters)


def fit_of(model: CatalogueModel, config: RunConfig, device: Device, past: Sequence[PastPeak] = ()) -> Estimate:
    """What a config's settings come to with another model, without suggestions."""
    facts = facts_from_config(model.config, model.name)
    return estimate(config, facts, device, past=past, with_suggestions=False)


def _bound(config: RunConfig, path: str) -> int:
    """The largest value that a field takes."""
    bounds: list[Any] = [getattr(rule, "le", None) for rule in declared_at(config, path).metadata]
    return next((bound for bound in bounds if bound is not None), 2**31 - 1)
