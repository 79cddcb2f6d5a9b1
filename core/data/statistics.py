"""What a dataset is made of: formats, turns, scripts and characters of its rows; on request, personal data."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from core.data.check import spread
from core.data.mapping import Meaning
from core.data.personal import PersonalKind, find_personal
from core.data.reading import ROWS_PER_PROGRESS
from core.data.report import Spread
from core.data.row import Format, Problem, Row
from core.data.rows import NO_MEANING, open_rows
from core.data.scripts import NAMES, letters_by_script, main_script

LISTED = 100


class Found(BaseModel):
    """Something personal in a row: `row` counts from 1, and the hint does not give it away."""

    model_config = ConfigDict(frozen=True)

    row: int
    file: str
    line: int
    kind: PersonalKind
    hint: str


class Personal(BaseModel):
    """What looks like personal data."""

    model_config = ConfigDict(frozen=True)

    num_rows: int
    """Rows with any."""
    counts: dict[PersonalKind, int]
    listed: list[Found]
    """The first hundred of each kind."""


class Statistics(BaseModel):
    """Figures over rows that can be used; rows that a weight repeats count once."""

    model_config = ConfigDict(frozen=True)

    source: str
    num_rows: int
    num_used: int
    formats: dict[Format, int]
    """Usable rows by the format of their source."""
    roles: dict[str, int]
    """Messages by role; a pair's better and worse answer count as an answer each."""
    turns: dict[int, int]
    """Rows by how many answers they have; raw text has none."""
    characters: Spread
    num_characters: int
    scripts: dict[str, int]
    """Rows by the script that most of their letters are in."""
    letters: dict[str, int]
    """Letters by script, over all rows."""
    personal: Personal | None = None


def statistics(
    source: str,
    more: Sequence[str] = (),
    *,
    seed: int = 0,
    meaning: Meaning = NO_MEANING,
    personal: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Statistics:
    """Read every row once. `progress(done, total)` is called now and then; an exception it raises ends the work.

    Raises HoneError(path="data.source") like `open_rows`.
    """
    rows = open_rows(source, more, seed=seed, meaning=meaning).once()
    figures = Figures(personal)
    for number, row in enumerate(rows):
        if progress and number % ROWS_PER_PROGRESS == 0:
            progress(number, len(rows))
        figures.add(row, rows.format_of(number), rows.file_of(number))
    return figures.found(source)


class Figures:
    """`add` every row once, then ask what was `found`; what looks `personal` is looked for on request."""

    def __init__(self, personal: bool = False) -> None:
        self._num_rows = 0
        self._lengths, self._letters = array("q"), np.zeros(len(NAMES), np.int64)
        self._formats: Counter[Format] = Counter()
        self._roles, self._scripts, self._turns = Counter[str](), Counter[str](), Counter[int]()
        self._traces = Traces() if personal else None

    def add(self, row: Row | Problem, format_: Format, file: str) -> None:
        """A row, the format of its source and the name of its file."""
        self._num_rows += 1
        if isinstance(row, Problem):
            return
        texts = row.texts
        self._formats[format_] += 1
        self._roles.update(message.role for message in row.spoken)
        self._turns[sum(message.role == "assistant" for message in (*row.messages, *row.chosen))] += 1
        self._lengths.append(sum(map(len, texts)))
        counts = letters_by_script("\n".join(texts))
        self._letters += counts
        self._scripts[main_script(counts)] += 1
        if self._traces is not None:
            self._traces.look(self._num_rows - 1, file, row.line, texts)

    def found(self, source: str) -> Statistics:
        return Statistics(
            source=source,
            num_rows=self._num_rows,
            num_used=len(self._lengths),
            formats=dict(self._formats.most_common()),
            roles=dict(self._roles.most_common()),
            turns=dict(sorted(self._turns.items())),
            characters=spread(self._lengths),
            num_characters=sum(self._lengths),
            scripts=dict(self._scripts.most_common()),
            letters=_named(self._letters),
            personal=self._traces.found() if self._traces is not None else None,
        )


class Traces:
    """`look` at every row, then ask what was `found`. Keeps the first hundred of each kind."""

    def __init__(self) -> None:
        self._num_rows = 0
        self._counts: Counter[PersonalKind] = Counter()
        self._listed: list[Found] = []

    def look(self, number: int, file: str, line: int, texts: Sequence[str]) -> None:
        found = [trace for text in texts for trace in find_personal(text)]
        self._num_rows += bool(found)
        for kind, hint in found:
            self._counts[kind] += 1
            if self._counts[kind] <= LISTED:
                self._listed.append(Found(row=number + 1, file=file, line=line, kind=kind, hint=hint))

    def found(self) -> Personal:
        return Personal(num_rows=self._num_rows, counts=dict(self._counts.most_common()), listed=self._listed)


def _named(letters: NDArray[np.int64]) -> dict[str, int]:
    order = np.argsort(-letters, kind="stable")
    return {NAMES[place]: int(letters[place]) for place in order if letters[place]}
