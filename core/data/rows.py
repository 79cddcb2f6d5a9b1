"""The rows of a dataset, read one at a time from disk: each is a Row, or a Problem that says what is wrong.

Several sources may be mixed, each with a format of its own; edits beside a source are honoured.
"""

from __future__ import annotations

import copy
import itertools
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from core.config import DataSection
from core.data import mix
from core.data.mapping import Meaning
from core.data.overlay import MOST_SPACE, key_of, read_overlay
from core.data.pace import Told, unheard
from core.data.part import Part, read_row, read_tree, reading
from core.data.parts import NO_MEANING, added_part, common_format, fitting, layout_of, parts_of, weighted
from core.data.passed import Passed
from core.data.row import Format, Message, Problem, Row, RowError
from core.data.source import DataFile, find_data, look_into, open_data, wrong
from core.data.spans import first_spans
from core.errors import HoneError

__all__ = ["Message", "Problem", "Row", "Rows", "first_rows", "open_rows", "require_objective"]


class Rows(Sequence["Row | Problem"]):
    """Every row of a dataset, in the order of its sources and their files. Holds where they are, not what they
    say. Threads may share it."""

    def __init__(
        self,
        source: str,
        more: Sequence[str] = (),
        *,
        seed: int = 0,
        meaning: Meaning = NO_MEANING,
        told: Told = unheard,
    ) -> None:
        self.source = source
        self.path = find_data(source)
        self.passed: tuple[Passed, ...] = ()
        """What of folders and archives is not read."""
        self._parts: list[Part] = []
        self._seed = seed
        self._mixed = mix.parse_sources(source, more)
        for entry, (given, name) in enumerate(zip(self._mixed, mix.names(self._mixed), strict=True)):
            try:
                files, passed = look_into(given.source, told)
            except HoneError as error:
                raise wrong(error.message, "data.more" if entry else "data.source") from None
            self.passed += passed
            means = fitting(given.source, files, meaning) if entry else meaning
            parts = parts_of(given.source, files, name, means, told)
            if not sum(map(len, parts)):
                raise wrong(f"{given.source} holds no rows; give a file with at least one.")
            self._parts += [weighted(replace(part, entry=entry), given.weight, seed, told) for part in parts]
        self.layout = self._parts[0].layout
        self.format: Format = common_format(source, [part.layout.format for part in self._parts])
        self._count()

    @property
    def files(self) -> tuple[DataFile, ...]:
        """The files of all sources, those with added rows included."""
        return tuple(part.data for part in self._parts)

    @property
    def num_bytes(self) -> int:
        return sum(part.data.num_bytes for part in self._parts)

    @property
    def num_changed(self) -> int:
        """Rows that an edit leaves out, mends or adds."""
        return sum(len(p) if p.data.container == "edits" else len(p.changes) for p in self._parts)

    def is_changed(self, number: int) -> bool:
        """Whether an edit leaves a row out, mends it or added it."""
        part, place = self._find(number)
        return part.data.container == "edits" or part.number(place) in part.changes

    def source_of(self, number: int) -> str:
        """The source that a row is from, whose edits it has."""
        return self._find(number)[0].source

    def edited(self) -> Rows:
        """The same after edits beside the sources have changed; no file is looked through again."""
        found = copy.copy(self)
        found._parts = []
        for entry, (given, name) in enumerate(zip(self._mixed, mix.names(self._mixed), strict=True)):
            overlay, seen = read_overlay(given.source), Counter[str]()
            parts = [part for part in self._parts if part.entry == entry and part.data.container != "edits"]
            for part in parts:
                with reading(part.source, part.data) as file:
                    found._parts.append(replace(part, changes=overlay.find(file, part.spans, seen)))
            if any(edit.edit == "add" for edit in overlay.edits):
                added = replace(added_part(given.source, name, parts[0].layout, overlay, seen), entry=entry)
                found._parts.append(weighted(added, given.weight, self._seed, unheard))
        found._count()
        return found

    def once(self) -> Rows:
        """The same without repeats: rows that a weight shows several times are there once, the others not."""
        found = copy.copy(self)
        found._parts = [
            part if part.order is None else replace(part, order=np.unique(part.order)) for part in self._parts
        ]
        found._count()
        return found

    def once_numbers(self) -> NDArray[np.int64]:
        """For each row its number in `once`. Shape [rows]."""
        found, start = [np.zeros(0, np.int64)], 0
        for part in self._parts:
            order = np.arange(len(part)) if part.order is None else part.order
            numbers, of_row = np.unique(order, return_inverse=True)
            found.append(of_row + start)
            start += len(numbers)
        return np.concatenate(found)

    def seen_at(self, number: int) -> int:
        """Where the row that is this number of `once` is first seen, as reports count rows once."""
        once = self.once()
        part, place = once._find(number)
        at = next(at for at, other in enumerate(once._parts) if other is part)
        order, row = self._parts[at].order, part.number(place)
        return self._starts[at] + (row if order is None else int(np.searchsorted(order, row)))

    def file_of(self, number: int) -> str:
        """The name within the dataset of the file that a row is in; empty for a lone file."""
        return self._find(number)[0].data.name

    def format_of(self, number: int) -> Format:
        """The format of the source that a row is from."""
        return self._find(number)[0].layout.format

    def tree_of(self, number: int) -> dict[str, Any]:
        """All columns of a row as they are after its edits. Raises HoneError when the row cannot be read."""
        part, place = self._find(number)
        number = part.number(place)
        try:
            with reading(part.source, part.data) as file:
                tree = read_tree(file, part.spans[number], part.data)
            change = part.changes.get(number)
            return change.applied(tree) if change else tree
        except RowError as bad:
            line = part.spans[number].line
            raise wrong(f"{part.source}, line {line}: {bad.reason}.") from None

    def key_of(self, number: int) -> tuple[str, int, int, int]:
        """What edits know a row by: its key, which of equal rows of its source it is, its bytes and its line."""
        part, place = self._find(number)
        number = part.number(place)
        with reading(part.source, part.data) as file:
            span = part.spans[number]
            key, size = key_of(file, span)
        before = itertools.takewhile(lambda other: other is not part, self._parts)
        nth = sum(_alike(other, key, size, len(other.spans)) for other in before if other.entry == part.entry)
        return key, nth + _alike(part, key, size, number), size, span.line

    def __len__(self) -> int:
        return self._starts[-1]

    @overload
    def __getitem__(self, index: int) -> Row | Problem: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row | Problem]: ...
    def __getitem__(self, index: int | slice) -> Row | Problem | list[Row | Problem]:
        numbers = range(len(self))[index]
        if isinstance(numbers, range):
            return list(self._read(numbers))
        return next(self._read([numbers]))

    def __iter__(self) -> Iterator[Row | Problem]:
        return self._read(range(len(self)))

    def _read(self, numbers: Sequence[int]) -> Iterator[Row | Problem]:
        for place, group in itertools.groupby(numbers, lambda number: bisect_right(self._starts, number) - 1):
            part, start = self._parts[place], self._starts[place]
            with reading(part.source, part.data) as file:
                for number in group:
                    yield part.read(file, number - start)

    def _find(self, number: int) -> tuple[Part, int]:
        place = bisect_right(self._starts, range(len(self))[number]) - 1
        return self._parts[place], number % len(self) - self._starts[place]

    def _count(self) -> None:
        self._starts = list(itertools.accumulate((len(part) for part in self._parts), initial=0))


def open_rows(
    source: str,
    more: Sequence[str] = (),
    *,
    seed: int = 0,
    meaning: Meaning = NO_MEANING,
    told: Told = unheard,
) -> Rows:
    """The rows of the dataset that `source` names, and of those mixed in (`data.more`), indexed but not read.

    `seed` is the run's: it chooses the rows that a weight such as 0.5 leaves out. `meaning` says what columns are
    for, where that is not to be found out. `told` hears of unpacking and indexing, and may end it. Raises
    HoneError(path="data.source" or "data.more") for a file that is missing, empty, or in no known format.
    """
    return Rows(source, more, seed=seed, meaning=meaning, told=told)


def rows_of(data: DataSection, seed: int = 0, told: Told = unheard) -> Rows:
    """The rows of a run's data, as its settings have it. Raises HoneError like `open_rows`."""
    return open_rows(data.source, data.more, seed=seed, meaning=Meaning.of(data), told=told)


def first_rows(
    source: str, count: int = 100, *, meaning: Meaning = NO_MEANING
) -> tuple[Format, list[Row | Problem]]:
    """A file's format and its first rows, without a look at the rest: a preview, at once for any size.

    Raises HoneError(path="data.source") like `open_rows`.
    """
    files = open_data(source)
    layout, data, overlay = layout_of(source, files, meaning), files[0], read_overlay(source)
    with reading(source, data) as file:
        spans = first_spans(file, data, count)
        changes = overlay.find(file, spans, Counter())
        return layout.format, [
            read_row(file, span, layout, data, changes.get(number)) for number, span in enumerate(spans)
        ]


def require_objective(rows: Rows, objective: str) -> None:
    """Raise HoneError(path="data.source") when an objective ("sft", "pretrain") cannot learn from these rows."""
    kinds = {
        "preference": ("preference pairs (chosen and rejected)", "the chosen answers alone", "completion: chosen"),
        "kto": ("answers with a verdict (label)", "all its answers alike", "completion: completion"),
    }
    if rows.format in kinds and objective in ("sft", "pretrain"):
        held, part, mapped = kinds[rows.format]
        usual = "messages: chosen" if rows.layout.has_transcripts else f"prompt: prompt, {mapped}"
        raise wrong(
            f"{rows.source} holds {held}, and training learns from single answers; these have no objective yet. "
            f"To learn {part}, say with data.mapping which columns have them, such as {{{usual}}}."
        )


def _alike(part: Part, key: str, size: int, before: int) -> int:
    """How many of the first rows of a file have this content."""
    sizes = part.spans.sizes()[:before]
    likely = np.flatnonzero((sizes >= size) & (sizes <= size + MOST_SPACE))
    with reading(part.source, part.data) as file:
        return sum(key_of(file, part.spans[int(number)])[0] == key for number in likely)
