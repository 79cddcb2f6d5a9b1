"""What a hybrid keeps: the rows of each kind of its layers, traced on models of that kind alone, and added up."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from core.memory.modes import Mode
from core.memory.rows import (
    NOTHING,
    SEVERAL,
    SINGLE,
    UNGROUPED,
    Found,
    Loss,
    Moment,
    Parts,
    Peak,
    Section,
    find_rows,
    has_rows,
    without_debts,
)
from core.models.facts import ModelFacts
from core.models.families import FAMILIES, Family
from core.models.mixers import ATTENTION, LINEAR, MIXTURE, OUTPUT

GRADIENTS, RECOMPUTE = "gradients", "recompute"
"""Parts of the estimate; the second is of backward passes alone."""
Kinds = tuple[tuple[str, str, Mode], ...]
"""The kinds of layers, each with the name of its rows and what of a mode makes a difference to it."""


@dataclass(frozen=True)
class Term:
    """The largest of some peaks, which stands beside others or is taken away from them."""

    peaks: tuple[Peak, ...]
    kind: str
    """The kind of layers that it counts."""
    sign: int = 1


Sum = tuple[Term, ...]
"""What stands at the same time."""


@dataclass(frozen=True)
class Hybrid:
    """The rows of a hybrid's kinds, to be asked as those of one family are."""

    kinds: Kinds
    loss: Loss
    first: str
    """The kind of the first layer that keeps anything: before its adapters no gradient goes back."""
    counts: dict[str, int]
    """Layers of each kind that keep anything."""
    is_own_family: bool = True

    @property
    def is_own_mode(self) -> bool:
        return all(one.is_own_mode for one in self._found())

    @property
    def lacks(self) -> frozenset[str]:
        return frozenset[str]().union(*(one.lacks for one in self._found()))

    def parts(self, section: Section, moment: Moment, units: dict[str, int], num_layers: int) -> Parts:
        """The bytes by part at the peak of a moment; `num_layers` of all kinds are known already."""

        def num_bytes(one: Sum) -> float:
            return sum([
                term.sign * max([peak.num_bytes(units, self.counts[term.kind]) for peak in term.peaks])
                for term in one
            ])  # fmt: skip

        found: Parts = {}
        sums = _sums(self.kinds, self.first, self.loss, section, moment)
        for term in max(sums, key=num_bytes, default=()):
            layers = self.counts[term.kind]
            largest = max(term.peaks, key=lambda peak: peak.num_bytes(units, layers))
            for part, amount in largest.parts(units, layers).items():
                found[part] = found.get(part, 0) + term.sign * amount
        return without_debts(found)

    def _found(self) -> list[Found]:
        return [find_rows(name, mode, self.loss) for _, name, mode in self.kinds]


def find_hybrid(facts: ModelFacts, mode: Mode, loss: Loss) -> Found | Hybrid:
    """The rows of a model, be its layers of one kind or of several; Llama's where a kind was not traced."""
    built = MIXTURE if facts.shared_mlp else ""
    names = {kind: f"{facts.family}_{built}{kind}" for kind, _ in facts.kinds}
    if not names or not all(has_rows(name) for name in names.values()):
        kind = {1: SINGLE, facts.num_heads: UNGROUPED}.get(facts.num_kv_heads, SEVERAL)
        own = f"{facts.family}_{kind}"
        return find_rows(own if has_rows(own) else facts.family, mode, loss)
    modes = {kind: _of_kind(kind, mode, FAMILIES[facts.family]) for kind in names}
    counts = dict(facts.kinds)
    first = LINEAR if facts.num_first else list(names)[-1]
    if facts.num_first and modes[LINEAR].targets == "elsewhere":
        first = ATTENTION
        if not mode.checkpointing:  # where PEFT sees to it that a gradient goes back to the first layer
            counts[LINEAR] -= facts.num_first
    return Hybrid(tuple((kind, name, modes[kind]) for kind, name in names.items()), loss, first, counts)


def _of_kind(kind: str, mode: Mode, family: Family) -> Mode:
    """What of the mode makes a difference to a kind of layers."""
    if kind == ATTENTION:
        return replace(mode, aligned=False)
    mode = replace(mode, attention="sdpa", windowed=False, packed=False)
    is_reached = mode.targets == "attention" and family.output == OUTPUT
    if mode.targets in ("values", "attention") and not is_reached:
        return replace(mode, targets="elsewhere", method="lora32", dropout=False)
    return mode


@functools.lru_cache(maxsize=256)
def _sums(kinds: Kinds, first: str, loss: Loss, section: Section, moment: Moment) -> tuple[Sum, ...]:
    """What may be the peak of a moment: each kind's peaks, with what layers of the other kinds hold then."""
    found = {kind: find_rows(name, mode, loss) for kind, name, mode in kinds}
    stashes = {kind: _stashes(own, section) for kind, own in found.items()}
    layered = {kind: [_of_layers(one) for one in stages] for kind, stages in stashes.items()}
    if moment == "loss":
        return tuple([
            (
                Term((peak,), first),
                *(Term(((stashes if kind == first else layered)[kind][stage],), kind) for kind in found),
            )
            for stage, peaks in enumerate(found[first].heads[section])
            for peak in peaks
        ])  # fmt: skip
    once = {kind: [_beside_layers(one) for one in stages] for kind, stages in stashes.items()}
    left = {kind: _of_layers(_stashes(own, "again")[-1], only=GRADIENTS) for kind, own in found.items()}

    def beside(peak: Peak, kind: str) -> Iterator[Term]:
        """What stands at a layer's peak that its own rows do not count."""
        goes_back = any(part == RECOMPUTE for part, *_ in peak.terms)
        others = [other for other in found if other != kind]
        if _is_among(peak):
            stage = -1 if goes_back else 0
            yield from [Term((layered[other][stage],), other) for other in others]
            if kind != first:
                yield from (Term((once[first][stage],), first), Term((once[kind][stage],), kind, -1))
        elif goes_back or section == "again":  # the others have all gone back, or will, and left their gradients
            yield from [Term((left[other],), other) for other in others]

    return tuple([
        (
            Term((peak,), kind),
            *(Term(row.layers[place] or (NOTHING,), kind, sign) for row, sign in own.signed(section)[1:]),
            *beside(peak, kind),
        )
        for kind, own in found.items()
        for place, peaks in enumerate(own.sections[section].layers)
        for peak in peaks
    ])  # fmt: skip


def _is_among(peak: Peak) -> bool:
    """Whether other layers of its kind hold their stash at a peak."""
    return any(per_layer for part, _, _, per_layer in peak.terms if part != GRADIENTS)


def _stashes(found: Found, section: Section) -> list[Peak]:
    """What stands at each stage of the head, with what the differences make."""
    rows = found.signed(section)
    if len(rows) == 1:
        return list(rows[0][0].stash)
    stages = []
    for stage in range(len(rows[0][0].stash)):
        amounts: dict[tuple[str, str], tuple[float, float]] = {}
        for row, sign in rows:
            for part, name, fixed, per_layer in row.stash[stage].terms:
                before = amounts.get((part, name), (0.0, 0.0))
                amounts[part, name] = before[0] + sign * fixed, before[1] + sign * per_layer
        stages.append(_made_of((*key, *amount) for key, amount in amounts.items()))
    return stages


def _of_layers(peak: Peak, only: str = "") -> Peak:
    """What is there for each layer."""
    return _made_of((part, name, 0.0, per_layer) for part, name, _, per_layer in peak.terms if only in ("", part))


def _beside_layers(peak: Peak) -> Peak:
    """What is there once: what the first layer keeps more than others, or less."""
    return _made_of((part, name, fixed, 0.0) for part, name, fixed, _ in peak.terms)


def _made_of(terms: Iterable[tuple[str, str, float, float]]) -> Peak:
    kept = tuple(term for term in terms if term[2] or term[3])
    return Peak(kept, tuple((name, fixed, per_layer) for _, name, fixed, per_layer in kept))
