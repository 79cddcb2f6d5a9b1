"""The letters in which bytes of activations are written, and the products of them that sizes are made of."""

from __future__ import annotations

import math

from core.models.facts import ModelFacts

WIDTHS = ("h", "q", "k", "f", "V", "r", "a", "H", "K", "D", "x", "1")
"""Hidden, all queries, all keys, MLP, vocabulary, rank, queries with keys and values, heads, key heads, one head,
experts."""
TOKENS = ("T", "N", "C", "R")
"""Tokens of a batch, trained ones among them, those that go through the head together, and the rest at the end."""


def products() -> tuple[str, ...]:
    """Every product of letters that the size of a tensor may be a multiple of, the likeliest first."""
    per_token = [f"{tokens}{width}" for tokens in TOKENS for width in WIDTHS]
    per_expert = ["TEh", "TEf", "TE1", "xhf", "xh", "xf", "x1"]
    scores = ["bHss", "bHsZ", "bKss", "bss", "ss"]
    positions = ["sh", "sD", "s1", "b1", "bZ"]
    matrices = [first + second for i, first in enumerate(WIDTHS[:7]) for second in WIDTHS[i:7]]
    vectors = [f"{width}1" for width in WIDTHS[:10]]
    return ("11", *per_token, *scores, *positions, *matrices, *vectors, *per_expert)


def values(facts: ModelFacts, *, rows: int, length: int, trained: int, chunk: int, rank: int) -> dict[str, int]:
    """What each product is for a model and a batch."""
    chunk = max(1, min(chunk, trained))
    letters = {
        "T": rows * length, "N": trained, "C": chunk, "R": (trained - 1) % chunk + 1,
        "b": rows, "s": length, "Z": length + 1,
        "h": facts.hidden, "q": facts.query, "k": facts.key_value, "f": facts.mlp, "V": facts.vocab, "r": rank,
        "a": facts.query + 2 * facts.key_value, "H": facts.num_heads, "K": facts.num_kv_heads, "D": facts.head_dim,
        "x": facts.num_experts, "E": facts.experts_per_token, "1": 1,
    }  # fmt: skip
    return _Values(letters)


class _Values(dict[str, int]):
    """Products by name, each worked out when it is first asked for: an estimate needs a few of them."""

    def __init__(self, letters: dict[str, int]) -> None:
        super().__init__()
        self._letters = letters

    def __missing__(self, name: str) -> int:
        self[name] = value = math.prod([self._letters[letter] for letter in name])
        return value


PRODUCTS = products()
