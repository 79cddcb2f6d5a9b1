"""Whether a text is rhyming verse: short lines whose ends rhyme in pairs. A word it does not know never rhymes."""

import json
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

FAMILIES_FILE = Path(__file__).resolve().parents[1] / "resources" / "starter" / "rhymes.json"
WORD = re.compile(r"[a-z]+(?:['’][a-z]+)*")
FEWEST_LINES = 4
LONGEST_LINE_WORDS = 12


@cache
def families_of() -> dict[str, frozenset[str]]:
    """Every known word with the rhyme families it belongs to; `wind` and `row` belong to two."""
    table = json.loads(FAMILIES_FILE.read_text(encoding="utf-8"))
    found: dict[str, set[str]] = {}
    for family, words in table.items():
        for word in words:
            found.setdefault(word, set()).add(family)
    return {word: frozenset(families) for word, families in found.items()}


def rhymes(first: str, second: str) -> bool:
    """Two different known words of one family."""
    first, second = first.lower(), second.lower()
    known = families_of()
    return first != second and not known.get(first, frozenset()).isdisjoint(known.get(second, frozenset()))


def is_rhyming_verse(text: str) -> bool:
    """At least four short lines, an even number, rhyming AABB or ABAB throughout."""
    lines = [WORD.findall(line.lower()) for line in text.splitlines() if line.strip()]
    if len(lines) < FEWEST_LINES or len(lines) % 2:
        return False
    if not all(0 < len(words) <= LONGEST_LINE_WORDS for words in lines):
        return False
    ends = [words[-1] for words in lines]
    couplets = zip(ends[::2], ends[1::2], strict=True)
    return all(rhymes(first, second) for first, second in couplets) or _alternate(ends)


def _alternate(ends: list[str]) -> bool:
    if len(ends) % 4:
        return False
    stanzas = (ends[start : start + 4] for start in range(0, len(ends), 4))
    return all(rhymes(a, c) and rhymes(b, d) for a, b, c, d in stanzas)


def rhyming_share(texts: Iterable[str]) -> float:
    """Share of the texts, 0 to 1, that are rhyming verse; 0 when there are none."""
    verdicts = [is_rhyming_verse(text) for text in texts]
    return sum(verdicts) / len(verdicts) if verdicts else 0.0
