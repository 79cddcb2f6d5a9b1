"""Where each row of a file begins and ends. Reads the bytes once and keeps eight of its own per row."""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import numpy as np

from core.data.nested import BLOCK_BYTES, NOT_SPACE, Span, in_list, in_sequence
from core.data.pace import Told, unheard
from core.data.source import DataFile
from core.data.tables import find_records

CHUNK_BYTES = 1500
"""Most bytes in a row of raw text: near 400 tokens of English, 500 of Chinese, so that few rows are cut."""
MAX_ROW_BYTES = 16 * 2**20
NEAR_BYTES = 32 * 2**20
ROWS_PER_TELLING = 10_000
INDEXING = "Indexing"
OPEN_QUOTE = "opens a quote that is never closed"


class LineSpans:
    """One row per line that is not blank. Built at disk speed: the only work is finding line ends."""

    def __init__(self, file: BinaryIO, data: DataFile, told: Told = unheard) -> None:
        self._start = data.start
        self._ends = _line_ends(file, data, told)
        lengths = np.diff(self._ends, prepend=data.start - 1) - 1
        self._lines = None if lengths.all() and lengths.min(initial=2) > 1 else self._find_rows(file, lengths)

    def __len__(self) -> int:
        return len(self._ends if self._lines is None else self._lines)

    def __getitem__(self, index: int) -> Span:
        line = index if self._lines is None else int(self._lines[index])
        start = int(self._ends[line - 1]) + 1 if line else self._start
        return Span(start, int(self._ends[line]), line + 1)

    def sizes(self) -> np.ndarray:
        """Bytes of each row."""
        found = np.diff(self._ends, prepend=self._start - 1) - 1
        return found if self._lines is None else found[self._lines]

    def _find_rows(self, file: BinaryIO, lengths: np.ndarray) -> np.ndarray:
        """Numbers of the lines that hold more than an end of line: a lone carriage return is one too."""
        filled = lengths > 1
        for line in np.flatnonzero(lengths == 1):
            file.seek(int(self._ends[line]) - 1)
            filled[line] = file.read(1) != b"\r"
        return np.flatnonzero(filled)


class ListedSpans:
    """Rows that had to be found one after another: objects of a JSON list, or pieces of a text."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self._starts, self._ends, self._lines = array("q"), array("q"), array("q")
        self._flaws: dict[int, str] = {}
        for span in spans:
            self._starts.append(span.start)
            self._ends.append(span.end)
            self._lines.append(span.line)
            if span.flaw:
                self._flaws[len(self._lines) - 1] = span.flaw

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: int) -> Span:
        return Span(self._starts[index], self._ends[index], self._lines[index], self._flaws.get(index, ""))

    def sizes(self) -> np.ndarray:
        """Bytes of each row."""
        return np.frombuffer(self._ends, np.int64) - np.frombuffer(self._starts, np.int64)


Spans = LineSpans | ListedSpans


def find_spans(file: BinaryIO, data: DataFile, told: Told = unheard) -> Spans:
    """Every row of a file. `told` hears how many of its bytes have been looked at, and may end it."""
    if data.container == "lines":
        return LineSpans(file, data, told)
    return ListedSpans(_telling(iterate_spans(file, data), data, told))


def _telling(spans: Iterator[Span], data: DataFile, told: Told) -> Iterator[Span]:
    for number, span in enumerate(spans):
        if number % ROWS_PER_TELLING == 0:
            told(INDEXING, span.start, data.num_bytes)
        yield span


def first_spans(file: BinaryIO, data: DataFile, count: int) -> list[Span]:
    """The first rows of a file, without a look at the rest; fewer than asked for when they are very long."""
    nearby = itertools.takewhile(lambda span: span.start < data.start + NEAR_BYTES, iterate_spans(file, data))
    return list(itertools.islice(nearby, count))


def iterate_spans(file: BinaryIO, data: DataFile) -> Iterator[Span]:
    """Every row of a file, one after another."""
    if data.container in ("list", "inner list"):
        return in_list(file, data.start, data.num_bytes, data.line, is_inner=data.container == "inner list")
    if data.container == "sequence":
        return in_sequence(file, data.start, data.num_bytes)
    return {"lines": _in_lines, "text": _in_text, "table": _in_table}[data.container](file, data)


def _line_ends(file: BinaryIO, data: DataFile, told: Told) -> np.ndarray:
    """Offset of each newline, and of the file's end where its last line has none. Shape [lines], int64."""
    # Not mapped into memory: a file cut short by another program while mapped would kill this one.
    buffer = bytearray(BLOCK_BYTES)
    view, found, offset = np.frombuffer(buffer, np.uint8), [], data.start
    file.seek(offset)
    while count := file.readinto(buffer):  # type: ignore[attr-defined]
        found.append(np.flatnonzero(view[:count] == ord("\n")) + offset)
        offset += count
        told(INDEXING, offset, data.num_bytes)
    ends = np.concatenate(found) if found else np.zeros(0, np.int64)
    if offset > data.start and (not len(ends) or ends[-1] != offset - 1):
        ends = np.append(ends, offset)
    return ends


def _in_lines(file: BinaryIO, data: DataFile) -> Iterator[Span]:
    file.seek(data.start)
    offset = data.start
    for line in itertools.count(1):
        content = file.readline(MAX_ROW_BYTES + 1)
        if not content:
            return
        size, ended = len(content), content.endswith(b"\n")
        is_filled = bool(content.rstrip(b"\r\n"))
        while not ended and MAX_ROW_BYTES < size < NEAR_BYTES and (content := file.readline(BLOCK_BYTES)):
            size, ended = size + len(content), content.endswith(b"\n")
        if is_filled:
            yield Span(offset, offset + size - ended, line)
        offset += size
        if not ended and size >= NEAR_BYTES:
            return


def _in_table(file: BinaryIO, data: DataFile) -> Iterator[Span]:
    for record in find_records(file, data.start, data.line, data.separator):
        yield Span(record.start, record.end, record.line, OPEN_QUOTE if record.is_open else "")


def _in_text(file: BinaryIO, data: DataFile) -> Iterator[Span]:
    """Whole paragraphs up to CHUNK_BYTES together; a longer one is cut at a line end, else at a space."""
    file.seek(data.start)
    block, at, offset, line, ended = b"", 0, data.start, 1, False
    while True:
        if len(block) - at <= CHUNK_BYTES and not ended:
            more = file.read(BLOCK_BYTES)
            block, offset, at, ended = block[at:] + more, offset + at, 0, not more
        letter = NOT_SPACE.search(block, at)
        start = letter.start() if letter else len(block)
        line += block.count(b"\n", at, start)
        at = start
        if letter and (ended or len(block) - at > CHUNK_BYTES):
            cut = _cut(block, at)
            yield Span(offset + at, offset + at + len(block[at:cut].rstrip()), line)
            line += block.count(b"\n", at, cut)
            at = cut
        elif ended:
            return


def _cut(text: bytes, start: int) -> int:
    """Where the piece of a text that begins at `start` ends."""
    limit = start + CHUNK_BYTES
    if len(text) <= limit:
        return len(text)
    for between in (b"\n\n", b"\n\r\n", b"\n", b" "):
        if (found := text.rfind(between, start + 1, limit)) > 0:
            return found + len(between)
    while limit > start + CHUNK_BYTES - 4 and text[limit] & 0xC0 == 0x80:  # never inside a character of UTF-8
        limit -= 1
    return limit
