"""What each family keeps in training: rows that were traced on toys, and their value for a model and a batch."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core import places
from core.memory.modes import Mode
from core.memory.nearness import nearest

STOCK = "stock"
"""The file of what other people's loops keep, traced on Llama."""
STAND_IN = "llama"
"""The family whose rows stand in for those of a family that has none."""
UNGROUPED = "ungrouped"
"""The kind of a family's models in which every head of queries has keys of its own. Where queries, keys and values
are one tensor, a mask makes a difference between the kinds: keys that groups share are copied out of it."""
SINGLE = "single"
"""The kind of a family's models in which all heads of queries share one of keys, which is never copied out."""
SEVERAL = "several"
"""The kind in which heads of queries share several heads of keys, where other models of the family have one."""
SAME_AS = {"mistral": "llama", "ministral": "llama", "ministral3": "llama", "olmo3": "olmo2"}
"""Families whose layers compute what another family's do; they have no file of their own."""

Loss = Literal["chunked", "double", "single", "full", "stock"]
"""chunked in three chunks or more, in two, in a single one, the full loss, or that of transformers itself."""
Section = Literal["once", "again", "evaluation"]
"""The first batch of a step, a later one that finds gradients in place, and a scored one."""
Moment = Literal["loss", "layer"]
Place = Literal["before", "between", "after"]
"""Of a moment in a layer: until its attention is over, then until its attention goes backward, and from there on.
What two modes differ by is asked place by place."""
PLACES: tuple[Place, ...] = ("before", "between", "after")
Parts = dict[str, int]
PART_LETTERS = {"activations": "a", "recompute": "r", "head_and_loss": "h", "workspace": "w", "gradients": "g"}
"""The letters that the parts of the estimate have in the files."""
PARTS = {letter: part for part, letter in PART_LETTERS.items()}
BETWEEN = "|"
"""What stands between two groups, or two peaks, in a file."""


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

    stash: tuple[Peak, ...]
    """What stands of the model's own at each stage of the head: until it gets the hidden states, then until
    autocast lets go of its copies of weights, and from there on."""
    layers: tuple[tuple[Peak, ...], ...]
    """Of layers, at each of PLACES."""


NOTHING = Peak((), ())


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
    heads: dict[Section, tuple[tuple[Peak, ...], ...]]
    """Of head and loss at each of their stages, beyond the stash."""
    changes: tuple[tuple[dict[Section, Row], dict[Section, Row]], ...]
    """Pairs of rows: what the first takes more than the second is what one difference makes."""
    is_own_family: bool
    is_own_mode: bool
    """Whether this very mode was traced."""
    lacks: frozenset[str]
    """The traits of the mode that were not traced in any."""

    def signed(self, section: Section) -> list[tuple[Row, int]]:
        """The rows to add and, with a minus, to take away; the first is that of the mode itself."""
        rows = [(self.sections[section], 1)]
        for more, less in self.changes:
            rows += [(more[section], 1), (less[section], -1)]
        return rows

    def parts(self, section: Section, moment: Moment, units: dict[str, int], num_layers: int) -> Parts:
        """The bytes by part at the peak of a moment."""
        rows = self.signed(section)
        if moment == "layer":
            candidates = [
                [(_largest(row.layers[place], units, num_layers), sign) for row, sign in rows]
                for place, peaks in enumerate(self.sections[section].layers)
                if peaks
            ]
        else:
            candidates = [
                [(peak, 1), *((row.stash[stage], sign) for row, sign in rows)]
                for stage, peaks in enumerate(self.heads[section])
                for peak in peaks
            ]
        worst = max(
            candidates,
            key=lambda terms: sum([sign * peak.num_bytes(units, num_layers) for peak, sign in terms]),
        )
        found: Parts = {}
        for peak, sign in worst:
            for part, amount in peak.parts(units, num_layers).items():
                found[part] = found.get(part, 0) + sign * amount
        return without_debts(found)


def find_rows(family: str, mode: Mode, loss: Loss) -> Found:
    """The rows of a family and mode; those of the nearest mode, or of Llama, where there are none."""
    known = SAME_AS.get(family, family)
    is_own = bool(_file(known))
    return _find(known if is_own else STAND_IN, mode, loss, is_own)


def has_rows(family: str) -> bool:
    """Whether what a family, or one kind of a hybrid's layers, keeps was traced."""
    return bool(_file(SAME_AS.get(family, family)))


def _largest(peaks: tuple[Peak, ...], units: dict[str, int], num_layers: int) -> Peak:
    return max(peaks, key=lambda peak: peak.num_bytes(units, num_layers), default=NOTHING)


@functools.lru_cache(maxsize=256)
def _find(family: str, mode: Mode, loss: str, is_own: bool) -> Found:
    files = [_file(family), *([_file(STOCK)] if mode.plain or loss == STOCK else [])]
    near = nearest(mode, {name for file in files for name in file["rows"]})
    rows = [_sections(files, known) for known in (near.mode, *(one for pair in near.changes for one in pair))]
    changes = tuple(zip(rows[1::2], rows[2::2], strict=True))
    is_own_mode = near.mode == mode and not changes
    return Found(rows[0], _heads(files, mode, loss), changes, is_own, is_own_mode, near.lacks)


def _sections(files: list[dict], mode: Mode) -> dict[Section, Row]:
    file = next(file for file in files if mode.name in file["rows"])
    return {
        section: Row(
            stash=tuple(_read(file, number) for number in found["stash"]),
            layers=tuple(tuple(_read(file, number) for number in place) for place in found["layer"]),
        )
        for section, found in file["rows"][mode.name].items()
    }


def _heads(files: list[dict], mode: Mode, loss: str) -> dict[Section, tuple[tuple[Peak, ...], ...]]:
    """The peaks of head and loss in a mode, or in the nearest that was traced."""
    losses = (loss, "chunked") if loss == "double" else (loss,)
    names = [f"{one.head} {form}" for one in mode.stand_ins() for form in losses]
    file, name = next((file, name) for name in names for file in files if name in file["heads"])
    return {
        section: tuple(tuple(_read(file, number) for number in stage) for stage in found)
        for section, found in file["heads"][name].items()
    }


def _read(file: dict, number: int) -> Peak:
    """A peak as core.worker.row_files writes it."""
    terms: list[tuple[str, str, float, float]] = []
    totals: dict[str, tuple[float, float]] = {}
    for term in spelt(file, number).split():
        key, _, amounts = term.partition(":")
        part, name = PARTS[key[0]], key[1:]
        fixed, per_layer = (float(amount or 0) for amount in amounts.partition("+")[::2])
        terms.append((part, name, fixed, per_layer))
        before = totals.get(name, (0, 0))
        totals[name] = (before[0] + fixed, before[1] + per_layer)
    return Peak(tuple(terms), tuple((name, *amounts) for name, amounts in totals.items()))


def spelt(file: dict, number: int) -> str:
    """A peak of a file by its number, such as "aTh:4+2 hNV:12"."""
    return " ".join([file["groups"][int(group)] for group in file["peaks"][number].split()])


def read_file(path: Path) -> dict:
    """The content of a file of rows. Its groups and peaks are one text each, which is read far sooner than lists
    are."""
    file = json.loads(path.read_bytes())
    return {**file, **{table: file[table].split(BETWEEN) for table in ("groups", "peaks")}}


@functools.cache
def _file(family: str) -> dict:
    """The content of a family's file; empty when it has none."""
    path = places.RESOURCES / "activations" / f"{family}.json"
    return read_file(path) if family.isidentifier() and path.is_file() else {}
