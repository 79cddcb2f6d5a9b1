"""Tokens of data too large to keep them: where sequences and trained ranges begin and end, and no token's number.

Judgements, lengths and lists of rows need no more. A row takes about a hundred bytes, however long it is.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from core.data.marks import MARKS, Marks
from core.data.row import Problem, Row
from core.worker.examples import Encoder
from core.worker.tokens import Tokens, tokenising

SLAB_ROWS = 8192
"""Whose tokens are in memory at the same time."""


def outlining(rows: Sequence[Row | Problem], encoder: Encoder) -> Generator[int, None, Tokens]:
    """Every row in tokens whose numbers are forgotten at once: `tokens` is empty, all else as in `tokenising`."""
    slabs: list[Tokens] = []
    for first in range(0, max(1, len(rows)), SLAB_ROWS):
        work = tokenising(rows[first : first + SLAB_ROWS], encoder)
        while True:
            try:
                yield first + next(work)
            except StopIteration as done:
                slabs.append(replace(done.value, tokens=np.zeros(0, np.int32)))
                break
    return _joined(slabs)


def _joined(slabs: Sequence[Tokens]) -> Tokens:
    """The slabs one after another."""
    reasons = tuple(dict.fromkeys(name for slab in slabs for name in slab.reasons))
    names = tuple(dict.fromkeys(name for slab in slabs for name in slab.remark_names))
    first_rows = np.cumsum([0, *(slab.num_rows for slab in slabs)])
    join = np.concatenate
    return Tokens(
        tokens=np.zeros(0, np.int32),
        starts=_running([slab.starts for slab in slabs]),
        spans=join([slab.spans for slab in slabs]),
        span_starts=_running([slab.span_starts for slab in slabs]),
        rows=join([slab.rows + first for slab, first in zip(slabs, first_rows, strict=False)]),
        marks=Marks(**{name: join([getattr(slab.marks, name) for slab in slabs]) for name in MARKS}),
        refusals=join([_renumbered(slab, reasons) for slab in slabs]),
        remarks=join([_rebitted(slab, names) for slab in slabs]),
        reasons=reasons,
        remark_names=names,
    )


def _running(starts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Where each thing begins when those of all slabs stand end to end, and where the last one ends."""
    return np.concatenate([[0], np.cumsum(np.concatenate([np.diff(one) for one in starts]))]).astype(np.int64)


def _renumbered(slab: Tokens, reasons: tuple[str, ...]) -> NDArray[np.int64]:
    places = np.array([*(reasons.index(reason) for reason in slab.reasons), -1], np.int64)
    return places[slab.refusals]  # -1, for rows that are not refused, is the last


def _rebitted(slab: Tokens, names: tuple[str, ...]) -> NDArray[np.int64]:
    found = np.zeros(slab.num_rows, np.int64)
    for name in slab.remark_names:
        found |= slab.has_remark(name).astype(np.int64) << names.index(name)
    return found
