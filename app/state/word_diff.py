"""Which words of an answer differ from another answer. Pure text, no Qt."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher

WORD = re.compile(r"\w+(?:['’\-]\w+)*|[^\w\s]")
MOST_WORDS = 2000
FEW = 0.2
"""Share of common words under which marking every word would tell nothing."""


@dataclass(frozen=True)
class WordDiff:
    """Ranges of characters (start, end) that differ; empty with `is_other` when hardly a word is common."""

    ranges: tuple[tuple[int, int], ...] = ()
    is_other: bool = False


def differing(text: str, other: str) -> WordDiff:
    """The words of `text` that `other` does not have at that place; neighbours join to one range."""
    mine, theirs = list(WORD.finditer(text)), [match[0].casefold() for match in WORD.finditer(other)]
    mine, theirs = mine[:MOST_WORDS], theirs[:MOST_WORDS]
    if not mine or not theirs:
        return WordDiff()
    matcher = SequenceMatcher(None, theirs, [match[0].casefold() for match in mine], autojunk=False)
    if matcher.ratio() < FEW:
        return WordDiff(is_other=True)
    ranges = [
        (mine[start].start(), mine[end - 1].end())
        for kind, _, _, start, end in matcher.get_opcodes()
        if kind in ("replace", "insert")
    ]
    return WordDiff(tuple(ranges))
