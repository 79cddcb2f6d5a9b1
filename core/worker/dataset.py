"""The rows of a run: split into trained and held-out, with what was left out and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.config import DataSection
from core.data.judgement import Judgement
from core.data.kinds import CONTROL, NO_END, NO_SYSTEM, NO_TOOLS, UNROLLED, Action, policy_of
from core.data.listing import Listing
from core.data.marks import without_controls
from core.data.row import Problem, Row
from core.data.run_rows import RunRows
from core.data.split import places
from core.errors import HoneError
from core.worker.examples import Examples
from core.worker.judging import judge_tokens, long_in_words, running_sum
from core.worker.template import ChatTemplate, Refused
from core.worker.tokens import Tokens

MAX_PROMPTS = 16  # as many as evaluation.samples can ask for


@dataclass(frozen=True)
class Prompt:
    """A prompt to answer while training: what a person reads, and the text that the model continues."""

    shown: str
    text: str


@dataclass(frozen=True)
class Account:
    """What became of every row that was read."""

    num_read: int
    skipped: dict[str, int]
    """Rows left out, by reason, most frequent first."""
    num_cut: int
    num_lost_tokens: int
    """Beyond the length limit, in rows that were cut."""
    num_lost_trained: int
    found: dict[str, int] = field(default_factory=dict)
    """Rows of each kind that was found, whatever became of them; a row may be of several."""
    actions: dict[str, Action] = field(default_factory=dict)
    """What became of the rows of each kind."""
    learns_to_stop: bool = True

    @property
    def num_skipped(self) -> int:
        return sum(self.skipped.values())

    def in_words(self) -> list[str]:
        """What a person should know of it, in sentences."""
        found = []
        if self.skipped:
            found.append(f"{self.num_skipped:,} of {self.num_read:,} rows were skipped: {reasons(self.skipped)}.")
        if self.num_cut:
            found.append(
                f"{self.num_cut:,} rows were longer than data.max_length and were cut: {self.num_lost_tokens:,} "
                f"tokens were lost, {self.num_lost_trained:,} of them would have been trained."
            )
        kept = {kind: count for kind, count in self.found.items() if self.actions[kind] == "keep"}
        if count := kept.pop(UNROLLED, 0):
            found.append(
                f"{count:,} rows became one example per answer, since the chat template rewrites earlier answers."
            )
        if count := kept.pop(NO_SYSTEM, 0):
            found.append(f"The chat template leaves out the system message of {count:,} rows.")
        if count := kept.pop(NO_TOOLS, 0):
            found.append(f"The chat template leaves out the tools of {count:,} rows.")
        count = kept.pop(NO_END, 0)
        if not self.learns_to_stop:
            found.append("No answer ends with an end token, so the model will not learn to stop.")
        elif count:
            found.append(f"{count:,} rows have an answer that does not end with an end-of-turn token.")
        if kept:
            found.append(f"Rows were found and used all the same: {reasons(kept, len(kept))}.")
        if count := self.found.get(CONTROL, 0) * (self.actions.get(CONTROL) == "cut"):
            found.append(f"Control characters were taken out of {count:,} rows.")
        return found


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
    account: Account
    warnings: list[str]

    @property
    def num_skipped_rows(self) -> int:
        return self.account.num_skipped

    def in_figures(self) -> dict[str, Any]:
        """Which rows are used and what became of the others, for the record of the run."""
        account = self.account
        return {
            "read": account.num_read,
            "trained": self.num_rows,
            "evaluated": self.num_eval_rows,
            "found": {kind: {"rows": n, "action": account.actions[kind]} for kind, n in account.found.items()},
            "skipped": account.skipped,
            "cut": account.num_cut,
            "lost_tokens": account.num_lost_tokens,
            "lost_trained_tokens": account.num_lost_trained,
        }


def make_dataset(
    made: Tokens,
    rows: RunRows,
    template: ChatTemplate,
    data: DataSection,
    *,
    seed: int,
    in_pieces: bool = False,
) -> Dataset:
    """Cut, split and judge rows that are in tokens already, as the settings of the data say.

    A row is held out by the hash of its content, unless a column or a file says so: it stays on its side when rows
    are added, and equal rows share a side. With two rows or more and a holdout above zero, each side has at least
    one. Raises HoneError (path "data.source") when no row is usable, and where a policy says to stop.
    """
    judgement = judge_tokens(made, data, seed, in_pieces=in_pieces)
    if judgement.stop is not None:
        policy = policy_of(judgement.stop[0])
        listing = Listing(rows, made.marks, judgement, long_in_words(made, data))
        raise HoneError(listing.stop_in_words(), path=policy.path if policy else "data.source")
    is_used, is_held = judgement.is_used, judgement.is_held
    if not is_used.any():
        raise HoneError(_nothing_usable(judgement.skipped, made.num_rows), path="data.source")
    if not (is_used & ~is_held).any():
        raise HoneError(
            "No row is left to train on: all are held out; mend data.split_column.", path="data.source"
        )

    trained, limit = made.mask(), data.max_length
    sums = running_sum(trained)
    picked, begins, ends = _pieces(made, is_used, sums, limit, in_pieces)
    owners = made.rows[picked]
    order_of = places(made.marks.contents, seed)
    in_hash_order = np.argsort(order_of[owners], kind="stable")
    held_rows = np.flatnonzero(is_used & is_held)
    shown = held_rows if len(held_rows) else np.flatnonzero(is_used)
    account = _account(made, judgement, sums, limit, in_pieces)
    return Dataset(
        examples=_examples(made, trained, begins, ends),
        train=np.flatnonzero(~is_held[owners]),
        held_out=in_hash_order[is_held[owners][in_hash_order]],
        prompts=_prompts(rows, shown, template, data.on_control == "cut"),
        num_rows=judgement.num_trained,
        num_eval_rows=len(held_rows),
        account=account,
        warnings=[*account.in_words(), *_split_in_words(data, judgement)],
    )


def _account(made: Tokens, judgement: Judgement, sums: NDArray[np.int64], limit: int, in_pieces: bool) -> Account:
    is_cut = judgement.is_used[made.rows] & (made.lengths > limit) & (not in_pieces)
    starts, ends = made.starts[:-1][is_cut], made.starts[1:][is_cut]
    return Account(
        num_read=made.num_rows,
        skipped=dict(Counter(judgement.skipped).most_common()),
        num_cut=len(np.unique(made.rows[is_cut])),
        num_lost_tokens=int((ends - starts - limit).sum()),
        num_lost_trained=int((sums[ends] - sums[starts + limit]).sum()),
        found={kind: len(numbers) for kind, numbers in judgement.found.items()},
        actions=judgement.actions,
        learns_to_stop=bool((~made.has_remark(NO_END) & judgement.is_used).any()),
    )


def reasons(skipped: dict[str, int], most: int = 5) -> str:
    """Why rows were left out, with counts, for a sentence."""
    listed = +Counter(skipped)
    named = [f"{reason} ({count:,})" for reason, count in listed.most_common(most)]
    rest = listed.total() - sum(count for _, count in listed.most_common(most))
    return ", ".join([*named, f"other reasons ({rest:,})"] if rest else named)


def _pieces(
    made: Tokens, is_used: NDArray[np.bool_], sums: NDArray[np.int64], limit: int, in_pieces: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Sequence, beginning and end of each example: sequences cut at the limit, or split into pieces that begin
    with the last token of the one before, so that every trained token is trained exactly once. Pieces with nothing
    to learn are left out."""
    picked = np.flatnonzero(is_used[made.rows])
    begins, ends = made.starts[:-1][picked], made.starts[1:][picked]
    if in_pieces:
        counts = np.maximum(1, -(-(ends - begins - 1) // (limit - 1)))
        number = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        picked, stops = np.repeat(picked, counts), np.repeat(ends, counts)
        begins = np.repeat(begins, counts) + number * (limit - 1)
        ends = np.minimum(begins + limit, stops)
    else:
        ends = np.minimum(ends, begins + limit)
    learns = sums[ends] - sums[np.minimum(begins + 1, ends)] > 0
    return picked[learns], begins[learns], ends[learns]


def _examples(
    made: Tokens, trained: NDArray[np.bool_], begins: NDArray[np.int64], ends: NDArray[np.int64]
) -> Examples:
    starts = np.concatenate([[0], np.cumsum(ends - begins)]).astype(np.int64)
    if np.array_equal(starts, made.starts):
        return Examples(made.tokens, trained, made.starts)
    ranges = list(zip(begins.tolist(), ends.tolist(), strict=True))
    mask = np.concatenate([trained[begin:end] for begin, end in ranges])
    mask[starts[:-1]] = False  # what a piece begins with was trained in the one before
    return Examples(np.concatenate([made.tokens[begin:end] for begin, end in ranges]), mask, starts)


def _prompts(
    rows: RunRows, numbers: NDArray[np.int64], template: ChatTemplate, cuts_controls: bool
) -> list[Prompt]:
    """The first prompts of the rows with these numbers."""
    found: list[Prompt] = []
    for number in numbers[: 4 * MAX_PROMPTS]:
        row = rows[int(number)]
        if isinstance(row, Problem) or len(found) >= MAX_PROMPTS:
            continue
        if prompt := _prompt(without_controls(row) if cuts_controls else row, template):
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


def _split_in_words(data: DataSection, judgement: Judgement) -> list[str]:
    if data.split_column and not data.holdout_source and not judgement.num_held:
        return [f"No row is held out: no value of {data.split_column} is a word such as test or validation."]
    return []


def _nothing_usable(skipped: dict[str, int], num_rows: int) -> str:
    why = f": {reasons(skipped)}" if skipped else ""
    return f"None of the {num_rows:,} rows can be trained on{why}; `hone data check` lists each with its line."
