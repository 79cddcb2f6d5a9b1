"""Finds the traced mode nearest to one that was not, and traced pairs that show what each difference makes."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Literal

from core.memory.modes import Mode

TRAITS = ("method", "attention", "targets", "dropout", "drops", "upcast", "packed", "windowed", "aligned")
"""What is traced by itself on the usual modes, and added to others."""


@dataclass(frozen=True)
class Near:
    """A traced mode; and for each trait that it lacks one that has it, with the same one without."""

    mode: Mode
    changes: tuple[tuple[Mode, Mode], ...]
    lacks: frozenset[str] = frozenset()
    """The traits that are neither in the mode nor in a change; "device" where another one's stands in."""


def nearest(mode: Mode, names: Collection[str]) -> Near:
    """What to make up a mode of, among the modes of these names."""
    if mode.name in names:
        return Near(mode, ())
    bare = _bare(mode, mode.device, names)
    lacks: set[str] = set()
    if bare.name not in names:
        bare = _bare(mode, "cpu" if mode.bits == 32 else "cuda", names)
        if mode.device == "cuda" and mode.attention == "eager":  # whose softmax goes backward otherwise on a GPU
            lacks.add("device")
    if mode.plain or bare.name not in names:
        stand_in = next(one for one in mode.stand_ins() if one.name in names)
        lacks |= {trait for trait in TRAITS if getattr(mode, trait) != getattr(stand_in, trait)}
        return Near(stand_in, (), frozenset(lacks))
    wanted = {trait: getattr(mode, trait) for trait in TRAITS if getattr(mode, trait) != getattr(bare, trait)}
    found = next(
        one
        for size in range(len(wanted), -1, -1)
        for chosen in itertools.combinations(wanted, size)
        if (one := _with(bare, {trait: wanted[trait] for trait in chosen})).name in names
    )
    changes: list[tuple[Mode, Mode]] = []
    reached = found
    for trait in [trait for trait in wanted if getattr(found, trait) != wanted[trait]]:
        pair = _pair(reached, bare, trait, wanted[trait], names)
        if pair:
            changes.append(pair)
        else:
            lacks.add(trait)
        reached = _with(reached, {trait: wanted[trait]})
    return Near(found, tuple(changes), frozenset(lacks))


def _bare(mode: Mode, device: Literal["cuda", "cpu"], names: Collection[str]) -> Mode:
    """The mode without its traits, on a device."""
    is_sdpa = Mode().name in names
    return replace(
        mode,
        device=device,
        method="full" if mode.method == "full" else "lora32",
        attention="sdpa" if is_sdpa else "eager",
        targets="all",
        dropout=False,
        drops=False,
        upcast=False,
        packed=False,
        windowed=False,
        aligned=False,
    )


def _pair(reached: Mode, bare: Mode, trait: str, value: Any, names: Collection[str]) -> tuple[Mode, Mode] | None:
    """Two traced modes that differ in this trait alone, with as many as can be of the traits that are reached."""
    others = {name: getattr(reached, name) for name in TRAITS if getattr(reached, name) != getattr(bare, name)}
    plainest = replace(bare, base="none", tied=False, method="lora32")
    bases = (bare, replace(bare, base="none", tied=False))
    far = replace(plainest, device="cuda", bits=16)
    if bare.device == "cpu" and trait in ("dropout", "drops"):  # for which a GPU keeps less
        far = replace(plainest, bits=32)
        bases = (*bases, replace(bases[1], bits=32))
    elif bare.bits == 16 and bare.device == "cpu":
        bases = (*bases, *(replace(one, device="cuda") for one in bases))
    likest = [
        (size, base, _with(one, {name: others[name] for name in kept}))
        for size in range(len(others), -1, -1)
        for kept in itertools.combinations(others, size)
        for base, one in enumerate(bases)
    ]
    if trait == "dropout":  # each adapter has its own
        likest.sort(key=lambda one: one[2].targets != reached.targets)
    if trait == "targets" and bare.base == "int8":  # whose products differ from others most
        likest.sort(key=lambda one: one[1])
    for without in (*(one for *_, one in likest), plainest, far):
        more = _with(without, {trait: value})
        if more.name in names and without.name in names:
            return more, without
    return None


def _with(mode: Mode, traits: dict[str, Any]) -> Mode:
    return replace(mode, **traits)
