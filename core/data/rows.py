"""The rows of a dataset, read one at a time from disk: each is a Row, or a Problem that says what is wrong."""

from __future__ import annotations

import contextlib
import itertools
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, overload

from core.data import formats
from core.data.formats import Layout
from core.data.row import Format, Message, Problem, Row, RowError
from core.data.source import DataFile, find_data, open_data, wrong
from core.data.spans import MAX_ROW_BYTES, Span, Spans, find_spans, first_spans
from core.data.tables import read_record

__all__ = ["Message", "Problem", "Row", "Rows", "first_rows", "open_rows", "require_objective"]

SAMPLED_FILES = 20
CROWDED_BYTES, MOST_PARTS = 2**20, 300_000
SAMPLED_ROWS = 100  # enough to tell the format of a file


class Rows(Sequence["Row | Problem"]):
    """Every row of a dataset, in the order of its files. Holds where they are, not what they say. Threads may
    share it."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.files = open_data(source)
        self.path = find_data(source)
        self.layout = _layout(source, self.files)
        self._spans: list[Spans] = []
        for data in self.files:
            with _reading(source, data) as file:
                self._spans.append(find_spans(file, data))
        self._starts = list(itertools.accumulate((len(spans) for spans in self._spans), initial=0))
        if not len(self):
            raise wrong(f"{source} holds no rows; give a file with at least one.")

    @property
    def num_bytes(self) -> int:
        return sum(data.num_bytes for data in self.files)

    @property
    def format(self) -> Format:
        return self.layout.format

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
            data, spans, start = self.files[place], self._spans[place], self._starts[place]
            with _reading(self.source, data) as file:
                for number in group:
                    yield _row(file, spans[number - start], self.layout, data)


def open_rows(source: str) -> Rows:
    """The rows of the dataset that `source` names, indexed but not read.

    Raises HoneError(path="data.source") for a file that is missing, empty, unreadable, or in no known format.
    """
    return Rows(source)


def first_rows(source: str, count: int = 100) -> tuple[Format, list[Row | Problem]]:
    """A file's format and its first rows, without a look at the rest: a preview, at once for any size.

    Raises HoneError(path="data.source") like `open_rows`.
    """
    files = open_data(source)
    layout, data = _layout(source, files), files[0]
    with _reading(source, data) as file:
        return layout.format, [_row(file, span, layout, data) for span in first_spans(file, data, count)]


def require_objective(rows: Rows, objective: str) -> None:
    """Raise HoneError(path="data.source") when an objective ("sft", "pretrain") cannot learn from these rows."""
    if rows.format == "preference" and objective in ("sft", "pretrain"):
        raise wrong(
            f"{rows.source} holds preference pairs (chosen and rejected), which an objective such as dpo learns "
            f"from; {objective} needs rows with {formats.EXPECTED}."
        )


@contextlib.contextmanager
def _reading(source: str, data: DataFile) -> Iterator[BinaryIO]:
    """The open file; a failure of the disk while it is read becomes a HoneError."""
    try:
        with data.path.open("rb") as file:
            yield file
    except OSError as error:
        raise wrong(f"{source} cannot be read ({error.strerror}); check the disk and its permissions.") from None


def _row(file: BinaryIO, span: Span, layout: Layout, data: DataFile) -> Row | Problem:
    line = span.line
    try:
        if data.container == "text":
            return _piece(_raw(file, span), line)
        return formats.read_row(_tree(file, span, data), layout, line)
    except RowError as bad:
        return Problem(line, f"{data.name}: {bad.reason}" if data.name else bad.reason, bad.kind)


def _tree(file: BinaryIO, span: Span, data: DataFile) -> dict[str, Any]:
    """The columns of a row. Raises RowError."""
    if span.flaw:
        raise RowError("ragged row" if data.container == "table" else "invalid JSON", span.flaw)
    raw = _raw(file, span)
    return read_record(raw, data.columns, data.separator) if data.container == "table" else formats.decode(raw)


def _raw(file: BinaryIO, span: Span) -> bytes:
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


def _piece(raw: bytes, line: int) -> Row:
    try:
        return Row(line, (), raw.decode())
    except UnicodeDecodeError as error:
        line += raw.count(b"\n", 0, error.start)
        raise RowError("not UTF-8", f"holds bytes that are not UTF-8 on line {line}; save it as UTF-8") from None


def _layout(source: str, files: Sequence[DataFile]) -> Layout:
    """The layout of the first rows of the first files. Raises HoneError naming what was found instead."""
    texts = [data for data in files if data.container == "text"]
    if texts and len(texts) < len(files):
        other = next(data for data in files if data.container != "text")
        raise wrong(f"{source} mixes plain text ({texts[0].name}) with rows ({other.name}); give one kind.")
    if texts:
        return formats.PLAIN_TEXT
    trees, first = [], None
    for data in files[:SAMPLED_FILES]:
        with _reading(source, data) as file:
            for span in first_spans(file, data, SAMPLED_ROWS):
                try:
                    trees.append(_tree(file, span, data))
                except RowError as bad:
                    first = first or Problem(span.line, bad.reason, bad.kind)
    if layout := formats.detect(trees):
        return layout
    if trees:
        found = formats.columns_of(trees)
        raise wrong(f"{source} has the columns {found}, which fit no format; rows have {formats.EXPECTED}.")
    if first and files[0].container == "table":
        raise wrong(f"{source} has no usable row: line {first.line}: {first.reason}.")
    if first:
        raise wrong(
            f"{source} has no usable row: line {first.line}: {first.reason}; put one JSON object on each line, "
            f"with {formats.EXPECTED}."
        )
    raise wrong(f"{source} holds no rows; give a file with at least one.")
