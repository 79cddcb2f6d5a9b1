"""Several sources as one: each SOURCE or WEIGHT*SOURCE, where the weight is how often its rows are seen.

What of a weight is no whole number falls on some of the rows, chosen by their content and the seed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.data.source import is_own, wrong
from core.errors import HoneError

MOST_WEIGHT = 1000.0
WEIGHTED = re.compile(r"\s*([-+]?[0-9]*\.?[0-9]+)\s*\*\s*(.*)", re.DOTALL)


@dataclass(frozen=True)
class Weighted:
    """A source and how often its rows are seen."""

    source: str
    weight: float = 1.0


def parse_sources(source: str, more: Sequence[str] = ()) -> tuple[Weighted, ...]:
    """The sources of `data.source` and `data.more`. Raises HoneError(path="data.more") for a wrong weight."""
    return (Weighted(source), *(_parsed(text) for text in more))


def anchored(text: str, folder: Path) -> str:
    """An entry of `data.more` with a source that exists below the folder made absolute."""
    try:
        given = _parsed(text)
        place = folder / Path(given.source).expanduser()
        if given.source and place.exists():
            return str(place.resolve()) if given.weight == 1 else f"{given.weight:g}*{place.resolve()}"
    except (HoneError, OSError, ValueError):  # who opens it says what is wrong
        pass
    return text


def names(sources: Sequence[Weighted]) -> list[str]:
    """What each source is called where rows of several are told apart; empty for one alone. One that is there
    again has its number behind it."""
    if len(sources) == 1:
        return [""]
    paths = [given.source.strip() for given in sources]
    short = {path: path if is_own(path) else Path(path).name for path in paths}
    called = [short[path] if list(short.values()).count(short[path]) == 1 else path for path in paths]
    again = [called[:place].count(name) + 1 for place, name in enumerate(called)]
    return [f"{name} ({number})" if number > 1 else name for name, number in zip(called, again, strict=True)]


def order(weight: float, num_rows: int, shares: NDArray[np.float64] | None) -> NDArray[np.int64]:
    """Numbers of the rows as they are seen: each as often as the weight says. `shares` has a number in [0, 1) for
    each row, and is needed where the weight is not whole. Shape [times], int64."""
    times = np.full(num_rows, int(weight), np.int64)
    if shares is not None:
        times += shares < weight - int(weight)
    return np.repeat(np.arange(num_rows, dtype=np.int64), times)


def _parsed(text: str) -> Weighted:
    if not (found := WEIGHTED.fullmatch(text)):
        return Weighted(text.strip())
    weight = float(found[1])
    if not 0 < weight <= MOST_WEIGHT:
        raise wrong(f"{text[:80]!r} has a weight of {weight:g}; it must be above 0 and at most {MOST_WEIGHT:g}.",
                    path="data.more")  # fmt: skip
    if not found[2].strip():
        raise wrong(f"{text[:80]!r} names no data after its weight.", path="data.more")
    return Weighted(found[2].strip(), weight)
