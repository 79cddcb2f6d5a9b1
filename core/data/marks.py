"""What rows are compared by: numbers made from their content, the same on every machine; and odd characters."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from array import array
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from core.data.kinds import CONTROL, ENCODING
from core.data.personal import find_personal
from core.data.row import Message, Problem, Row
from core.data.split import HELD, TRAINED, digest, key

MARKS = ("lines", "keys", "contents", "prompts", "answers", "verdicts", "strata")
GOOD, BAD, PAIR = 1, 2, 3
PLAINLY = bytes(ord(" ") if chr(n).isspace() else n for n in range(128)).lower() + bytes(range(128, 256))
"""Each byte of ASCII in small letters, and every kind of blank as a space."""
CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
MISREAD = re.compile("\ufffd|â€[™œ\x9d“”]|Ã[©¨¤¶¼Ÿ±]")
"""A character that was lost, or one of UTF-8 that was read as Western European."""


@dataclass(frozen=True, eq=False)
class Marks:
    """One number for each row, in the order of the rows. Shape [rows] each, int64."""

    lines: NDArray[np.int64]
    """The line it begins on."""
    keys: NDArray[np.int64]
    """What its side of the split hangs on; see core.data.split."""
    contents: NDArray[np.int64]
    """Equal for rows that are the same; 0 for rows that cannot be read."""
    prompts: NDArray[np.int64]
    """Equal for rows that ask the same, but for case and spaces; below 0 for rows without a prompt."""
    answers: NDArray[np.int64]
    """Equal for rows that answer the same, or whose text is the same, but for case and spaces."""
    verdicts: NDArray[np.int64]
    """GOOD or BAD for an answer with a verdict, PAIR for a better and a worse one, else 0."""
    strata: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.lines)

    def and_held_out(self, more: Self) -> Self:
        """The marks of these rows, and of more that are all held out."""
        both = {name: np.concatenate([getattr(self, name), getattr(more, name)]) for name in MARKS}
        sides = np.where(self.keys == HELD, HELD, TRAINED), np.full(len(more), HELD)
        return type(self)(**{**both, "keys": np.concatenate(sides)})


class GrowingMarks:
    """`add` the marks of one row after another. Keeps 56 bytes of a row."""

    def __init__(self) -> None:
        self.numbers = {name: array("q") for name in MARKS}

    def add(self, row: Row | Problem) -> None:
        for numbers, value in zip(self.numbers.values(), marks_of(row), strict=True):
            numbers.append(value)

    def marks(self) -> Marks:
        return Marks(**{
            name: np.frombuffer(values, np.int64) if values else np.zeros(0, np.int64)
            for name, values in self.numbers.items()
        })  # fmt: skip


def marks_of(row: Row | Problem) -> tuple[int, ...]:
    """The marks of one row, in the order of MARKS."""
    if isinstance(row, Problem):
        return row.line, 0, 0, -1, 0, 0, 0
    own = key(row)
    content = own if own >= 0 and _is_plain(row) else _content(row)
    if row.chosen:
        asked, answered, verdict = row.messages, [*map(_said, row.chosen), b"", *map(_said, row.rejected)], PAIR
    else:
        asked, verdict = row.messages[:-1], 0 if row.label is None else GOOD if row.label else BAD
        answered = [_said(row.messages[-1])] if row.messages else [plain(row.text)]
    prompt = _digest([_said(message) for message in asked]) if asked else -1
    return row.line, own, content, prompt, _digest(answered), verdict, digest(row.stratum) if row.stratum else 0


def _is_plain(row: Row) -> bool:
    """Whether the row is no more than its messages or its text, so that its key stands for all of it."""
    return not (row.group or row.chosen or row.tools or row.label is not None or any(m.more for m in row.messages))


def _content(row: Row) -> int:
    others = [[one.role, one.content] for one in (*row.chosen, *row.rejected)]
    beside = [*others, *(one.more for one in row.spoken if one.more), row.tools, row.label]
    return digest([[[m.role, m.content] for m in row.messages], row.text, beside])


def oddities(row: Row, is_personal_sought: bool = False) -> list[str]:
    """The kinds of characters and of personal data in a row that a person should know of."""
    texts, found = row.texts, []
    together = "\n".join(texts)
    if not together.isascii() and MISREAD.search(together):
        found.append(ENCODING)
    if CONTROLS.search(together):
        found.append(CONTROL)
    if is_personal_sought:
        found += dict.fromkeys(kind for text in texts for kind, _ in find_personal(text))
    return found


def oddity_in_words(row: Row, kind: str) -> str:
    """Where a row is odd in this way; of personal data no more than a hint."""
    if kind in (CONTROL, ENCODING):
        pattern = CONTROLS if kind == CONTROL else MISREAD
        match = next(found for text in row.texts if (found := pattern.search(text)))
        shown = f"U+{ord(match[0]):04X}" if len(match[0]) == 1 else f"“{match[0]}”"
        return f"holds {shown}" + (", a sign of text read in a wrong encoding" if kind == ENCODING else "")
    hints = [hint for text in row.texts for found, hint in find_personal(text) if found == kind]
    return f"may hold one: {', '.join(hints[:3])}" + (f" and {len(hints) - 3} more" if len(hints) > 3 else "")


def without_controls(row: Row) -> Row:
    """The row without its control characters."""
    if not any(CONTROLS.search(text) for text in row.texts):
        return row

    def cut(messages: tuple[Message, ...]) -> tuple[Message, ...]:
        return tuple(replace(one, content=CONTROLS.sub("", one.content)) for one in messages)

    return replace(
        row, messages=cut(row.messages), text=CONTROLS.sub("", row.text),
        chosen=cut(row.chosen), rejected=cut(row.rejected),
    )  # fmt: skip


def plain(text: str) -> bytes:
    """Text without what two writers of the same might differ in: case, width of letters, spaces."""
    if not text.isascii():
        return " ".join(unicodedata.normalize("NFKC", text).casefold().split()).encode(errors="replace")
    found = text.encode().translate(PLAINLY)  # a quarter of the time that words take, apart and together again
    while b"  " in found:
        found = found.replace(b"  ", b" ")
    return found.strip(b" ")


def _said(message: Message) -> bytes:
    return plain(message.content) + message.more.encode(errors="replace")


def _digest(texts: list[bytes]) -> int:
    """A number from 0 to 2**63 - 1 that stands for these texts."""
    return int.from_bytes(hashlib.blake2b(b"\0".join(texts), digest_size=8).digest(), "big") >> 1
