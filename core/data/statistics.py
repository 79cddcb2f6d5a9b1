"""What a dataset is made of: formats, turns, scripts and characters of its rows; on request, personal data."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from core.data.check import ROWS_PER_PROGRESS, Spread, spread
from core.data.mapping import Meaning
from core.data.personal import PersonalKind, find_personal
from core.data.row import Format, Message, Problem, Row
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
    lengths, letters = array("q"), np.zeros(len(NAMES), np.int64)
    formats: Counter[Format] = Counter()
    roles, scripts, turns = Counter[str](), Counter[str](), Counter[int]()
    traces = Traces()
    for number, row in enumerate(rows):
        if progress and number % ROWS_PER_PROGRESS == 0:
            progress(number, len(rows))
        if isinstance(row, Problem):
            continue
        texts = texts_of(row)
        formats[rows.format_of(number)] += 1
        roles.update(message.role for message in _messages(row))
        turns[sum(message.role == "assistant" for message in (*row.messages, *row.chosen))] += 1
        lengths.append(sum(map(len, texts)))
        counts = letters_by_script("\n".join(texts))
        letters += counts
        scripts[main_script(counts)] += 1
        if personal:
            traces.look(number, rows.file_of(number), row.line, texts)
    return Statistics(
        source=source,
        num_rows=len(rows),
        num_used=len(lengths),
        formats=dict(formats.most_common()),
        roles=dict(roles.most_common()),
        turns=dict(sorted(turns.items())),
        characters=spread(lengths),
        num_characters=sum(lengths),
        scripts=dict(scripts.most_common()),
        letters=_named(letters),
        personal=traces.found() if personal else None,
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


def texts_of(row: Row) -> list[str]:
    """Everything that is said in a row."""
    return [row.text] if row.text else [message.content for message in _messages(row)]


def _messages(row: Row) -> tuple[Message, ...]:
    return (*row.messages, *row.chosen, *row.rejected)


def _named(letters: NDArray[np.int64]) -> dict[str, int]:
    order = np.argsort(-letters, kind="stable")
    return {NAMES[place]: int(letters[place]) for place in order if letters[place]}
