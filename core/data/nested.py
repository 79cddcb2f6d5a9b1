"""Where JSON values begin and end that are not one on each line: in one list, or one after another.

Only brackets, commas and strings are looked at, so that one broken value does not hide the others; whether a value
is valid is for its reader to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

BLOCK_BYTES = 4 * 2**20
NOT_SPACE = re.compile(rb"\S")
STRING = rb'"(?:[^"\\]++|\\.)*+"'


def _nested(inner: bytes) -> bytes:
    return rb'[\[{](?:[^\[\]{}"]++|' + STRING + inner + rb")*+[\]}]"


# Whole values up to three levels deep are one match, so that a row costs one step and not one per sign in it.
SHALLOW = _nested(b"|" + _nested(b"|" + _nested(b"")))
STRUCTURE = re.compile(SHALLOW + b"|" + STRING + rb'|["\[\]{},]', re.DOTALL)
REST_OF_STRING = re.compile(rb'(?:[^"\\]++|\\.)*+("?)', re.DOTALL)
BETWEEN = re.compile(rb"[^{\n]+")
BREAKS_OFF = "the file breaks off in the middle of this row"


class Span(NamedTuple):
    """Bytes `start` to `end` of a file; `line` is the line where they begin, counting from 1.

    `flaw` is set where a JSON list breaks off, which is its last span, and where a quote in a table stays open.
    """

    start: int
    end: int
    line: int
    flaw: str = ""


def in_list(
    file: BinaryIO, begin: int, num_bytes: int, line: int = 1, *, is_inner: bool = False
) -> Iterator[Span]:
    """The values of one JSON list that begins at the first bracket from `begin` on, which is on `line`. What comes
    after the list is a flaw, unless it `is_inner`: then an object is around it."""
    start, start_line, depth, in_string, closed = -1, line, 0, False, False
    for offset, block in _blocks(file, begin):
        at = block.index(b"[") + 1 if offset == begin else 0
        counted = 0
        while True:
            if in_string:
                at, in_string = _past_string(block, at)
                if in_string:
                    break
            if not (found := (NOT_SPACE if start < 0 else STRUCTURE).search(block, at)):
                break
            here, at, sign = found.start(), found.end(), found[0]
            if start < 0:
                line += block.count(b"\n", counted, here)
                start, start_line, counted, at = offset + here, line, here, here
                if closed and is_inner:
                    return
                if closed:
                    yield Span(start, start, line, "text follows the end of the list")
                    return
            elif sign == b'"':
                in_string = True
            elif len(sign) > 1:
                continue
            elif sign in b"[{":
                depth += 1
            elif sign in b"]}" and depth:
                depth -= 1
            elif depth == 0 and sign in b",]":
                if offset + here > start or sign == b",":
                    yield Span(start, offset + here, start_line)
                start, closed = -1, sign == b"]"
        line += block.count(b"\n", counted)
    if start >= 0 and (depth or in_string):
        yield Span(start, num_bytes, start_line, BREAKS_OFF)
    elif not closed:
        if start >= 0:
            yield Span(start, num_bytes, start_line)
        yield Span(num_bytes, num_bytes, line, "the list is not closed with ]")


def in_sequence(file: BinaryIO, begin: int, num_bytes: int) -> Iterator[Span]:
    """Objects one after another, each over as many lines as it likes. What stands between two is a span too."""
    start, start_line, line, depth, in_string = -1, 1, 1, 0, False
    for offset, block in _blocks(file, begin):
        at = counted = 0
        while True:
            if in_string:
                at, in_string = _past_string(block, at)
                if in_string:
                    break
            if not (found := (NOT_SPACE if start < 0 else STRUCTURE).search(block, at)):
                break
            here, at, sign = found.start(), found.end(), found[0]
            if start < 0:
                line += block.count(b"\n", counted, here)
                counted = here
                if sign == b"{":
                    start, start_line, at = offset + here, line, here
                else:
                    at = BETWEEN.match(block, here).end()  # type: ignore[union-attr]
                    yield Span(offset + here, offset + at, line)
                continue
            if sign == b'"':
                in_string = True
            elif len(sign) == 1 and sign in b"[{":
                depth += 1
            elif len(sign) == 1 and sign in b"]}":
                depth = max(0, depth - 1)
            if depth == 0 and (sign[:1] == b"{" or sign == b"}"):
                yield Span(start, offset + at, start_line)
                start = -1
        line += block.count(b"\n", counted)
    if start >= 0:
        yield Span(start, num_bytes, start_line, BREAKS_OFF)


def _past_string(block: bytes, at: int) -> tuple[int, bool]:
    """The place after a string that is open at `at`, and whether it is open still at the block's end."""
    found = REST_OF_STRING.match(block, at)
    assert found is not None
    return found.end(), not found[1]


def _blocks(file: BinaryIO, offset: int) -> Iterator[tuple[int, bytes]]:
    """The file from `offset` in pieces, each with its place; none ends between a backslash and what it escapes."""
    file.seek(offset)
    while block := file.read(BLOCK_BYTES):
        if (len(block) - len(block.rstrip(b"\\"))) % 2:
            block += file.read(1)
        yield offset, block
        offset += len(block)
