"""Rows as the model sees them: token numbers, and which of them it learns to write."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from transformers import PreTrainedTokenizerBase

from core.data.row import Problem, Row
from core.errors import HoneError
from core.worker.template import ChatTemplate, Refused, Rendered, TrainOn

Example = tuple[list[int], list[bool]]
"""Token numbers, and for each whether it is trained."""


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


class Encoder:
    """Turns rows into examples. A bad row raises nothing: it is counted in `skipped` under its reason.

    `in_pieces` splits long conversations where they would otherwise be cut; raw text is always split.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        template: ChatTemplate,
        *,
        max_length: int,
        train_on: TrainOn,
        in_pieces: bool = False,
    ) -> None:
        if not tokenizer.is_fast:
            raise HoneError(
                "The model's tokenizer has no tokenizer.json, which Hone needs to know where each token lies in "
                "the text; choose a version of the model that has one.",
                path="model.source",
            )
        self._tokenizer = tokenizer
        self._template = template
        self._max_length = max_length
        self._train_on: TrainOn = train_on
        self._in_pieces = in_pieces
        self._special = frozenset(tokenizer.all_special_ids)
        self.skipped: Counter[str] = Counter()
        self.num_cut = 0
        self.num_unrolled = 0
        self.num_texts = 0
        self.learns_to_stop = False

    def encode(self, rows: Sequence[Row | Problem]) -> list[list[Example]]:
        """For each row its examples: mostly one; several for a long text; none when the row is skipped."""
        rendered = [self._render(row) for row in rows]
        texts = [part.text for parts in rendered for part in parts]
        tokenized = self._tokenize(texts)
        found = []
        for row, parts in zip(rows, rendered, strict=True):
            masked = [self._masked(part, *next(tokenized)) for part in parts]
            if isinstance(row, Row) and not row.messages:
                masked = [self._encode_text(row.text)]
            kept = [piece for example in masked if example for piece in self._fit(example)]
            if masked and not kept:
                self.skipped["unclear where the answer begins" if None in masked else "no trained token left"] += 1
            found.append(kept)
        return found

    def _render(self, row: Row | Problem) -> list[Rendered]:
        if isinstance(row, Problem):
            self.skipped[row.kind] += 1
            return []
        if not row.messages:
            return []
        try:
            parts = self._template.render(row.messages, self._train_on)
        except Refused as refused:
            self.skipped[str(refused)] += 1
            return []
        self.num_unrolled += len(parts) > 1
        return parts

    def _tokenize(self, texts: list[str]) -> Iterator[tuple[list[int], list[tuple[int, int]]]]:
        if not texts:
            return iter(())
        # A template writes the start token itself.
        encoded = self._tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        return zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)  # pyright: ignore[reportReturnType]

    def _encode_text(self, text: str) -> Example:
        """All of a raw text, ended by the end token."""
        end = [self._tokenizer.eos_token_id] if self._tokenizer.eos_token_id is not None else []
        tokens = [*self._tokenizer(text, verbose=False).input_ids, *end]
        self.num_texts += 1
        self.learns_to_stop |= bool(end)
        return tokens, [False] + [True] * (len(tokens) - 1)

    def _fit(self, example: Example) -> list[Example]:
        """The example within the greatest length: cut, or in pieces without those that have nothing to learn. Each
        piece begins with the last token of the one before, so that every trained token is trained exactly once."""
        tokens, trained = example
        longest = self._max_length
        if not self._in_pieces and len(tokens) > longest:
            self.num_cut += 1
            tokens, trained = tokens[:longest], trained[:longest]
        pieces = [
            (tokens[start : start + longest], [False, *trained[start + 1 : start + longest]])
            for start in range(0, max(1, len(tokens) - 1), longest - 1)
        ]
        return [piece for piece in pieces if any(piece[1])]

    def _masked(self, rendered: Rendered, tokens: list[int], offsets: list[tuple[int, int]]) -> Example | None:
        """Tokens and mask of a rendered row; None when a trained range begins or ends inside a token."""
        trained = [False] * len(tokens)
        for first, last in rendered.spans:
            begin = self._token_at(first, rendered.text, tokens, offsets)
            end = self._token_at(last, rendered.text, tokens, offsets)
            if begin is None or end is None:
                return None
            if self._train_on != "all":
                end = self._without_tail(tokens, begin, end)
            trained[begin:end] = [True] * (end - begin)
            self.learns_to_stop |= any(token in self._special for token in tokens[max(begin, 1) : end])
        return tokens, trained

    def _token_at(self, place: int, text: str, tokens: list[int], offsets: list[tuple[int, int]]) -> int | None:
        """The number of the first token at or after a character; None when a token reaches over it."""
        if place == 0:
            return 0
        if place == len(text):
            return len(tokens)
        index = bisect_left(offsets, (place, 0))
        if 0 < index < len(tokens) and offsets[index][0] == place and offsets[index - 1][1] == place:
            return index
        # Some tokenizers leave blanks out of a token's range; then only tokenising the part before can tell.
        before = self._tokenizer(text[:place], add_special_tokens=False, verbose=False).input_ids
        return len(before) if tokens[: len(before)] == before else None

    def _without_tail(self, tokens: list[int], begin: int, end: int) -> int:
        """The end of a trained range without the blanks that templates put after the end-of-turn token:
        generation stops at that token, so they are never written."""
        last = next((i for i in range(end - 1, begin - 1, -1) if tokens[i] in self._special), None)
        if last is None or last + 1 == end or str(self._tokenizer.decode(tokens[last + 1 : end])).strip():
            return end
        return last + 1
