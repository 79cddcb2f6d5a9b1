"""Small models of each family with dimensions that tell every size apart: what rows are traced on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.memory.symbols import values
from core.models.facts import facts_from_config


@dataclass(frozen=True)
class Toy:
    """One set of dimensions for every family. From one toy to the other no product of a few of them grows as
    another one does: that is how sizes are told apart."""

    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    """Where a family lets it differ from hidden / heads."""
    mlp: int
    vocab: int
    rank: int
    rows: int
    length: int
    trained: int
    """Learnt tokens of each row."""
    chunk: int
    """Tokens that go through the head together."""
    experts: int
    experts_per_token: int


TOYS = (
    Toy(hidden=96, heads=6, kv_heads=2, head_dim=20, mlp=208, vocab=1009, rank=7,
        rows=4, length=37, trained=29, chunk=31, experts=5, experts_per_token=3),
    Toy(hidden=320, heads=10, kv_heads=5, head_dim=36, mlp=344, vocab=1361, rank=13,
        rows=5, length=59, trained=43, chunk=55, experts=7, experts_per_token=2),
)  # fmt: skip
OWN_HEAD_DIM = {
    "llama", "mistral", "ministral", "ministral3", "qwen3", "gemma", "gemma2", "gemma3_text", "glm", "glm4",
    "mixtral", "qwen3_moe", "gpt_oss",
}  # fmt: skip
GROUPED = OWN_HEAD_DIM | {
    "qwen2", "phi3", "smollm3", "olmo2", "olmo3", "granite", "starcoder2", "stablelm", "cohere", "qwen2_moe",
}  # fmt: skip
MIXTURES = {"mixtral", "qwen2_moe", "qwen3_moe", "gpt_oss"}
WINDOWED = {"mistral": 16, "phi3": 16, "gemma2": 16, "gemma3_text": 16, "olmo3": 16, "starcoder2": 16}
"""Families whose layers may look back only so far, and a length that the toys' rows exceed."""


def settings(
    family: str, toy: Toy, num_layers: int, *, is_windowed: bool = False, tied: bool = False
) -> dict[str, Any]:
    """The config.json of a toy."""
    found: dict[str, Any] = {
        "model_type": family,
        "hidden_size": toy.hidden,
        "num_hidden_layers": num_layers,
        "num_attention_heads": toy.heads,
        "intermediate_size": toy.mlp,
        "vocab_size": toy.vocab,
        "max_position_embeddings": 128,
        "pad_token_id": 0,
        "tie_word_embeddings": tied,
    }
    if family == "gpt2":
        found = {
            "model_type": family, "n_embd": toy.hidden, "n_layer": num_layers, "n_head": toy.heads,
            "n_inner": toy.mlp, "vocab_size": toy.vocab, "n_positions": 128, "tie_word_embeddings": tied,
            "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0,
        }  # fmt: skip
    if family == "falcon":
        found["ffn_hidden_size"] = found.pop("intermediate_size")
    if family in MIXTURES:
        found |= {"num_experts": toy.experts, "num_local_experts": toy.experts,
                  "num_experts_per_tok": toy.experts_per_token,
                  "moe_intermediate_size": toy.mlp, "shared_expert_intermediate_size": toy.mlp}  # fmt: skip
    if family in GROUPED:
        found["num_key_value_heads"] = toy.kv_heads
    if family in OWN_HEAD_DIM:
        found["head_dim"] = toy.head_dim
    if family == "smollm3":
        found["no_rope_layers"] = [1] * num_layers  # every fourth of a real one goes without, and keeps a bit less
    if family in WINDOWED:
        found["sliding_window"] = WINDOWED[family] if is_windowed else 4096
        found["layer_types"] = ["sliding_attention" if is_windowed else "full_attention"] * num_layers
    return found


def symbols(family: str, toy: Toy, num_layers: int) -> dict[str, int]:
    """What the letters of a monomial stand for in a toy."""
    facts = facts_from_config(settings(family, toy, num_layers))
    return values(
        facts, rows=toy.rows, length=toy.length, trained=toy.rows * toy.trained, chunk=toy.chunk, rank=toy.rank
    )
