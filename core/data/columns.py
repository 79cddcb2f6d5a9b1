"""The columns of a dataset with some of their values, whatever they mean: what a mapping is made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.data.detection import two_texts
from core.data.mapping import as_words
from core.data.part import read_tree, reading
from core.data.row import RowError
from core.data.source import open_data
from core.data.spans import first_spans

SAMPLED_ROWS = 100
MOST_COLUMNS = 200
MOST_LETTERS = 400


@dataclass(frozen=True)
class Column:
    """One column, and how many of the first rows have something in it."""

    name: str
    sample: str
    """The first value that is not empty, as text, cut where it would not be read anyway."""
    num_filled: int


@dataclass(frozen=True)
class Columns:
    """What stands in the first rows of the first file. Plain text has none."""

    columns: tuple[Column, ...]
    num_rows: int
    """Rows looked at."""
    tree: dict[str, Any]
    """The first row that can be read."""
    pair: tuple[str, str] | None = None
    """A guess, where just two columns hold texts: a prompt and its answer."""


def find_columns(source: str) -> Columns:
    """The columns of the data's first rows, in the order they come.

    Raises HoneError(path="data.source") for data that cannot be opened; rows that cannot be read are passed over.
    """
    data = open_data(source)[0]
    if data.container == "text":
        return Columns((), 0, {})
    trees: list[dict[str, Any]] = []
    with reading(source, data) as file:
        for span in first_spans(file, data, SAMPLED_ROWS):
            try:
                trees.append(read_tree(file, span, data))
            except RowError:
                continue
    names = list(dict.fromkeys(name for tree in trees for name in tree))[:MOST_COLUMNS]
    found = []
    for name in names:
        values = [tree[name] for tree in trees if tree.get(name) not in (None, "", [], {})]
        found.append(Column(name, as_sample(values[0]) if values else "", len(values)))
    return Columns(tuple(found), len(trees), trees[0] if trees else {}, two_texts(trees))


def as_sample(value: Any) -> str:
    """A value on one line, short enough to be read."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        parts = [str(item.get("content", item.get("value", ""))) for item in value[:4] if isinstance(item, dict)]
        return f"{len(value)} messages: {' / '.join(' '.join(part[:100].split()) for part in parts)}"[
            :MOST_LETTERS
        ]
    return " ".join(as_words(value)[: 2 * MOST_LETTERS].split())[:MOST_LETTERS]
