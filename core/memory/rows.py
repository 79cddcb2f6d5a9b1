"""What each family keeps in training: rows that were traced on toys, and their value for a model and a batch."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from core import places
from core.memory.modes import Mode
from core.memory.nearness import nearest

STOCK = "stock"
"""The file of what other people's loops keep, traced on Llama."""
STAND_IN = "llama"
"""The family whose rows stand in for those of a family that has none."""
SAME_AS = {"mistral": "llama", "ministral": "llama", "ministral3": "llama", "olmo3": "olmo2"}
"""Families whose layers compute what another family's do; they have no file of their own."""

Section = Literal["once", "again", "evaluation"]
"""The first batch of a step, a later one that finds gradients in place, and a scored one."""
Moment = Literal["loss", "layer"]
Parts = dict[str, int]
PART_LETTERS = {"activations": "a", "recompute": "r", "head_and_loss": "h", "workspace": "w", "gradients": "g"}
"""The letters that the parts of the estimate have in the files."""
PARTS = {letter: part for part, letter in PART_LETTERS.items()}


@dataclass(frozen=True)
class Peak:
    """The bytes of one moment: a sum over products of (fixed + number of layers × per_layer) × product."""

    terms: tuple[tuple[str, str, float, float], ...]
    """Part, product, bytes per unit: fixed, and per layer."""
    totals: tuple[tuple[str, float, float], ...]
    """The same with the parts taken together."""

    def num_bytes(self, units: dict[str, int], num_layers: int) -> float:
        return sum([(fixed + num_layers * per_layer) * units[name] for name, fixed, per_layer in self.totals])

    def parts(self, units: dict[str, int], num_layers: int) -> Parts:
        """Bytes by part."""
        found: dict[str, float] = {}
        for part, name, fixed, per_layer in self.terms:
            found[part] = found.get(part, 0) + (fixed + num_layers * per_layer) * units[name]
        return {part: round(amount) for part, amount in found.items()}


@dataclass(frozen=True)
class Row:
    """The peaks of one mode in one section, beside what stands all the time."""

    stash: Peak
    """What stands when the head begins."""
    forward: tuple[Peak, ...]
    layer: tuple[Peak, ...]
    """Of the backward passes of layers; empty in an evaluation."""
    head: tuple[Peak, ...]
    """Of head and loss; beyond the stash where `is_beyond`."""
    is_beyond: bool

    def parts(self, moment: Moment, units: dict[str, int], num_layers: int) -> Parts:
        """The bytes by part at the largest of a moment's peaks."""
        if moment == "layer":
            return peak_of([*self.forward, *self.layer], units, num_layers)
        parts = peak_of(self.head, units, num_layers)
        if self.is_beyond:
            for part, amount in peak_of([self.stash], units, num_layers).items():
                parts[part] = parts.get(part, 0) + amount
        return parts


def without_debts(parts: Parts) -> Parts:
    """The same bytes with no part below nothing: the largest one pays."""
    found = {part: max(0, amount) for part, amount in parts.items()}
    debt = sum(found.values()) - sum(parts.values())
    while debt > 0 and any(found.values()):
        largest = max(found, key=lambda part: found[part])
        paid = min(debt, found[largest])
        found[largest], debt = found[largest] - paid, debt - paid
    return found


@dataclass(frozen=True)
class Found:
    """The rows of the mode that was asked for, or of one that is near it with what the difference makes."""

    sections: dict[Section, Row]
    changes: tuple[tuple[dict[Section, Row], dict[Section, Row]], ...]
    """Pairs of rows: what the first takes more than the second is what one difference makes."""
    is_own_family: bool
    has_attention: bool
    """Whether the attention that was asked for is among what was traced."""

    def parts(self, section: Section, moment: Moment, units: dict[str, int], num_layers: int) -> Parts:
        """The bytes by part at the peak of a moment."""
        found = self.sections[section].parts(moment, units, num_layers)
        for more, less in self.changes:
            for rows, sign in ((more, 1), (less, -1)):
                for part, amount in rows[section].parts(moment, units, num_layers).items():
                    found[part] = found.get(part, 0) + sign * amount
        return without_debts(found) if self.changes else found


def find_rows(family: str, mode: Mode, loss: Literal["chunked", "single", "full", "stock"]) -> Found:
    """The rows of a family and mode; those of the nearest mode, or of Llama, where there are none. The stock loss
    is that of transformers itself."""
    known = SAME_AS.get(family, family)
    is_own = bool(_file(known))
    return _find(known if is_own else STAND_IN, mode, loss, is_own)


def peak_of(peaks: Iterable[Peak], units: dict[str, int], num_layers: int) -> Parts:
    """The bytes by part of the largest peak; nothing when there are none."""
    largest = max(peaks, key=lambda peak: peak.num_bytes(units, num_layers), default=None)
    return largest.parts(units, num_layers) if largest else {}


@functools.lru_cache(maxsize=256)
def _find(family: str, mode: Mode, loss: str, is_own: bool) -> Found:
    files = [_file(family), *([_file(STOCK)] if mode.plain or loss == STOCK else [])]
    near = nearest(mode, {name for file in files for name in file["rows"]})
    rows = [
        _sections(files, known, loss) for known in (near.mode, *(one for pair in near.changes for one in pair))
    ]
    changes = tuple(zip(rows[1::2], rows[2::2], strict=True))
    return Found(rows[0], changes, is_own, near.has_attention)


def _sections(files: list[dict], mode: Mode, loss: str) -> dict[Section, Row]:
    file = next(file for file in files if mode.name in file["rows"])
    named = [f"{mode.head} {loss}"] if not mode.plain else []  # a plain loop's rows have its own loss
    with_head = next((other for other in files for name in named if name in other["heads"]), None)
    sections: dict[Section, Row] = {}
    for section in ("once", "again", "evaluation"):
        found = file["rows"][mode.name][section]
        heads = with_head["heads"][named[0]][section] if with_head else found["head"]
        sections[section] = Row(
            stash=_read(file, found["stash"]),
            forward=tuple(_read(file, number) for number in found.get("forward", ())),
            layer=tuple(_read(file, number) for number in found.get("layer", ())),
            head=tuple(_read(with_head or file, number) for number in heads),
            is_beyond=with_head is not None,
        )
    return sections


def _read(file: dict, number: int) -> Peak:
    """A peak as core.worker.row_files writes it: "aTh:4+2 hNV:12"."""
    written: str = file["peaks"][number]
    terms: list[tuple[str, str, float, float]] = []
    totals: dict[str, tuple[float, float]] = {}
    for term in written.split():
        key, _, amounts = term.partition(":")
        part, name = PARTS[key[0]], key[1:]
        fixed, per_layer = (float(amount or 0) for amount in amounts.partition("+")[::2])
        terms.append((part, name, fixed, per_layer))
        before = totals.get(name, (0, 0))
        totals[name] = (before[0] + fixed, before[1] + per_layer)
    return Peak(tuple(terms), tuple((name, *amounts) for name, amounts in totals.items()))


@functools.cache
def _file(family: str) -> dict:
    """The content of a family's file; empty when it has none."""
    path = places.RESOURCES / "activations" / f"{family}.json"
    return json.loads(path.read_bytes()) if family.isidentifier() and path.is_file() else {}
