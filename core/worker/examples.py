"""Rows as the model sees them: token numbers, and which of them it learns to write."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from tokenizers import Encoding, Tokenizer
from transformers import PreTrainedTokenizerBase

from core.data.kinds import NO_END, NOTHING_LEFT, UNCLEAR, UNROLLED
from core.data.marks import without_controls
from core.data.row import Message, Problem, Row
from core.errors import HoneError
from core.sections import DataSection
from core.worker.byte_places import BytePlaces, token_at
from core.worker.template import ChatTemplate, Refused, Rendered, TrainOn

Example = tuple[list[int], list[bool]]
"""Token numbers, and for each whether it is trained."""
LED_BY_BLANK = ("\u0120", "\u2581", " ")
"""How a token that begins with a blank is written in a vocabulary: of byte-level BPE, of SentencePiece."""


@dataclass(frozen=True)
class Examples:
    """Many examples, end to end in flat arrays: example i is tokens[starts[i]:starts[i + 1]].

    The first token of an example is never trained, since nothing stands before it to predict it from.
    """

    tokens: NDArray[np.int32]
    trained: NDArray[np.bool_]
    starts: NDArray[np.int64]

    @classmethod
    def join(cls, examples: Sequence[tuple[ArrayLike, ArrayLike]]) -> Examples:
        """Examples from pairs of token numbers and masks."""
        return cls(
            np.concatenate([np.asarray(tokens, dtype=np.int32) for tokens, _ in examples]),
            np.concatenate([np.asarray(trained, dtype=np.bool_) for _, trained in examples]),
            np.cumsum([0, *(np.size(tokens) for tokens, _ in examples)], dtype=np.int64),
        )

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, index: int) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        place = slice(self.starts[index], self.starts[index + 1])
        return self.tokens[place], self.trained[place]

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.diff(self.starts)


class Encoded(NamedTuple):
    """A whole sequence: its tokens, shape [tokens], and the ranges of them that are trained."""

    tokens: NDArray[np.int32]
    spans: tuple[tuple[int, int], ...]
    part: int = 0
    """Which of its row's texts it is."""

    @property
    def example(self) -> Example:
        trained = [False] * len(self.tokens)
        for begin, end in self.spans:
            trained[begin:end] = [True] * (end - begin)
        return self.tokens.tolist(), trained


class Outcome(NamedTuple):
    """What became of a row: its sequences, uncut, or why it is refused; and what a person should know of it."""

    sequences: list[Encoded]
    refused: str = ""
    remarks: tuple[str, ...] = ()


class Text(NamedTuple):
    """What is given to the tokenizer: a rendered conversation, or raw text."""

    rendered: Rendered
    is_raw: bool
    name: str = ""
    """Of one of a pair's two answers, or of an answer with a verdict: which it is."""


class Encoder:
    """Turns rows into sequences. A bad row raises nothing: it is counted in `skipped` under its reason.

    `cuts_controls` takes control characters out of what is rendered; `is_personal_sought` is for who looks at rows
    besides.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        template: ChatTemplate,
        *,
        train_on: TrainOn,
        roles: Sequence[str] = ("assistant",),
        cuts_controls: bool = False,
        is_personal_sought: bool = False,
    ) -> None:
        if not tokenizer.is_fast:
            raise HoneError(
                "The model's tokenizer has no tokenizer.json, which Hone needs to know where each token lies in "
                "the text; choose a version of the model that has one.",
                path="model.source",
            )
        self._tokenizer = tokenizer
        self._rust: Tokenizer = tokenizer.backend_tokenizer  # pyright: ignore[reportAttributeAccessIssue]
        end = tokenizer.eos_token_id
        self._end = end if isinstance(end, int) else None
        self._rust.no_truncation()
        self._rust.no_padding()
        self._bytes = BytePlaces.of(self._rust)
        self._template = template
        self._train_on: TrainOn = train_on
        self._roles = tuple(roles)
        self._cuts_controls = cuts_controls
        self.is_personal_sought = is_personal_sought
        added = tokenizer.added_tokens_decoder.items()
        self.special = frozenset(tokenizer.all_special_ids) | {number for number, one in added if one.special}
        self.skipped: Counter[str] = Counter()

    def read(self, rows: Sequence[Row | Problem]) -> list[Outcome]:
        """What becomes of each row, before it is cut to any length."""
        rendered = self.render(rows)
        return self.mask(rendered, self.tokenize(rendered))

    def render(self, rows: Sequence[Row | Problem]) -> list[list[Text] | str]:
        """For each row its texts, or why it is refused."""
        return [self._render(row) for row in rows]

    def tokenize(self, rendered: Sequence[list[Text] | str]) -> list[Encoding]:
        """The texts of rows in tokens; the one part that runs in Rust, and lets other threads go on."""
        texts = [text for texts in rendered if not isinstance(texts, str) for text in texts]
        # A template writes the start token itself; raw text gets what the tokenizer begins a text with.
        raw = iter(self._rust.encode_batch_fast([text.rendered.text for text in texts if text.is_raw]))
        plain = [text.rendered.text for text in texts if not text.is_raw]
        # The fast one leaves out where tokens lie, which byte-level tokens say by themselves.
        encode = self._rust.encode_batch_fast if self._bytes else self._rust.encode_batch
        written = iter(encode(plain, add_special_tokens=False))
        return [next(raw if text.is_raw else written) for text in texts]

    def mask(self, rendered: Sequence[list[Text] | str], encodings: Sequence[Encoding]) -> list[Outcome]:
        """What becomes of rows whose texts are these, in these tokens."""
        found, left = [], iter(encodings)
        for texts in rendered:
            outcome = Outcome([], texts) if isinstance(texts, str) else self._outcome(texts, left)
            if outcome.refused:
                self.skipped[outcome.refused] += 1
            found.append(outcome)
        return found

    def _outcome(self, texts: list[Text], encodings: Iterator[Encoding]) -> Outcome:
        masked = [self._masked(text, next(encodings), part) for part, text in enumerate(texts)]
        if None in masked:
            return Outcome([], UNCLEAR)
        kept = [one for one in masked if one and any(end > begin for begin, end in one.spans)]
        if not kept:
            return Outcome([], NOTHING_LEFT)
        remarks = texts[0].rendered.remarks
        if not all(map(self._ends_well, kept)):
            remarks = (*remarks, NO_END)
        is_unrolled = len(texts) > 1 and not texts[0].name
        return Outcome(kept, "", (*remarks, UNROLLED) if is_unrolled else remarks)

    def _render(self, row: Row | Problem) -> list[Text] | str:
        if isinstance(row, Problem):
            return row.kind
        if self._cuts_controls:
            row = without_controls(row)
            if emptied := next((one for one in row.spoken if not one.content.strip() and not one.more), None):
                return "empty answer" if emptied.role == "assistant" else "empty message"
        try:
            if row.chosen:
                return [
                    *self._answered(row, row.chosen, "chosen"),
                    *self._answered(row, row.rejected, "rejected"),
                ]
            if not row.messages:
                return [Text(Rendered(row.text, ()), True)]
            parts = self._template.render(row.messages, self._train_on, self._roles, row.tools)
        except Refused as refused:
            return str(refused)
        name = "" if row.label is None else "good answer" if row.label else "bad answer"
        return [Text(part, False, name) for part in parts]

    def _answered(self, row: Row, answers: Sequence[Message], name: str) -> list[Text]:
        """A pair's prompt with one of its two answers; nothing but that is learnt. Raises Refused."""
        train_on: TrainOn = "last_answer" if self._train_on == "last_answer" else "answers"
        conversation = (*row.messages, *answers)
        parts = self._template.render(conversation, train_on, tools=row.tools, first=len(row.messages))
        return [Text(part, False, name) for part in parts]

    def _masked(self, text: Text, encoding: Encoding, part: int) -> Encoded | None:
        """Tokens and trained ranges of a text; None when a range begins or ends inside a token."""
        tokens = encoding.ids
        if text.is_raw:
            if self._end is not None:
                tokens.append(self._end)
            return Encoded(_packed(tokens), ((1, max(1, len(tokens))),), part)
        words, spans, packed = text.rendered.text, [], _packed(tokens)
        ends = self._bytes.ends(words, packed) if self._bytes else None
        if self._bytes and ends is None:
            encoding = self._rust.encode(words, add_special_tokens=False)
        for first, last in text.rendered.spans:
            begin = self._token_at(first, words, encoding, tokens, ends)
            end = self._token_at(last, words, encoding, tokens, ends)
            if begin is None or end is None:
                return None
            end = end if self._train_on == "all" else self._without_tail(tokens, begin, end)
            spans.append((max(begin, 1), end))  # before the first token stands nothing to predict it from
        return Encoded(packed, tuple(spans), part)

    def _ends_well(self, sequence: Encoded) -> bool:
        """Whether each trained range ends with a token that ends a turn."""
        return self._train_on == "all" or all(
            int(sequence.tokens[end - 1]) in self.special for _, end in sequence.spans
        )

    def _token_at(
        self, place: int, text: str, encoding: Encoding, tokens: list[int], ends: NDArray[np.int64] | None
    ) -> int | None:
        """The number of the first token at or after a character; None when a token reaches over it."""
        if place == 0:
            return 0
        if place == len(text):
            return len(tokens)
        if ends is not None:
            return token_at(place, text, ends)
        index = encoding.char_to_token(place)
        start = place
        if index is None and text[place] == " ":  # some tokenizers leave a token's blank out of its range
            index, start = encoding.char_to_token(place + 1), place + 1
            if index is not None and not (self._rust.id_to_token(tokens[index]) or "").startswith(LED_BY_BLANK):
                index = None
        own, before = (
            (encoding.token_to_chars(index), encoding.token_to_chars(index - 1)) if index else (None, None)
        )
        if own and before and own[0] == start and before[1] == place:
            return index
        # Then only tokenising the part before can tell.
        first = self._rust.encode(text[:place], add_special_tokens=False).ids
        return len(first) if tokens[: len(first)] == first else None

    def _without_tail(self, tokens: list[int], begin: int, end: int) -> int:
        """The end of a trained range without the blanks that templates put after the end-of-turn token:
        generation stops at that token, so they are never written."""
        for place in range(end - 1, begin - 1, -1):
            if tokens[place] in self.special:
                return place + 1
            if str(self._tokenizer.decode([tokens[place]])).strip():
                break
        return end


def _packed(tokens: list[int]) -> NDArray[np.int32]:
    """The tokens as an array, in less than half the time that numpy takes over a list."""
    return np.frombuffer(struct.pack(f"{len(tokens)}i", *tokens), np.int32)


def encoder_for(
    data: DataSection,
    tokenizer: PreTrainedTokenizerBase,
    template: ChatTemplate,
    train_on: TrainOn,
) -> Encoder:
    """The encoder of a run with these settings."""
    return Encoder(
        tokenizer,
        template,
        train_on=train_on,
        roles=data.roles,
        cuts_controls=data.on_control == "cut",
        is_personal_sought=data.on_personal != "ignore",
    )
