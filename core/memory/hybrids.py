"""What a hybrid keeps: the rows of each kind of its layers, traced on models of that kind alone, and added up."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Literal

from core.memory.modes import Mode
from core.memory.rows import (
    NOTHING,
    UNGROUPED,
    Found,
    Moment,
    Parts,
    Peak,
    Row,
    Section,
    find_rows,
    has_rows,
    without_debts,
)
from core.models.facts import ModelFacts

GRADIENTS, RECOMPUTE = "gradients", "recompute"
"""Parts of the estimate; the second is of backward passes alone."""
Loss = Literal["chunked", "single", "full", "stock"]
Kinds = tuple[tuple[str, str], ...]
"""The kinds of layers, each with the name of its rows."""
Sum = tuple[tuple[Peak, str], ...]
"""Peaks that stand at the same time, each with the kind of layers that it counts."""


@dataclass(frozen=True)
class Hybrid:
    """The rows of a hybrid's kinds, to be asked as those of one family are."""

    kinds: Kinds
    mode: Mode
    loss: Loss
    counts: dict[str, int]
    """Layers of each kind."""
    is_own_family: bool = True

    @property
    def is_own_mode(self) -> bool:
        return all(find_rows(name, self.mode, self.loss).is_own_mode for _, name in self.kinds)

    @property
    def has_attention(self) -> bool:
        return all(find_rows(name, self.mode, self.loss).has_attention for _, name in self.kinds)

    def parts(self, section: Section, moment: Moment, units: dict[str, int], num_layers: int) -> Parts:
        """The bytes by part at the peak of a moment; `num_layers` of all kinds are known already."""

        def num_bytes(one: Sum) -> float:
            return sum([peak.num_bytes(units, self.counts[kind]) for peak, kind in one])

        found: Parts = {}
        sums = _sums(self.kinds, self.mode, self.loss, section, moment)
        for peak, kind in max(sums, key=num_bytes, default=()):
            for part, amount in peak.parts(units, self.counts[kind]).items():
                found[part] = found.get(part, 0) + amount
        return without_debts(found)


def find_hybrid(facts: ModelFacts, mode: Mode, loss: Loss) -> Found | Hybrid:
    """The rows of a model, be its layers of one kind or of several; Llama's where a kind was not traced."""
    kinds = tuple((kind, f"{facts.family}_{kind}") for kind, _ in facts.kinds)
    if not kinds or not all(has_rows(name) for _, name in kinds):
        own = f"{facts.family}_{UNGROUPED}"
        is_ungrouped = facts.num_kv_heads == facts.num_heads and has_rows(own)
        return find_rows(own if is_ungrouped else facts.family, mode, loss)
    return Hybrid(kinds, mode, loss, dict(facts.kinds))


@functools.lru_cache(maxsize=256)
def _sums(kinds: Kinds, mode: Mode, loss: Loss, section: Section, moment: Moment) -> tuple[Sum, ...]:
    """What may be the peak of a moment: each kind's peaks, with what layers of the other kinds hold then."""
    found = {kind: find_rows(name, mode, loss) for kind, name in kinds}
    rows = {kind: one.sections for kind, one in found.items()}
    sums: list[Sum] = []
    for kind in rows:
        row = rows[kind][section]
        others = [other for other in rows if other != kind]
        if moment == "loss":
            for stage, peaks in enumerate(found[kind].heads[section]):
                standing = tuple((_of_layers(rows[other][section].stash[stage]), other) for other in others)
                sums += [((peak, kind), (row.stash[stage], kind), *standing) for peak in peaks]
            continue
        for peak in (one for place in row.layers for one in place):
            standing = tuple((_held(peak, rows[other], section), other) for other in others)
            sums.append(((peak, kind), *standing))
    return tuple(sums)


def _held(peak: Peak, rows: dict[Section, Row], section: Section) -> Peak:
    """What the layers of another kind hold at a peak: their stash, where layers of the peak's own kind hold one.
    Otherwise none of them has begun, or all have gone back and left their gradients."""
    goes_back = any(part == RECOMPUTE for part, *_ in peak.terms)
    if any(per_layer for part, _, _, per_layer in peak.terms if part != GRADIENTS):
        return _of_layers(rows[section].stash[-1 if goes_back else 0])
    return _of_layers(rows["again"].stash[-1], only=GRADIENTS) if goes_back or section == "again" else NOTHING


def _of_layers(peak: Peak, only: str = "") -> Peak:
    """What is there for each layer."""
    terms = tuple(
        (part, name, 0.0, per_layer)
        for part, name, _, per_layer in peak.terms
        if per_layer and (not only or part == only)
    )
    return Peak(terms, tuple((name, fixed, per_layer) for _, name, fixed, per_layer in terms))
