"""What becomes of rows: which are wrong or odd, what the policies do with those, which train, which are held out.

Check, preview and training all ask this, with what each knows of the rows, so that they say the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from core.data.kinds import (
    CONFLICT,
    LEAKED,
    LEFT_OUT,
    NEAR,
    POLICIES,
    REPEATED,
    UNROLLED,
    Action,
    Policy,
    action_on,
    policy_of,
)
from core.data.marks import PAIR, Marks
from core.data.split import held_out, places
from core.sections import DataSection

Numbers = NDArray[np.int64]
"""Numbers of rows, counted from 0, in order."""
MOST_ASKED = 100


@dataclass(eq=False)
class Judgement:
    """`found` has the rows of each kind, those aside that an earlier policy had left out already."""

    is_used: NDArray[np.bool_]
    is_held: NDArray[np.bool_]
    """Used rows that are not trained but evaluated on."""
    found: dict[str, Numbers] = field(default_factory=dict)
    partners: dict[str, Numbers] = field(default_factory=dict)
    """Of kinds that compare rows: the other row, for each one found."""
    actions: dict[str, Action] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    """Rows left out, by kind; a row counts once, under the first kind that left it out."""
    stop: tuple[str, int] | None = None
    """The first kind whose policy is to stop, and the first row of it."""
    asked: tuple[int, ...] = ()
    """The first hundred of the rows that are held out, in the order in which a run evaluates on them."""

    @property
    def num_trained(self) -> int:
        return int((self.is_used & ~self.is_held).sum())

    @property
    def num_held(self) -> int:
        return int((self.is_used & self.is_held).sum())


def judge(marks: Marks, known: Mapping[str, Numbers], data: DataSection, seed: int) -> Judgement:
    """Judge rows by their marks, and by what is `known` of them otherwise: rows of each kind that comparing cannot
    find."""
    court = _Court(marks, data)
    for kind in (LEFT_OUT, UNROLLED):
        court.decide(kind, known.get(kind))
    for policy in POLICIES:
        for kind in _kinds(policy, known):
            if kind == LEAKED:
                court.split(seed)
                court.decide(kind, *court.leaks())
            elif kind in (REPEATED, NEAR, CONFLICT):
                court.decide(kind, *court.alike(kind))
            else:
                court.decide(kind, known.get(kind))
    court.order(seed)
    return court.judgement


def _kinds(policy: Policy, known: Mapping[str, Numbers]) -> Iterator[str]:
    """The kinds that a policy is about, those included that only the rows name."""
    yield from policy.kinds
    yield from (kind for kind in known if kind not in policy.kinds and policy_of(kind) is policy)


class _Court:
    def __init__(self, marks: Marks, data: DataSection) -> None:
        self._marks, self._data = marks, data
        self.judgement = Judgement(np.ones(len(marks), np.bool_), np.zeros(len(marks), np.bool_))
        self._copy_of = np.arange(len(marks))
        if data.more and len(marks):  # a weight shows a row several times on purpose, one right after another
            is_copy = (np.diff(marks.contents) == 0) & (np.diff(marks.lines) == 0)
            self._copy_of = np.cumsum(np.concatenate([[True], ~is_copy]))

    def decide(self, kind: str, numbers: Numbers | None, partners: Numbers | None = None) -> None:
        """Do with these rows what the policy on their kind says."""
        if numbers is None or not len(numbers):
            return
        now = self.judgement
        left = now.is_used[numbers]
        numbers, partners = numbers[left], partners[left] if partners is not None else None
        if not len(numbers):
            return
        policy, action = policy_of(kind), action_on(kind, self._data)
        now.found[kind], now.actions[kind] = numbers, action
        if partners is not None:
            now.partners[kind] = partners
        if action == "stop" and now.stop is None:
            now.stop = kind, int(numbers[0])
        if action == "skip" or (policy is not None and not policy.is_usable):
            now.is_used[numbers] = False
            now.skipped[kind] = len(numbers)

    def alike(self, kind: str) -> tuple[Numbers, Numbers]:
        """Used rows that repeat an earlier one, nearly do, or answer its prompt otherwise; and those earlier."""
        marks, used = self._marks, np.flatnonzero(self.judgement.is_used)
        contents, prompts, answers, verdicts = (
            numbers[used] for numbers in (marks.contents, marks.prompts, marks.answers, marks.verdicts)
        )
        if kind == REPEATED:
            first = _first(contents)
            is_found = first != np.arange(len(used))
        elif kind == NEAR:
            first = _first(_joined(prompts, answers, verdicts))
            is_found = (first != np.arange(len(used))) & (_first(contents) == np.arange(len(used)))
        else:
            # Of answers with a verdict, only opposite verdicts on the same one contradict each other.
            is_judged = verdicts > 0
            first = _first(np.where(is_judged, _joined(prompts, answers), prompts))
            is_found = np.where(is_judged, verdicts != verdicts[first], answers != answers[first])
            is_found &= (prompts >= 0) & (verdicts != PAIR)
        earlier = used[first]
        is_found &= self._copy_of[earlier] != self._copy_of[used]
        return used[is_found], earlier[is_found]

    def split(self, seed: int) -> None:
        """Hold out the share, or what a column or a file says."""
        now, marks = self.judgement, self._marks
        used = np.flatnonzero(now.is_used)
        where = places(marks.keys[used], seed)
        strata = marks.strata[used] if self._data.stratify_by else None
        now.is_held[used] = held_out(where, self._data.holdout, strata)

    def order(self, seed: int) -> None:
        """Say which of the rows held out come first: by their own content, whatever put them there."""
        now = self.judgement
        held = np.flatnonzero(now.is_used & now.is_held)
        first = np.argsort(places(self._marks.contents[held], seed), kind="stable")[:MOST_ASKED]
        now.asked = tuple(held[first].tolist())

    def leaks(self) -> tuple[Numbers, Numbers]:
        """Held-out rows whose prompt is trained too, and for each the first such row."""
        now, prompts = self.judgement, self._marks.prompts
        held = np.flatnonzero(now.is_used & now.is_held & (prompts >= 0))
        trained = np.flatnonzero(now.is_used & ~now.is_held & (prompts >= 0))
        values, first = np.unique(prompts[trained], return_index=True)
        if not len(values) or not len(held):
            return held[:0], held[:0]
        at = np.minimum(np.searchsorted(values, prompts[held]), len(values) - 1)
        is_found = values[at] == prompts[held]
        return held[is_found], trained[first[at]][is_found]


def _first(values: Numbers) -> Numbers:
    """For each row the place of the first row with the same value."""
    _, first, group = np.unique(values, return_index=True, return_inverse=True)
    return first[group]


def _joined(*columns: Numbers) -> Numbers:
    """One number for each row, equal where all columns are."""
    found = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        found = (found ^ column.astype(np.uint64)) * np.uint64(0xBF58476D1CE4E5B9)
        found ^= found >> np.uint64(32)
    return found.view(np.int64)
