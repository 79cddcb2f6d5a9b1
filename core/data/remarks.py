"""What is odd about rows that can be used all the same: repeats, contradictions, leaks, strange characters."""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections import Counter
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from core.data.row import Row

RemarkKind = Literal[
    "repeats another row", "nearly repeats another row", "same prompt, other answer", "trained and held out",
    "control character", "wrong encoding",
]  # fmt: skip
LISTED = 100
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
MISREAD = re.compile("\ufffd|â€[™œ\x9d“”]|Ã[©¨¤¶¼Ÿ±]")
"""A character that was lost, or one of UTF-8 that was read as Western European."""
CHARACTERS: tuple[tuple[RemarkKind, re.Pattern[str]], ...] = (
    ("control character", CONTROL),
    ("wrong encoding", MISREAD),
)


class Remark(BaseModel):
    """One row that is used, and what a person should know of it."""

    model_config = ConfigDict(frozen=True)

    row: int = -1
    """Its number, counted from 0."""
    line: int
    kind: RemarkKind
    reason: str


class Remarks:
    """`add` every row, then ask for `counts` and `listed`. Keeps fifty bytes of a row."""

    def __init__(self, holdout: float, listed: int = LISTED) -> None:
        """`listed` is how many of each kind are named."""
        self._holdout, self._listed = holdout, listed
        self._numbers = array("q")
        self._lines, self._exact, self._near = array("q"), array("q"), array("q")
        self._prompts, self._answers, self._places = array("q"), array("q"), array("d")
        self._odd: list[Remark] = []
        self._num_odd: Counter[RemarkKind] = Counter()

    def add(self, row: Row, place: float, number: int) -> None:
        """A row, its place in the split, and its number among all rows, counted from 0."""
        texts = [message.content for message in row.messages]
        others = [message.content for message in (*row.chosen, *row.rejected)]
        has_answer = bool(texts) and not others
        prompt = [plain(text) for text in (texts[:-1] if has_answer else texts)]
        answer = plain(texts[-1]) if has_answer else ""
        rest = [plain(text) for text in (row.text, *others)]
        self._numbers.append(number)
        self._lines.append(row.line)
        self._exact.append(hash((row.messages, row.text, row.chosen, row.rejected)))
        self._near.append(hash((tuple(prompt), answer, tuple(rest))))
        self._prompts.append(hash(tuple(prompt)) if has_answer else -len(self._lines))
        self._answers.append(hash(answer))
        self._places.append(place)
        self._look_at_characters(number, row.line, [row.text, *texts, *others])

    def found(self) -> tuple[dict[RemarkKind, int], list[Remark]]:
        """How many rows there are of each kind, and the first hundred of each with their lines."""
        listed = list(self._odd)
        counts = dict(self._num_odd)
        exact, near, prompts, answers = (
            np.frombuffer(numbers, np.int64) for numbers in (self._exact, self._near, self._prompts, self._answers)
        )
        lines = np.frombuffer(self._lines, np.int64)
        first_exact, first_near, first_prompt = _first(exact), _first(near), _first(prompts)
        order = np.arange(len(lines))
        is_repeat = first_exact != order
        is_near = (first_near != order) & ~is_repeat
        leaks, partners = self._leaking(prompts)
        found: list[tuple[RemarkKind, NDArray[np.bool_], NDArray[np.int64], str]] = [
            ("repeats another row", is_repeat, first_exact, "is the same as line {}"),
            ("nearly repeats another row", is_near, first_near, "differs from line {} only in case or spaces"),
            ("same prompt, other answer", answers != answers[first_prompt], first_prompt,
             "asks the same as line {} and is answered otherwise"),
            ("trained and held out", leaks, partners, "is held out, and line {} with the same prompt is trained"),
        ]  # fmt: skip
        for kind, wanted, others, words in found:
            numbers = np.flatnonzero(wanted)
            if len(numbers):
                counts[kind] = len(numbers)
            for number in numbers[: self._listed]:
                reason = words.format(f"{lines[others[number]]:,}")
                listed.append(Remark(row=self._numbers[number], line=int(lines[number]), kind=kind, reason=reason))
        return counts, sorted(listed, key=lambda remark: remark.line)

    def _leaking(self, prompts: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Held-out rows whose prompt is trained too, and for each the first such row."""
        held = np.frombuffer(self._places, np.float64) < self._holdout
        partners = np.zeros(len(prompts), np.int64)
        trained = np.flatnonzero(~held)
        values, first = np.unique(prompts[trained], return_index=True)
        if not len(values):
            return np.zeros(len(prompts), np.bool_), partners
        at = np.minimum(np.searchsorted(values, prompts), len(values) - 1)
        partners = trained[first[at]]
        return held & (values[at] == prompts), partners

    def _look_at_characters(self, row: int, line: int, texts: list[str]) -> None:
        for kind, pattern in CHARACTERS:
            match = next((found for text in texts if (found := pattern.search(text))), None)
            if match is None:
                continue
            self._num_odd[kind] += 1
            if self._num_odd[kind] <= self._listed:
                shown = f"U+{ord(match[0]):04X}" if len(match[0]) == 1 else f"“{match[0]}”"
                tail = ", a sign of text read in a wrong encoding" if kind == "wrong encoding" else ""
                self._odd.append(Remark(row=row, line=line, kind=kind, reason=f"holds {shown}{tail}"))


def plain(text: str) -> str:
    """Text without what two writers of the same might differ in: case, width of letters, spaces."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return " ".join(text.casefold().split())


def _first(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each row the number of the first row with the same value."""
    _, first, group = np.unique(values, return_index=True, return_inverse=True)
    return first[group]
