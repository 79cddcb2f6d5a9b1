"""Where tokens lie in a text, in bytes: for tokenizers that lose none, at a fraction of the cost of asking them.

A byte-level tokenizer writes each byte of a text as one letter of a token, so that lengths alone say where a token
begins. Whether it lost none is checked for every text.
"""

from __future__ import annotations

import json
import unicodedata
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer


class BytePlaces:
    """The length in bytes of every token of a byte-level tokenizer."""

    def __init__(self, lengths: NDArray[np.int64], needs_nfc: bool) -> None:
        self._lengths, self._needs_nfc = lengths, needs_nfc

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Self | None:
        """None for a tokenizer that is not byte-level, or that may change what it reads."""
        tree: dict[str, Any] = json.loads(tokenizer.to_str())
        normalizer = tree.get("normalizer")
        if normalizer is not None and normalizer.get("type") != "NFC":
            return None
        steps = tree.get("pre_tokenizer") or {}
        levels = [one for one in steps.get("pretokenizers", [steps]) if one.get("type") == "ByteLevel"]
        if tree["model"].get("type") != "BPE" or len(levels) != 1 or levels[0].get("add_prefix_space"):
            return None
        added = tree.get("added_tokens", [])
        if any(token.get("lstrip") or token.get("rstrip") for token in added):
            return None
        vocabulary = tokenizer.get_vocab(with_added_tokens=False)
        lengths = np.zeros(max([*vocabulary.values(), *(token["id"] for token in added)]) + 1, np.int64)
        for piece, number in vocabulary.items():
            lengths[number] = len(piece)
        for token in added:
            lengths[token["id"]] = len(token["content"].encode())
        return cls(lengths, normalizer is not None)

    def ends(self, text: str, tokens: NDArray[np.int32]) -> NDArray[np.int64] | None:
        """Where each token ends in the text's bytes; None when they do not add up to the text."""
        if self._needs_nfc and not text.isascii() and not unicodedata.is_normalized("NFC", text):
            return None
        found = self._lengths.take(tokens).cumsum()
        size = len(text) if text.isascii() else len(text.encode())
        return found if (found[-1] if len(found) else 0) == size else None


def token_at(place: int, text: str, ends: NDArray[np.int64]) -> int | None:
    """The number of the first token at or after a character; None when a token reaches over it."""
    in_bytes = place if text.isascii() else len(text[:place].encode())
    number = int(ends.searchsorted(in_bytes))
    return number + 1 if number < len(ends) and ends[number] == in_bytes else None
