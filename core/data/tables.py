"""Tables of text, with commas, semicolons or tabs: where their records end, and what is in one."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

from core.data.row import RowError

MOST_QUOTED_BYTES = 2**20
"""A quoted field that is longer is taken for a quote that nobody closed."""
MAX_FIELD = 16 * 2**20
TOLD_SEPARATOR = re.compile(rb"sep=([,;\t|])")
"""A first line that Excel reads and does not show."""
csv.field_size_limit(MAX_FIELD)


class Header(NamedTuple):
    """The first record of a table: its columns, and what stands between fields."""

    columns: tuple[str, ...]
    separator: str
    num_bytes: int
    num_lines: int


class Record(NamedTuple):
    """Bytes `start` to `end` of a file, which begin on `line`; `is_open` where a quote is never closed."""

    start: int
    end: int
    line: int
    is_open: bool = False


def read_header(head: bytes, separators: str) -> Header:
    """The header at the start of a table. Raises RowError when there is none."""
    lines = head.split(b"\n")
    filled = [number for number, line in enumerate(lines) if line.strip()] or [0]
    if (told := TOLD_SEPARATOR.fullmatch(lines[filled[0]].strip(b"\r"))) and len(filled) > 1:
        separators = told[1].decode()
        filled = filled[1:]
    num_lines = filled[0] + 1
    first = b"\n".join(lines[:num_lines])
    text = lines[filled[0]].decode(errors="replace").strip("\r\n")
    separator = max(separators, key=text.count)
    try:
        (fields,) = csv.reader([text], delimiter=separator)
    except (csv.Error, ValueError):
        raise RowError(
            "ragged row", "its header, the first line, has a quote or a line end out of place"
        ) from None
    columns = tuple(field.strip().lower() for field in fields)
    if len(set(columns)) != len(columns):
        twice = next(name for name in columns if columns.count(name) > 1)
        said = f"its header has {twice[:40]!r} twice" if twice else "its header has columns without a name"
        raise RowError("repeated key", said)
    return Header(columns, separator, min(len(head), len(first) + 1), num_lines)


def find_records(file: BinaryIO, start: int, line: int, separator: str) -> Iterator[Record]:
    """Every record that is not blank. Quoted fields may hold line ends; after a quote that is never closed, the
    next line is a record again."""
    file.seek(start)
    mark, offset = separator.encode(), start
    while content := file.readline(MAX_FIELD):
        begin, first = offset, line
        offset += len(content)
        line += content.count(b"\n")
        is_open = _is_open(content, False, mark) if b'"' in content else False
        if is_open:
            after = file.tell()
            size = len(content)
            while is_open and size < MOST_QUOTED_BYTES and (more := file.readline(MAX_FIELD)):
                size += len(more)
                is_open = _is_open(more, True, mark)
            if is_open:
                file.seek(after)
            else:
                offset = begin + size
                file.seek(begin)
                content = file.read(size)
                line = first + content.count(b"\n")
        if content.strip():
            yield Record(begin, begin + len(content.rstrip(b"\r\n")), first, is_open)


def read_record(raw: bytes, columns: tuple[str, ...], separator: str) -> dict[str, Any]:
    """A record as a row. Raises RowError when it has other than one field per column."""
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise RowError("not UTF-8", f"byte {error.start + 1} is not UTF-8; save the file as UTF-8") from None
    try:
        (fields,) = csv.reader([text.replace("\0", "\ufffd")], delimiter=separator, strict=True)
    except (csv.Error, ValueError):
        raise RowError("ragged row", "has a quote in the middle of a field; write it twice") from None
    if len(fields) != len(columns):
        raise RowError("ragged row", f"has {len(fields)} fields where the header has {len(columns)}")
    return dict(zip(columns, fields, strict=True))


def _is_open(line: bytes, is_open: bool, separator: bytes) -> bool:
    """Whether a quoted field goes on after this line. A quote counts only where a field begins, as csv has it."""
    at = 0
    while True:
        if is_open:
            close = line.find(b'"', at)
            if close < 0:
                return True
            at = close + 1
            if line[at : at + 1] == b'"':
                at += 1
            else:
                is_open = False
        else:
            if at == 0 and line[:1] == b'"':
                at, is_open = 1, True
                continue
            start = line.find(separator + b'"', at)
            if start < 0:
                return False
            at, is_open = start + 2, True
