"""Which scripts a text is written in: the nearest thing to its language that needs no model to tell."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# First and last code point of the blocks of each script, after Blocks.txt of Unicode 16.
BLOCKS = (
    (0x41, 0x5A, "Latin"), (0x61, 0x7A, "Latin"), (0xAA, 0xAA, "Latin"), (0xBA, 0xBA, "Latin"),
    (0xC0, 0x24F, "Latin"), (0x250, 0x2AF, "Latin"), (0x370, 0x3FF, "Greek"), (0x400, 0x52F, "Cyrillic"),
    (0x530, 0x58F, "Armenian"), (0x591, 0x5F4, "Hebrew"), (0x600, 0x6FF, "Arabic"), (0x700, 0x74F, "Syriac"),
    (0x750, 0x77F, "Arabic"), (0x8A0, 0x8FF, "Arabic"), (0x900, 0x97F, "Devanagari"), (0x980, 0x9FF, "Bengali"),
    (0xA00, 0xA7F, "Gurmukhi"), (0xA80, 0xAFF, "Gujarati"), (0xB00, 0xB7F, "Odia"), (0xB80, 0xBFF, "Tamil"),
    (0xC00, 0xC7F, "Telugu"), (0xC80, 0xCFF, "Kannada"), (0xD00, 0xD7F, "Malayalam"), (0xD80, 0xDFF, "Sinhala"),
    (0xE00, 0xE7F, "Thai"), (0xE80, 0xEFF, "Lao"), (0xF00, 0xFFF, "Tibetan"), (0x1000, 0x109F, "Burmese"),
    (0x10A0, 0x10FF, "Georgian"), (0x1100, 0x11FF, "Hangul"), (0x1200, 0x139F, "Ethiopic"),
    (0x1780, 0x17FF, "Khmer"), (0x1800, 0x18AF, "Mongolian"), (0x1C80, 0x1C8F, "Cyrillic"),
    (0x1E00, 0x1EFF, "Latin"), (0x1F00, 0x1FFF, "Greek"), (0x2DE0, 0x2DFF, "Cyrillic"), (0x2E80, 0x2FDF, "Han"),
    (0x3005, 0x3007, "Han"), (0x3041, 0x30FF, "Kana"), (0x3130, 0x318F, "Hangul"), (0x31F0, 0x31FF, "Kana"),
    (0x3400, 0x4DBF, "Han"), (0x4E00, 0x9FFF, "Han"), (0xA640, 0xA69F, "Cyrillic"), (0xA720, 0xA7FF, "Latin"),
    (0xA8E0, 0xA8FF, "Devanagari"), (0xAB70, 0xABBF, "Cherokee"), (0xAC00, 0xD7AF, "Hangul"),
    (0xF900, 0xFAFF, "Han"), (0xFB1D, 0xFB4F, "Hebrew"), (0xFB50, 0xFDFF, "Arabic"), (0xFE70, 0xFEFC, "Arabic"),
    (0xFF21, 0xFF3A, "Latin"), (0xFF41, 0xFF5A, "Latin"), (0xFF66, 0xFF9D, "Kana"), (0x1F300, 0x1FAFF, "emoji"),
    (0x20000, 0x323AF, "Han"),
)  # fmt: skip
NAMES = tuple(dict.fromkeys(name for _, _, name in BLOCKS))
_starts = np.array([first for first, _, _ in BLOCKS], np.uint32)
_ends = np.array([last for _, last, _ in BLOCKS], np.uint32)
_numbers = np.array([NAMES.index(name) for _, _, name in BLOCKS], np.int64)
LEAST_KANA = 0.05
"""Share of kana among a text's letters from which its Han is Japanese."""
MIXED_SHARE = 0.7
"""A text with less than this share in one script is mixed."""


def letters_by_script(text: str) -> NDArray[np.int64]:
    """How many letters of each script in NAMES a text has. Shape [scripts]."""
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    block = np.searchsorted(_starts, points, "right") - 1
    is_letter = (block >= 0) & (points <= _ends[block])
    return np.bincount(_numbers[block[is_letter]], minlength=len(NAMES))


def main_script(counts: NDArray[np.int64]) -> str:
    """The script that a text with these letters is written in, "mixed", or "none" without a letter."""
    counts = counts.copy()
    emoji, han, kana = (NAMES.index(name) for name in ("emoji", "Han", "Kana"))
    counts[emoji] = 0
    total = int(counts.sum())
    if not total:
        return "none"
    if counts[kana] >= LEAST_KANA * total:
        counts[kana] += counts[han]
        counts[han] = 0
    best = int(counts.argmax())
    if counts[best] < MIXED_SHARE * total:
        return "mixed"
    return {"Han": "Han (Chinese)", "Kana": "Han and kana (Japanese)", "Hangul": "Hangul (Korean)"}.get(
        NAMES[best], NAMES[best]
    )
