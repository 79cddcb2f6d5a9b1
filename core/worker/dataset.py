"""The rows of a run: split into trained and held-out, with what was left out and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from core.config import DataSection
from core.data.row import Problem, Row
from core.data.split import held_out, places
from core.errors import HoneError
from core.worker.examples import NO_END, NOTHING_LEFT, UNROLLED, Examples
from core.worker.template import NO_SYSTEM, NO_TOOLS, ChatTemplate, Refused
from core.worker.tokens import Tokens

MAX_PROMPTS = 16  # as many as evaluation.samples can ask for
LONG, REPEATED, LEAKED = "longer than the limit", "repeats another row", "held out and trained"


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
    num_repeats: int
    """Rows used although they repeat another one."""
    num_leaks: int
    """Held-out rows used although their prompt is trained too."""
    remarks: dict[str, int] = field(default_factory=dict)
    """Used rows with each remark of the template and the tokenizer."""
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
        if count := self.remarks.get(UNROLLED):
            found.append(
                f"{count:,} rows became one example per answer, since the chat template rewrites earlier answers."
            )
        if count := self.remarks.get(NO_SYSTEM):
            found.append(f"The chat template leaves out the system message of {count:,} rows.")
        if count := self.remarks.get(NO_TOOLS):
            found.append(f"The chat template leaves out the tools of {count:,} rows.")
        if not self.learns_to_stop:
            found.append("No answer ends with an end token, so the model will not learn to stop.")
        elif count := self.remarks.get(NO_END):
            found.append(f"{count:,} rows have an answer that does not end with an end-of-turn token.")
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


class Chained(Sequence["Row | Problem"]):
    """The rows of one dataset, then those of another."""

    def __init__(self, first: Sequence[Row | Problem], then: Sequence[Row | Problem]) -> None:
        self._first, self._then = first, then

    def __len__(self) -> int:
        return len(self._first) + len(self._then)

    def __getitem__(self, index: int) -> Row | Problem:  # type: ignore[override]
        number = index - len(self._first)
        return self._first[index] if number < 0 else self._then[number]


def make_dataset(
    made: Tokens,
    rows: Sequence[Row | Problem],
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
    skipped: Counter[str] = Counter()
    lengths, limit = made.lengths, data.max_length
    trained = made.mask()
    sums = np.concatenate([[0], np.cumsum(trained, dtype=np.int64)])

    is_bad = made.refusals >= 0
    # What an edit leaves out is meant to be.
    stops = is_bad & ~np.isin(made.refusals, [n for n, reason in enumerate(made.reasons) if reason == "left out"])
    if stops.any() and data.on_invalid == "stop":
        reason = int(made.refusals[np.flatnonzero(stops)[0]])
        raise _stop("on_invalid", f"a row cannot be used: {made.details[reason]}")
    for number in made.refusals[is_bad]:
        skipped[made.reasons[int(number)]] += 1

    is_used = ~is_bad
    is_long = np.zeros(made.num_rows, np.bool_)
    if not in_pieces:
        is_long[made.rows[lengths > limit]] = True
        if is_long.any() and data.on_long == "stop":
            row = int(np.flatnonzero(is_long)[0])
            longest = int(lengths[made.rows == row].max())
            raise _stop(
                "on_long", f"the row on line {made.lines[row]:,} has {longest:,} tokens, over data.max_length"
            )
        if data.on_long == "skip":
            skipped[LONG] += int((is_used & is_long).sum())
            is_used &= ~is_long
        else:  # what nothing is left to learn from
            ends = np.minimum(made.starts[:-1] + limit, made.starts[1:])
            keeps = np.zeros(made.num_rows, np.bool_)
            keeps[made.rows[sums[ends] - sums[made.starts[:-1]] > 0]] = True
            skipped[NOTHING_LEFT] += int((is_used & ~keeps).sum())
            is_used &= keeps

    repeats = _repeats(made, is_used, bool(data.more))
    if repeats.any() and data.on_duplicate == "stop":
        row = int(np.flatnonzero(repeats)[0])
        raise _stop("on_duplicate", f"the row on line {made.lines[row]:,} repeats an earlier one")
    if data.on_duplicate == "skip":
        skipped[REPEATED] += int(repeats.sum())
        is_used &= ~repeats
        repeats[:] = False
    if not is_used.any():
        raise HoneError(_nothing_usable(skipped, made.num_rows), path="data.source")

    used = np.flatnonzero(is_used)
    where = places(made.keys[used], seed)
    is_held = np.zeros(made.num_rows, np.bool_)
    is_held[used] = held_out(where, data.holdout, made.strata[used] if data.stratify_by else None)
    leaks = is_held & is_used & np.isin(made.prompts, made.prompts[is_used & ~is_held]) & (made.prompts >= 0)
    if leaks.any() and data.on_leak == "stop":
        row = int(np.flatnonzero(leaks)[0])
        raise _stop("on_leak", f"the row on line {made.lines[row]:,} is held out and its prompt is trained")
    if data.on_leak == "skip":
        skipped[LEAKED] += int(leaks.sum())
        is_used &= ~leaks
        leaks[:] = False
    if not (is_used & ~is_held).any():
        raise HoneError(
            "No row is left to train on: all are held out; mend data.split_column.", path="data.source"
        )

    picked, begins, ends = _pieces(made, is_used, sums, limit, in_pieces)
    examples = _examples(made, trained, begins, ends)
    owners = made.rows[picked]
    order_of = places(made.contents, seed)
    in_hash_order = np.argsort(order_of[owners], kind="stable")
    is_cut = is_used & is_long
    lost = is_cut[made.rows] & (lengths > limit)
    held_rows = np.flatnonzero(is_used & is_held)
    shown = held_rows if len(held_rows) else np.flatnonzero(is_used)
    account = Account(
        num_read=made.num_rows,
        skipped={reason: count for reason, count in skipped.most_common() if count},
        num_cut=0 if in_pieces else int(is_cut.sum()),
        num_lost_tokens=0 if in_pieces else int((lengths[lost] - limit).sum()),
        num_lost_trained=0 if in_pieces else int(
            (sums[made.starts[1:][lost]] - sums[made.starts[:-1][lost] + limit]).sum()
        ),
        num_repeats=int(repeats.sum()),
        num_leaks=int(leaks.sum()),
        remarks={
            name: count for name in made.remark_names if (count := int((made.has_remark(name) & is_used).sum()))
        },
        learns_to_stop=bool((~made.has_remark(NO_END) & is_used).any()),
    )  # fmt: skip
    return Dataset(
        examples=examples,
        train=np.flatnonzero(~is_held[owners]),
        held_out=in_hash_order[is_held[owners][in_hash_order]],
        prompts=_prompts(rows, shown, template),
        num_rows=int((is_used & ~is_held).sum()),
        num_eval_rows=len(held_rows),
        account=account,
        warnings=[*account.in_words(), *_split_in_words(data, is_used, is_held, made)],
    )


def reasons(skipped: dict[str, int], most: int = 5) -> str:
    """Why rows were left out, with counts, for a sentence."""
    listed = +Counter(skipped)
    named = [f"{reason} ({count:,})" for reason, count in listed.most_common(most)]
    rest = listed.total() - sum(count for _, count in listed.most_common(most))
    return ", ".join([*named, f"other reasons ({rest:,})"] if rest else named)


def _repeats(made: Tokens, is_used: NDArray[np.bool_], is_mixed: bool) -> NDArray[np.bool_]:
    """Used rows with the content of an earlier one. A weight shows a row several times on purpose: then rows on
    the same line are one row."""
    used = np.flatnonzero(is_used)
    _, first, group = np.unique(made.contents[used], return_index=True, return_inverse=True)
    earlier = used[first[group]]
    found = np.zeros(made.num_rows, np.bool_)
    found[used] = (earlier != used) & ~(is_mixed & (made.lines[earlier] == made.lines[used]))
    return found


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


def _split_in_words(
    data: DataSection, is_used: NDArray[np.bool_], is_held: NDArray[np.bool_], made: Tokens
) -> list[str]:
    if data.split_column and not data.holdout_source and not (is_used & is_held).any():
        return [f"No row is held out: no value of {data.split_column} is a word such as test or validation."]
    return []


def _stop(policy: str, what: str) -> HoneError:
    path = f"data.{policy}"
    return HoneError(f"The run stops, as {path} says: {what}; mend the data or change the setting.", path=path)


def _nothing_usable(skipped: Counter[str], num_rows: int) -> str:
    why = f": {reasons(skipped)}" if skipped.total() else ""
    return f"None of the {num_rows:,} rows can be trained on{why}; `hone data check` lists each with its line."
