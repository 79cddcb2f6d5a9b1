"""The rows of a run: tokenised once, split into trained and held-out, with what was left out and why."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.data.row import Problem, Row
from core.errors import HoneError
from core.worker.examples import Encoder, Examples
from core.worker.template import ChatTemplate, Refused

CHUNK_ROWS = 256
REPORT_SECONDS = 0.2
MAX_PROMPTS = 16  # as many as evaluation.samples can ask for


@dataclass(frozen=True)
class Prompt:
    """A prompt to answer while training: what a person reads, and the text that the model continues."""

    shown: str
    text: str


@dataclass(frozen=True)
class Dataset:
    """All usable rows, split into trained and held-out examples: `train` and `held_out` index `examples`.

    Held-out examples stand in the order of their hashes, so that the first few are a fair choice of them.
    """

    examples: Examples
    train: NDArray[np.int64]
    held_out: NDArray[np.int64]
    prompts: list[Prompt]
    num_rows: int
    """Rows trained on; a long text is one row and several examples."""
    num_eval_rows: int
    num_skipped_rows: int
    warnings: list[str]


def read_dataset(
    rows: Sequence[Row | Problem],
    encoder: Encoder,
    template: ChatTemplate,
    *,
    holdout: float,
    seed: int,
    report: Callable[[int], None] = lambda done: None,
) -> Dataset:
    """Tokenise all rows and split them. Raises HoneError (path "data.source") when none is usable.

    A row is held out by the hash of its content: it stays on its side when rows are added, and equal rows
    share a side. With two rows or more and a holdout above zero, each side has at least one.
    """
    found: list[tuple[NDArray[np.int32], NDArray[np.bool_]]] = []
    owners: list[int] = []
    places: list[float] = []
    used: list[int] = []
    last_report = 0.0
    for first in range(0, len(rows), CHUNK_ROWS):
        chunk = rows[first : first + CHUNK_ROWS]
        for number, (row, examples) in enumerate(zip(chunk, encoder.encode(chunk), strict=True), first):
            if examples and isinstance(row, Row):
                owners += [len(places)] * len(examples)
                found += [(np.asarray(t, dtype=np.int32), np.asarray(on, dtype=np.bool_)) for t, on in examples]
                places.append(_place(row, seed))
                used.append(number)
        if time.monotonic() - last_report > REPORT_SECONDS:
            report(first + len(chunk))
            last_report = time.monotonic()
    report(len(rows))
    if not found:
        raise HoneError(_nothing_usable(encoder.skipped, len(rows)), path="data.source")
    row_places = np.asarray(places)
    held_rows = split(row_places, holdout)
    is_held = held_rows[np.asarray(owners)]
    in_hash_order = np.argsort(row_places[np.asarray(owners)], kind="stable")
    return Dataset(
        examples=Examples.join(found),
        train=np.flatnonzero(~is_held),
        held_out=in_hash_order[is_held[in_hash_order]],
        prompts=_prompts(rows, np.asarray(used)[held_rows if held_rows.any() else ~held_rows], template),
        num_rows=int((~held_rows).sum()),
        num_eval_rows=int(held_rows.sum()),
        num_skipped_rows=encoder.skipped.total(),
        warnings=_warnings(encoder, len(rows)),
    )


def split(places: NDArray[np.float64], holdout: float) -> NDArray[np.bool_]:
    """Which rows are held out: those whose place in [0, 1) lies below the share; never all, and not none."""
    held = places < holdout
    if holdout > 0 and len(places) > 1 and not held.any():
        held[np.argmin(places)] = True
    if held.all():
        held[np.argmax(places)] = False
    return held


def _place(row: Row, seed: int) -> float:
    """A number in [0, 1) from a row's content and the seed."""
    content = [[message.role, message.content] for message in row.messages] or row.text
    digest = hashlib.sha256(json.dumps([seed, content]).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _prompts(rows: Sequence[Row | Problem], numbers: NDArray[np.int64], template: ChatTemplate) -> list[Prompt]:
    """The first prompts of the rows with these numbers."""
    found: list[Prompt] = []
    for number in numbers[: 4 * MAX_PROMPTS]:
        row = rows[int(number)]
        if len(found) < MAX_PROMPTS and isinstance(row, Row) and (prompt := _prompt(row, template)):
            found.append(prompt)
    return found


def _prompt(row: Row, template: ChatTemplate) -> Prompt | None:
    if not row.messages:
        words = row.text.split()
        start = " ".join(words[: min(12, len(words) // 2)])
        return Prompt(start, start) if start else None
    last_answer = max((i for i, message in enumerate(row.messages) if message.role == "assistant"), default=0)
    before = row.messages[:last_answer]
    try:
        return Prompt(before[-1].content, template.prompt(before, row.tools)) if before else None
    except Refused:
        return None


def _warnings(encoder: Encoder, num_rows: int) -> list[str]:
    found = []
    if skipped := encoder.skipped.total():
        found.append(f"{skipped:,} of {num_rows:,} rows were skipped: {_reasons(encoder.skipped)}.")
    if encoder.num_cut:
        found.append(f"{encoder.num_cut:,} rows were longer than data.max_length and were cut.")
    if encoder.num_unrolled:
        found.append(
            f"{encoder.num_unrolled:,} rows became one example per answer, since the chat template rewrites "
            "earlier answers."
        )
    if not encoder.learns_to_stop:
        found.append("No answer ends with an end token, so the model will not learn to stop.")
    return found


def _reasons(skipped: Counter[str], most: int = 5) -> str:
    named = [f"{reason} ({count:,})" for reason, count in skipped.most_common(most)]
    rest = skipped.total() - sum(count for _, count in skipped.most_common(most))
    return ", ".join([*named, f"other reasons ({rest:,})"] if rest else named)


def _nothing_usable(skipped: Counter[str], num_rows: int) -> str:
    why = f": {_reasons(skipped)}" if skipped else ""
    return f"None of the {num_rows:,} rows can be trained on{why}; `hone data check` lists each with its line."
