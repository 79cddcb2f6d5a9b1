"""One file's share of a dataset: where its rows are, how they are read, and what edits change about them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from core.data import formats
from core.data.formats import Layout
from core.data.overlay import Change
from core.data.row import Problem, Row, RowError
from core.data.source import DataFile, wrong
from core.data.spans import MAX_ROW_BYTES, Span, Spans
from core.data.tables import read_record

CROWDED_BYTES, MOST_PARTS = 2**20, 300_000
TEXT_ROW = Layout("text", ("text",))
"""A row with nothing but text, as an edit of plain text has it."""


@dataclass(frozen=True)
class Part:
    """The rows of one file of one source."""

    source: str
    data: DataFile
    layout: Layout
    spans: Spans
    changes: Mapping[int, Change]
    """What is changed about rows, by their number in this file."""
    entry: int = 0
    """Which of the mixed sources this is: one may be there twice."""
    order: NDArray[np.int64] | None = None
    """Numbers of the rows in this file as they are seen, where not each is seen once."""

    def __len__(self) -> int:
        return len(self.spans if self.order is None else self.order)

    def number(self, place: int) -> int:
        """The number in its file of the row seen at a place."""
        return place if self.order is None else int(self.order[place])

    def read(self, file: BinaryIO, place: int) -> Row | Problem:
        number = self.number(place)
        return read_row(file, self.spans[number], self.layout, self.data, self.changes.get(number))


@contextlib.contextmanager
def reading(source: str, data: DataFile) -> Iterator[BinaryIO]:
    """The open file; a failure of the disk while it is read becomes a HoneError."""
    try:
        with data.path.open("rb") as file:
            yield file
    except OSError as error:
        raise wrong(f"{source} cannot be read ({error.strerror}); check the disk and its permissions.") from None


def read_row(
    file: BinaryIO, span: Span, layout: Layout, data: DataFile, change: Change | None = None
) -> Row | Problem:
    """A row as it is after its edits, or what is wrong with it."""
    line = span.line
    try:
        if change and change.is_excluded:
            raise RowError("left out", "is left out by an edit")
        if data.container == "text" and not change:
            return Row(line, (), _piece(read_bytes(file, span), line))
        tree = read_tree(file, span, data)
        if layout == formats.PLAIN_TEXT:
            layout = TEXT_ROW
        return formats.read_row(change.applied(tree) if change else tree, layout, line)
    except RowError as bad:
        return Problem(line, f"{data.name}: {bad.reason}" if data.name else bad.reason, bad.kind)


def read_tree(file: BinaryIO, span: Span, data: DataFile) -> dict[str, Any]:
    """The columns of a row as they stand in the file, without edits. Raises RowError."""
    if span.flaw:
        raise RowError("ragged row" if data.container == "table" else "invalid JSON", span.flaw)
    raw = read_bytes(file, span)
    match data.container:
        case "table":
            return read_record(raw, data.columns, data.separator)
        case "text":
            return {"text": _piece(raw, span.line)}
        case "edits":
            return formats.decode(raw)["value"]
        case _:
            return formats.decode(raw)


def read_bytes(file: BinaryIO, span: Span) -> bytes:
    """A row as it stands in the file. Raises RowError for one that would fill the memory."""
    size = span.end - span.start
    if size > MAX_ROW_BYTES:
        limit = MAX_ROW_BYTES // 2**20
        raise RowError("line too long", f"is {size / 2**20:,.1f} MiB long; a row has at most {limit} MiB")
    file.seek(span.start)
    raw = file.read(size)
    # Each list or object takes a hundred bytes of memory and more.
    if size > CROWDED_BYTES and raw.count(b"{") + raw.count(b"[") > MOST_PARTS:
        raise RowError("line too long", f"holds over {MOST_PARTS:,} lists and objects; a row of text has few")
    return raw


def _piece(raw: bytes, line: int) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        line += raw.count(b"\n", 0, error.start)
        raise RowError("not UTF-8", f"holds bytes that are not UTF-8 on line {line}; save it as UTF-8") from None
