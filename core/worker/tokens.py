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

from core.data.remarks import plain
from core.data.row import Problem, Row
from core.data.split import HELD, digest, key
from core.worker.examples import Encoder, Outcome, Text

CHUNK_ROWS = 256
PLAIN = ["", None]
"""What stands beside the content of most rows: no tools and no verdict."""
REPORT_SECONDS = 0.2
ROW_NUMBERS = ("lines", "keys", "contents", "prompts", "strata", "refusals", "remarks")


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
    lines: NDArray[np.int64]
    """For each row the line it begins on."""
    keys: NDArray[np.int64]
    """What its side of the split hangs on; see core.data.split."""
    contents: NDArray[np.int64]
    """Equal for rows that are the same."""
    prompts: NDArray[np.int64]
    """Equal for rows that ask the same, but for case and spaces; below 0 for rows without a prompt."""
    strata: NDArray[np.int64]
    refusals: NDArray[np.int64]
    """The number of the reason for which a row is refused; -1 when it is not."""
    remarks: NDArray[np.int64]
    """Bit n is set when a row has remark n."""
    reasons: tuple[str, ...] = ()
    remark_names: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    """For each reason what is said of its first row."""

    @property
    def num_rows(self) -> int:
        return len(self.lines)

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.diff(self.starts)

    def has_remark(self, name: str) -> NDArray[np.bool_]:
        """Which rows have a remark."""
        if name not in self.remark_names:
            return np.zeros(self.num_rows, np.bool_)
        return (self.remarks >> self.remark_names.index(name)) & 1 == 1

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
            lines=join([self.lines, more.lines]),
            keys=join([np.where(self.keys == HELD, HELD, -2), np.full(more.num_rows, HELD)]),
            contents=join([self.contents, more.contents]),
            prompts=join([self.prompts, more.prompts]),
            strata=join([self.strata, more.strata]),
            refusals=join([self.refusals, refusals]),
            remarks=join([self.remarks, remarks]),
            reasons=reasons,
            remark_names=names,
            details=tuple(
                (*self.details, *more.details)[(*self.reasons, *more.reasons).index(one)] for one in reasons
            ),
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
    numbers: dict[str, array[int]] = field(default_factory=lambda: {name: array("q") for name in ROW_NUMBERS})
    reasons: dict[str, int] = field(default_factory=dict)
    remark_names: dict[str, int] = field(default_factory=dict)
    details: list[str] = field(default_factory=list)

    @property
    def num_rows(self) -> int:
        return len(self.numbers["lines"])

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
            self._add_row(row, outcome)

    def _add_row(self, row: Row | Problem, outcome: Outcome) -> None:
        refusal = -1
        if outcome.refused:
            if outcome.refused not in self.reasons:
                reason = row.reason if isinstance(row, Problem) else outcome.refused
                self.details.append(f"line {row.line:,}: {reason}")
            refusal = self.reasons.setdefault(outcome.refused, len(self.reasons))
        remarks = 0
        for name in outcome.remarks:
            remarks |= 1 << self.remark_names.setdefault(name, len(self.remark_names))
        content, prompt, own, stratum = (0, -1, 0, 0)
        if isinstance(row, Row):
            own = key(row)
            more = [[one.role, one.content] for one in (*row.chosen, *row.rejected)]
            beside = [*more, *(one.more for one in row.messages if one.more), row.tools, row.label]
            content = (
                own
                if not row.group and own >= 0 and beside == PLAIN
                else digest([[[one.role, one.content] for one in row.messages], row.text, beside])
            )
            asked = row.messages if row.chosen else row.messages[:-1]
            prompt = digest([plain(message.content) for message in asked]) if asked else -1
            stratum = digest(row.stratum) if row.stratum else 0
        values = (row.line, own, content, prompt, stratum, refusal, remarks)
        for name, value in zip(ROW_NUMBERS, values, strict=True):
            self.numbers[name].append(value)

    def tokens(self) -> Tokens:
        return Tokens(
            tokens=np.frombuffer(self.tokens_, np.int32) if self.tokens_ else np.zeros(0, np.int32),
            starts=np.concatenate([[0], np.cumsum(np.array(self.lengths, np.int64))]).astype(np.int64),
            spans=np.array(self.spans, np.int32).reshape(-1, 2),
            span_starts=np.concatenate([[0], np.cumsum(np.array(self.num_spans, np.int64))]).astype(np.int64),
            rows=np.array(self.owners, np.int64),
            **{name: np.array(values, np.int64) for name, values in self.numbers.items()},
            reasons=tuple(self.reasons),
            remark_names=tuple(self.remark_names),
            details=tuple(self.details),
        )
