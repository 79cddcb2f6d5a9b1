"""Small models of each family with dimensions that tell every size apart: what rows are traced on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.memory.rows import SEVERAL, SINGLE, UNGROUPED
from core.memory.symbols import values
from core.models.facts import facts_from_config
from core.models.families import FAMILIES
from core.models.mixers import LINEAR, MIXTURE


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
    shared: int = 0
    """Width of the MLP beside experts, where a family tells the two apart."""
    mixer_heads: int = 0
    mixer_groups: int = 0
    """Of heads that share keys."""
    mixer_keys: int = 0
    """Width of one head of keys."""
    mixer_values: int = 0
    expand: int = 0
    """How many times hidden the values of a state space are wide."""
    mixer_chunk: int = 0


TOYS = (
    Toy(hidden=96, heads=6, kv_heads=2, head_dim=20, mlp=208, vocab=1009, rank=7,
        rows=4, length=37, trained=29, chunk=31, experts=5, experts_per_token=3, shared=152),
    Toy(hidden=320, heads=10, kv_heads=5, head_dim=36, mlp=344, vocab=1361, rank=13,
        rows=5, length=59, trained=43, chunk=55, experts=7, experts_per_token=2, shared=456),
)  # fmt: skip
HYBRID_TOYS = (
    Toy(hidden=96, heads=6, kv_heads=2, head_dim=24, mlp=208, vocab=1009, rank=7,
        rows=4, length=37, trained=29, chunk=31, experts=5, experts_per_token=2, shared=176,
        mixer_heads=8, mixer_groups=4, mixer_keys=10, mixer_values=16, expand=3, mixer_chunk=32),
    Toy(hidden=320, heads=10, kv_heads=5, head_dim=64, mlp=344, vocab=1361, rank=13,
        rows=5, length=59, trained=43, chunk=61, experts=7, experts_per_token=6, shared=456,
        mixer_heads=10, mixer_groups=2, mixer_keys=14, mixer_values=22, expand=2, mixer_chunk=72),
)  # fmt: skip
"""Rotary positions of some hybrids take a quarter of a head, which eight divides. A token's experts grow otherwise
than keys do, and values of a state space, beside which they may stand."""
DOUBLE_CHUNKS = (71, 127)
"""Tokens that go through the head together where the toys' trained ones make two chunks."""
OWN_HEAD_DIM = {
    "llama", "mistral", "ministral", "ministral3", "qwen3", "gemma", "gemma2", "gemma3_text", "glm", "glm4",
    "mixtral", "qwen3_moe", "gpt_oss", "qwen3_next", "qwen3_5_text", "falcon_h1",
}  # fmt: skip
GROUPED = OWN_HEAD_DIM | {
    "qwen2", "phi3", "smollm3", "olmo2", "olmo3", "granite", "starcoder2", "stablelm", "cohere", "qwen2_moe",
    "lfm2", "granitemoehybrid", "bamba",
}  # fmt: skip
MIXTURES = {"mixtral", "qwen2_moe", "qwen3_moe", "gpt_oss", "qwen3_next"}
FUSED = ("phi3",)
"""Families with grouped heads whose queries, keys and values are one tensor."""
ONE_HEADED = ("gemma3_text",)
"""Families with models that have one head of keys, and masks."""
FALCONS: dict[str, dict[str, bool]] = {
    SEVERAL: {"new_decoder_architecture": True},
    UNGROUPED: {"multi_query": False, "parallel_attn": False, "alibi": True, "bias": True},
}
"""How the larger Falcons are built, and those of its first data set; all others have one head of keys."""
DROPPING: dict[str, dict[str, float]] = {
    "gpt2": {"resid_pdrop": 0.1, "embd_pdrop": 0.1, "attn_pdrop": 0.1},
    "starcoder2": {"residual_dropout": 0.1, "embedding_dropout": 0.1, "attention_dropout": 0.1},
    "phi": {"resid_pdrop": 0.1},
    "granite": {"attention_dropout": 0.1},
}
"""Families with models that drop some of what they compute, as published ones do."""
FIRST_ALONE = {
    "conv": "layers.0.conv.in_proj",
    "delta": "layers.0.linear_attn.in_proj_qkvz",
    "delta_split": "layers.0.linear_attn.in_proj_qkv",
    "mamba": "layers.0.mamba.in_proj",
}
"""By mixer, a matrix of the first layer. With the only adapter there, all other layers have none and still pass
gradients back, as those of a model do whose adapters are elsewhere."""
WINDOWED = {"mistral": 16, "phi3": 16, "gemma2": 16, "gemma3_text": 16, "olmo3": 16, "starcoder2": 16}
"""Families whose layers may look back only so far, and a length that the toys' rows exceed."""


def settings(
    family: str,
    toy: Toy,
    num_layers: int,
    *,
    is_windowed: bool = False,
    tied: bool = False,
    drops: bool = False,
) -> dict[str, Any]:
    """The config.json of a toy. Of a hybrid with several kinds of layers, "lfm2:linear" names one, of which all
    layers are, and "granitemoehybrid:mixture_linear" the same with experts; "phi3:ungrouped" has as many heads of
    keys as of queries, "gemma3_text:single" has one."""
    family, _, kind = family.partition(":")
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
        found |= FALCONS.get(kind, {}) | ({"num_kv_heads": toy.kv_heads} if kind == SEVERAL else {})
    if family in MIXTURES:
        found |= {"num_experts": toy.experts, "num_local_experts": toy.experts,
                  "num_experts_per_tok": toy.experts_per_token,
                  "moe_intermediate_size": toy.mlp,
                  "shared_expert_intermediate_size": toy.shared if family == "qwen2_moe" else toy.mlp}  # fmt: skip
    if family in GROUPED:
        found["num_key_value_heads"] = {UNGROUPED: toy.heads, SINGLE: 1}.get(kind, toy.kv_heads)
    if family in OWN_HEAD_DIM:
        found["head_dim"] = toy.head_dim
    if family == "smollm3":
        found["no_rope_layers"] = [1] * num_layers  # every fourth of a real one goes without, and keeps a bit less
    if family in WINDOWED:
        found["sliding_window"] = WINDOWED[family] if is_windowed else 4096
        found["layer_types"] = ["sliding_attention" if is_windowed else "full_attention"] * num_layers
    if drops:
        found |= DROPPING[family]
    if family in FAMILIES and FAMILIES[family].mixer:
        found |= _mixer_settings(family, toy, num_layers, kind)
    return found


def _mixer_settings(family: str, toy: Toy, num_layers: int, kind: str) -> dict[str, Any]:
    name = {"lfm2": "conv"}.get(family, "linear_attention") if kind.endswith(LINEAR) else "full_attention"
    found: dict[str, Any] = {"layer_types": [name] * num_layers} if kind else {}
    if family == "bamba":
        found = {"attn_layer_indices": [] if kind.endswith(LINEAR) else list(range(num_layers))}
    if family == "granitemoehybrid":
        found |= {"num_local_experts": 0, "shared_intermediate_size": toy.mlp}
        if kind.startswith(MIXTURE):
            found |= {"num_local_experts": toy.experts, "num_experts_per_tok": toy.experts_per_token,
                      "shared_intermediate_size": toy.shared}  # fmt: skip
    if family == "lfm2":
        found["block_auto_adjust_ff_dim"] = False
    if FAMILIES[family].mixer == "mamba":
        found |= {"mamba_n_heads": toy.mixer_heads, "mamba_n_groups": toy.mixer_groups,
                  "mamba_d_state": toy.mixer_keys, "mamba_expand": toy.expand, "mamba_d_ssm": None,
                  "mamba_chunk_size": toy.mixer_chunk}  # fmt: skip
    else:
        found |= {"linear_num_key_heads": toy.mixer_groups, "linear_num_value_heads": toy.mixer_heads,
                  "linear_key_head_dim": toy.mixer_keys, "linear_value_head_dim": toy.mixer_values}  # fmt: skip
    return found


def symbols(family: str, toy: Toy, num_layers: int) -> dict[str, int]:
    """What the letters of a monomial stand for in a toy."""
    facts = facts_from_config(settings(family, toy, num_layers))
    return values(
        facts, rows=toy.rows, length=toy.length, trained=toy.rows * toy.trained, chunk=toy.chunk, rank=toy.rank
    )
