"""The letters in which bytes of activations are written, and the products of them that sizes are made of."""

from __future__ import annotations

import math

from core.models.facts import ModelFacts

WIDTHS = ("h", "q", "k", "f", "V", "r", "a", "H", "K", "D", "x", "1")
"""Hidden, all queries, all keys, MLP, vocabulary, rank, queries with keys and values, heads, key heads, one head,
experts."""
SHARED = ("Tm", "hm", "rm", "m1")
"""Of an MLP beside experts, which is m wide."""
TOKENS = ("T", "N", "C", "R")
"""Tokens of a batch, trained ones among them, those that go through the head together, and the rest at the end."""
MIXED = ("u", "v", "w", "y", "z", "G", "g")
"""Of the mixers of a hybrid: keys, values, keys repeated for every value head, what goes through the convolution,
all that the hidden states are projected to, value heads, and groups of them that share keys. One value head is
d wide."""
PER_ROW = ("bS", *(f"b{width}" for width in MIXED), "blu", "blv", "blw", "blG", "bllG")
"""Of a row of a mixer, or with a c before it of each of the chunks that it is taken in: S numbers are its state,
l the tokens of a chunk."""


def products() -> tuple[str, ...]:
    """Every product of letters that the size of a tensor may be a multiple of, the likeliest first."""
    per_token = [f"{tokens}{width}" for tokens in TOKENS for width in WIDTHS]
    per_expert = ["TEh", "TEf", "TE1", "xhf", "xh", "xf", "x1"]
    scores = ["bHss", "bHsZ", "bKss", "bss", "ss"]
    positions = ["sh", "sD", "s1", "b1", "bZ"]
    matrices = [first + second for i, first in enumerate(WIDTHS[:7]) for second in WIDTHS[i:7]]
    vectors = [f"{width}1" for width in WIDTHS[:10]]
    mixed = [f"T{width}" for width in MIXED] + ["bpy", *PER_ROW, "ll", *(f"c{product}" for product in PER_ROW)]
    mixed += [f"{first}{second}" for first in "hr" for second in MIXED] + [f"{width}1" for width in (*MIXED, "d")]
    return ("11", *per_token, *scores, *positions, *matrices, *vectors, *per_expert, *mixed, *SHARED)


def values(facts: ModelFacts, *, rows: int, length: int, trained: int, chunk: int, rank: int) -> dict[str, int]:
    """What each product is for a model and a batch."""
    chunk = max(1, min(chunk, trained))
    letters = {
        "T": rows * length, "N": trained, "C": chunk, "R": (trained - 1) % chunk + 1,
        "b": rows, "s": length, "Z": length + 1,
        "h": facts.hidden, "q": facts.query, "k": facts.key_value, "f": facts.mlp, "V": facts.vocab, "r": rank,
        "a": facts.query + 2 * facts.key_value, "H": facts.num_heads, "K": facts.num_kv_heads, "D": facts.head_dim,
        "x": facts.num_experts, "E": facts.experts_per_token, "m": facts.shared_mlp, "1": 1,
        **dict.fromkeys("uvwyzGgdSlcp", 0),
    }  # fmt: skip
    if mixer := facts.mixer:
        letters |= {
            "u": mixer.keys, "v": mixer.values, "w": mixer.repeated, "y": mixer.conv, "z": mixer.inside,
            "G": mixer.heads, "g": mixer.groups, "d": mixer.head_width, "S": mixer.state,
            "l": mixer.chunk, "c": mixer.num_chunks(length),
            "p": length + mixer.kernel - 1,
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
