"""Tokens arranged for reading: paragraphs of text, and which stretch of them each token is. No painting."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Literal

Token = tuple[str, bool, bool]
"""Its text, whether it is trained, and whether it is a special token."""
Kind = Literal[
    "plain", "trained", "unwanted", "special", "trained special", "unwanted special", "lost",
    "cut", "split", "name",
]  # fmt: skip

LEARNT: tuple[Kind, ...] = ("trained", "trained special", "unwanted", "unwanted special")
BREAK, GLUE, RETURN = "\u200b", "\u00a0", "↵"
HEADER = 24
"""A turn's header is at most this long: a line is not broken between it and its message."""
PICTURES = {code: chr(0x2400 + code) for code in range(0x20)} | {0x7F: "␡"}
HIDDEN = dict.fromkeys(
    (0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x2028, 0x2029, 0x85), "\ufffd"
)
SHOWN = str.maketrans(PICTURES | HIDDEN | {ord("\t"): "⇥", 0xFEFF: "\ufffd"})


@dataclass(frozen=True)
class Part:
    """One sequence of a row. Tokens from number `limit` on are lost; `splits` are numbers of tokens before which
    another sequence begins."""

    tokens: Sequence[Token]
    limit: int = 2**31
    splits: Collection[int] = ()
    name: str = ""
    """What stands before it, of one that is told from others by a name."""
    is_unwanted: bool = False
    """What is trained of it is learnt as what not to say."""


@dataclass(frozen=True)
class Span:
    """A token's place in its paragraph, in UTF-16 units as Qt counts; `number` is -1 for marks between tokens."""

    start: int
    end: int
    number: int
    kind: Kind


@dataclass
class Paragraph:
    """Text up to a line break, with the spans of its tokens in order."""

    text: str = ""
    spans: list[Span] = field(default_factory=list)
    returns: list[int] = field(default_factory=list)
    """Places of the signs that stand for line breaks."""
    size: int = 0
    """Length in UTF-16 units."""
    num_plain: int = 0
    """Letters that belong to no special token."""

    def add(self, text: str, number: int, kind: Kind) -> None:
        start = self.size
        self.text += text
        self.size += units(text)
        self.spans.append(Span(start, self.size, number, kind))

    def space(self, text: str) -> None:
        """Text of no token, to keep others apart."""
        self.text += text
        self.size += len(text)


def arrange(parts: Sequence[Part]) -> list[Paragraph]:
    """Paragraphs that end where the text breaks its line, or where a turn ends. Tokens are numbered through all
    parts; the first begins without a mark unless it has a name."""
    paragraphs: list[Paragraph] = []
    first = 0
    for part in parts:
        found = _arrange(part, first)
        if part.name or paragraphs:
            _mark(head := Paragraph(), part.name or "next sequence", "name" if part.name else "split")
            paragraphs.append(head)
        paragraphs += found
        first += len(part.tokens)
    return paragraphs or [Paragraph()]


def _arrange(part: Part, first: int) -> list[Paragraph]:
    paragraphs = [Paragraph()]
    was_special = False
    for place, (text, is_trained, is_special) in enumerate(part.tokens):
        now, number = paragraphs[-1], first + place
        if place == part.limit:
            _mark(now, f"cut after {part.limit:,} tokens", "cut")
        elif place in part.splits:
            _mark(now, "next sequence", "split")
        is_lost = place >= part.limit
        plain, special = ("unwanted", "unwanted special") if part.is_unwanted else ("trained", "trained special")
        if is_special:
            if was_special and now.num_plain > HEADER:
                paragraphs.append(now := Paragraph())
            kind: Kind = "lost" if is_lost else special if is_trained else "special"
            now.space(BREAK)
            now.add(f"{GLUE}{_name(text)}{GLUE}", number, kind)
            now.space(BREAK)
        elif text:
            _write(paragraphs, text, number, "lost" if is_lost else plain if is_trained else "plain")
        was_special = is_special
    return paragraphs if paragraphs[-1].text or len(paragraphs) == 1 else paragraphs[:-1]


def units(text: str) -> int:
    """Length as Qt counts it: characters outside the basic plane are two."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def _write(paragraphs: list[Paragraph], text: str, number: int, kind: Kind) -> None:
    """Add a token's text; a run of line breaks shows as signs, and breaks the line once."""
    text = text.replace("\r\n", "\n")
    while text:
        now = paragraphs[-1]
        head, found, text = text.partition("\n")
        num_breaks = len(found) + len(text) - len(text.lstrip("\n")) if found else 0
        text = text.lstrip("\n") if found else text
        if head:
            now.add(head.translate(SHOWN), number, kind)
            now.num_plain += len(head)
        if num_breaks:
            now.returns += range(now.size, now.size + num_breaks)
            now.add(RETURN * num_breaks, number, kind)
            if not _is_header(now):
                paragraphs.append(Paragraph())


def _is_header(paragraph: Paragraph) -> bool:
    if not paragraph.spans or paragraph.spans[-1].kind in LEARNT:
        return False
    return paragraph.spans[0].kind == "special" and 0 < paragraph.num_plain <= HEADER


def _mark(paragraph: Paragraph, words: str, kind: Kind) -> None:
    paragraph.space(BREAK)
    paragraph.add(f"{GLUE}{words.replace(' ', GLUE)}{GLUE}", -1, kind)
    paragraph.space(BREAK)


def _name(text: str) -> str:
    """A special token without the signs that only set it apart."""
    bare = text.strip("<>|[]｜").translate(SHOWN).replace(" ", GLUE)
    return ("/" if text.startswith("</") and not bare.startswith("/") else "") + bare or text.translate(SHOWN)
