"""All rows of a dataset in tokens, whole: made once, whatever length limit, split and policies come after."""

from __future__ import annotations

import time
from array import array
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding

from core.data.marks import GrowingMarks, Marks, oddities
from core.data.row import Problem, Row
from core.worker.examples import Encoder, Outcome, Text

CHUNK_ROWS = 256
REPORT_SECONDS = 0.2


@dataclass(frozen=True)
class Tokens:
    """Sequence i is tokens[starts[i]:starts[i + 1]], of row rows[i]; its trained ranges are the pairs
    spans[span_starts[i]:span_starts[i + 1]], counted from its first token."""

    tokens: NDArray[np.int32]
    starts: NDArray[np.int64]
    spans: NDArray[np.int32]
    """Shape [ranges, 2]."""
    span_starts: NDArray[np.int64]
    rows: NDArray[np.int64]
    marks: Marks
    refusals: NDArray[np.int64]
    """The number of the reason for which a row is refused; -1 when it is not."""
    remarks: NDArray[np.int64]
    """Bit n is set when a row has remark n."""
    reasons: tuple[str, ...] = ()
    remark_names: tuple[str, ...] = ()

    @property
    def num_rows(self) -> int:
        return len(self.marks)

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.diff(self.starts)

    def has_remark(self, name: str) -> NDArray[np.bool_]:
        """Which rows have a remark."""
        if name not in self.remark_names:
            return np.zeros(self.num_rows, np.bool_)
        return (self.remarks >> self.remark_names.index(name)) & 1 == 1

    def kinds(self) -> dict[str, NDArray[np.int64]]:
        """The rows, by number, that are refused for each reason or have each remark."""
        refused = {name: np.flatnonzero(self.refusals == place) for place, name in enumerate(self.reasons)}
        return refused | {name: np.flatnonzero(self.has_remark(name)) for name in self.remark_names}

    def mask(self) -> NDArray[np.bool_]:
        """For each token whether it is trained."""
        edges = np.zeros(len(self.tokens) + 1, np.int8)
        offsets = np.repeat(self.starts[:-1], np.diff(self.span_starts))
        np.add.at(edges, self.spans[:, 0] + offsets, 1)
        np.subtract.at(edges, self.spans[:, 1] + offsets, 1)
        return np.cumsum(edges[:-1], dtype=np.int8).astype(np.bool_)

    def and_held_out(self, more: Self) -> Self:
        """These rows, and more of them that are all held out."""
        reasons = tuple(dict.fromkeys((*self.reasons, *more.reasons)))
        names = tuple(dict.fromkeys((*self.remark_names, *more.remark_names)))
        moved = np.array([reasons.index(reason) for reason in more.reasons], np.int64)
        refusals = np.where(more.refusals < 0, -1, moved[more.refusals] if len(moved) else -1)
        remarks = np.zeros(more.num_rows, np.int64)
        for number, name in enumerate(names):
            remarks |= more.has_remark(name).astype(np.int64) << number
        join = np.concatenate
        return replace(
            self,
            tokens=join([self.tokens, more.tokens]),
            starts=join([self.starts, more.starts[1:] + self.starts[-1]]),
            spans=join([self.spans, more.spans]),
            span_starts=join([self.span_starts, more.span_starts[1:] + self.span_starts[-1]]),
            rows=join([self.rows, more.rows + self.num_rows]),
            marks=self.marks.and_held_out(more.marks),
            refusals=join([self.refusals, refusals]),
            remarks=join([self.remarks, remarks]),
            reasons=reasons,
            remark_names=names,
        )


def tokenise(
    rows: Sequence[Row | Problem], encoder: Encoder, report: Callable[[int], None] = lambda done: None
) -> Tokens:
    """Every row in tokens; `report` is told now and then how many are done."""
    work = tokenising(rows, encoder)
    while True:
        try:
            report(next(work))
        except StopIteration as done:
            return done.value


def tokenising(rows: Sequence[Row | Problem], encoder: Encoder) -> Generator[int, None, Tokens]:
    """Every row in tokens. While one chunk is tokenised, in Rust and on every core, the next one is rendered."""
    made, last_report = _Growing(), 0.0
    waiting: deque[tuple[Sequence[Row | Problem], list[list[Text] | str], Future[list[Encoding]]]] = deque()
    with ThreadPoolExecutor(1) as pool:
        for first in range(0, len(rows), CHUNK_ROWS):
            chunk = rows[first : first + CHUNK_ROWS]
            rendered = encoder.render(chunk)
            waiting.append((chunk, rendered, pool.submit(encoder.tokenize, rendered)))
            if len(waiting) > 2:
                made.add(encoder, *waiting.popleft())
            if time.monotonic() - last_report > REPORT_SECONDS:
                yield made.num_rows
                last_report = time.monotonic()
        while waiting:
            made.add(encoder, *waiting.popleft())
    yield len(rows)
    return made.tokens()


@dataclass
class _Growing:
    """Tokens while they are made."""

    tokens_: array[int] = field(default_factory=lambda: array("i"))
    spans: array[int] = field(default_factory=lambda: array("i"))
    lengths: array[int] = field(default_factory=lambda: array("q"))
    num_spans: array[int] = field(default_factory=lambda: array("q"))
    owners: array[int] = field(default_factory=lambda: array("q"))
    marks: GrowingMarks = field(default_factory=GrowingMarks)
    refusals: array[int] = field(default_factory=lambda: array("q"))
    remarks: array[int] = field(default_factory=lambda: array("q"))
    reasons: dict[str, int] = field(default_factory=dict)
    remark_names: dict[str, int] = field(default_factory=dict)

    @property
    def num_rows(self) -> int:
        return len(self.refusals)

    def add(
        self, encoder: Encoder, chunk: Sequence[Row | Problem], rendered: list[list[Text] | str],
        encodings: Future[list[Encoding]],
    ) -> None:  # fmt: skip
        for row, outcome in zip(chunk, encoder.mask(rendered, encodings.result()), strict=True):
            for sequence in outcome.sequences:
                self.tokens_.frombytes(sequence.tokens.tobytes())
                self.lengths.append(len(sequence.tokens))
                self.num_spans.append(len(sequence.spans))
                self.owners.append(self.num_rows)
                for span in sequence.spans:
                    self.spans.extend(span)
            self._add_row(row, outcome, encoder.is_personal_sought)

    def _add_row(self, row: Row | Problem, outcome: Outcome, is_personal_sought: bool) -> None:
        self.marks.add(row)
        remarks = list(outcome.remarks)
        if isinstance(row, Row):
            remarks += oddities(row, is_personal_sought)
        bits = 0
        for name in remarks:
            bits |= 1 << self.remark_names.setdefault(name, len(self.remark_names))
        self.remarks.append(bits)
        refused = outcome.refused
        self.refusals.append(self.reasons.setdefault(refused, len(self.reasons)) if refused else -1)

    def tokens(self) -> Tokens:
        return Tokens(
            tokens=np.frombuffer(self.tokens_, np.int32) if self.tokens_ else np.zeros(0, np.int32),
            starts=np.concatenate([[0], np.cumsum(np.array(self.lengths, np.int64))]).astype(np.int64),
            spans=np.array(self.spans, np.int32).reshape(-1, 2),
            span_starts=np.concatenate([[0], np.cumsum(np.array(self.num_spans, np.int64))]).astype(np.int64),
            rows=np.array(self.owners, np.int64),
            marks=self.marks.marks(),
            refusals=np.array(self.refusals, np.int64),
            remarks=np.array(self.remarks, np.int64),
            reasons=tuple(self.reasons),
            remark_names=tuple(self.remark_names),
        )
