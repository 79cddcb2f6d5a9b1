"""The decoder families whose layers are known: which linear layers, biases and norms a config.json stands for.

Each entry was checked against the class of the same model type in transformers, built on the meta device.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

SPLIT = ("q_proj", "k_proj", "v_proj")
GATED = ("gate_proj", "up_proj", "down_proj")
GATED_FUSED = ("gate_up_proj", "down_proj")

Flag = bool | str
"""True, False, or the key of config.json that decides; "!key" has the default True, "key" the default False."""


@dataclass(frozen=True)
class Family:
    """How one model type builds its layers. The defaults describe Llama."""

    qkv: tuple[str, ...] = SPLIT
    """Names of the query, key and value layers; one name when they are fused."""
    output: str = "o_proj"
    mlp: tuple[str, ...] = GATED
    gated: bool = True
    qkv_bias: Flag = False
    output_bias: Flag = False
    mlp_bias: Flag = False
    head_bias: bool = False
    norms: int = 2
    """Norms of the hidden width in each layer."""
    norm_weights: int = 1
    """Weights per channel of those norms: 1 for a scale, 2 for scale and shift, 0 for none."""
    qk_norm: Literal["", "head", "width"] = ""
    """Norms on queries and keys: one head wide, or the full width."""
    qk_norm_key: str = ""
    """The config key that turns the query and key norms on; empty when they are always there."""
    qk_norm_weights: int = 1
    positions: bool = False
    """Whether positions are a learned table."""
    tied: bool = False
    """Whether embedding and head share weights when the config does not say."""
    quantisable: bool = True
    """Whether bitsandbytes replaces its layers: it takes exactly torch's own Linear (and GPT-2's Conv1D)."""
    experts: Literal["", "mixtral", "qwen", "gpt_oss", "granite"] = ""
    sdpa: bool = True
    """Whether it has an attention that never stores the length × length matrix."""
    mixer: Literal["", "conv", "delta", "delta_split", "mamba"] = ""
    """What some of its layers have in the place of attention; see core.models.mixers."""
    is_parallel: bool = False
    """Whether every layer has both, its mixer and attention."""
    gated_attention: bool = False
    """Whether the query layer puts out a gate beside each query."""
    unadapted: tuple[str, ...] = ()
    """Names of linear layers that PEFT cannot adapt."""
    drops: bool = False
    """Whether its class drops some of what it computes where a config.json does not say."""
    window_switch: bool = False
    """Whether layers look back over all tokens unless use_sliding_window is set."""
    defaults: dict[str, int] = field(default_factory=dict)
    """What the class assumes where a config.json says nothing, unless it is what Hone takes for every family."""


ATTENTION_BIAS: dict[str, Any] = {"qkv_bias": "attention_bias", "output_bias": "attention_bias"}
USUAL_BIAS: dict[str, Any] = {"qkv_bias": "!attention_bias", "output_bias": "!attention_bias"}
_GEMMA3 = {"num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "vocab_size": 262_208,
           "max_position_embeddings": 131_072, "sliding_window": 4096}  # fmt: skip
_GLM = {"head_dim": 128, "num_key_value_heads": 2}

FAMILIES: dict[str, Family] = {
    "llama": Family(**ATTENTION_BIAS, mlp_bias="mlp_bias"),
    "mistral": Family(defaults={"num_key_value_heads": 8, "sliding_window": 4096}),
    "ministral": Family(defaults={"num_key_value_heads": 8, "sliding_window": 4096}),
    "ministral3": Family(defaults={"num_key_value_heads": 8, "head_dim": 128}),
    "qwen2": Family(qkv_bias=True, window_switch=True, defaults={"num_key_value_heads": 32}),
    "qwen3": Family(
        **ATTENTION_BIAS, qk_norm="head", window_switch=True,
        defaults={"head_dim": 128, "num_key_value_heads": 32},
    ),
    "gemma": Family(**ATTENTION_BIAS, tied=True, defaults={"head_dim": 256, "num_key_value_heads": 16}),
    "gemma2": Family(
        **ATTENTION_BIAS, norms=4, tied=True, sdpa=False,
        defaults={"head_dim": 256, "num_key_value_heads": 4, "sliding_window": 4096},
    ),
    "gemma3_text": Family(
        **ATTENTION_BIAS, norms=4, qk_norm="head", tied=True, defaults=_GEMMA3
    ),
    "phi": Family(
        output="dense", mlp=("fc1", "fc2"), gated=False, qkv_bias=True, output_bias=True, mlp_bias=True,
        head_bias=True, norms=1, norm_weights=2, qk_norm="head", qk_norm_key="qk_layernorm", qk_norm_weights=2,
    ),
    "phi3": Family(qkv=("qkv_proj",), mlp=GATED_FUSED),
    "smollm3": Family(
        **ATTENTION_BIAS, mlp_bias="mlp_bias", tied=True, window_switch=True,
        defaults={"num_key_value_heads": 4},
    ),
    "olmo": Family(**ATTENTION_BIAS, norm_weights=0),
    "olmo2": Family(**ATTENTION_BIAS, qk_norm="width"),
    "olmo3": Family(**ATTENTION_BIAS, qk_norm="width", defaults={"sliding_window": 4096}),
    "granite": Family(**ATTENTION_BIAS, mlp_bias="mlp_bias"),
    "glm": Family(qkv_bias="!attention_bias", mlp=GATED_FUSED, defaults=_GLM),
    "glm4": Family(qkv_bias="!attention_bias", mlp=GATED_FUSED, norms=4, defaults=_GLM),
    "starcoder2": Family(
        mlp=("c_fc", "c_proj"), gated=False, qkv_bias="!use_bias", output_bias="!use_bias", mlp_bias="!use_bias",
        norm_weights=2, tied=True, defaults={"num_key_value_heads": 2},
    ),
    "falcon": Family(
        qkv=("query_key_value",), output="dense", mlp=("dense_h_to_4h", "dense_4h_to_h"), gated=False,
        qkv_bias="bias", output_bias="bias", mlp_bias="bias", norm_weights=2, tied=True, quantisable=False,
    ),
    "gpt2": Family(
        qkv=("c_attn",), output="c_proj", mlp=("c_fc", "c_proj"), gated=False, qkv_bias=True, output_bias=True,
        mlp_bias=True, norm_weights=2, positions=True, tied=True, drops=True,
    ),
    "gpt_neox": Family(
        qkv=("query_key_value",), output="dense", mlp=("dense_h_to_4h", "dense_4h_to_h"), gated=False,
        **USUAL_BIAS, mlp_bias=True, norm_weights=2,
    ),
    "stablelm": Family(qkv_bias="use_qkv_bias", norm_weights=2, qk_norm="width", qk_norm_key="qk_layernorm",
                       defaults={"num_key_value_heads": 32}),
    "cohere": Family(
        **ATTENTION_BIAS, norms=1, qk_norm="width", qk_norm_key="use_qk_norm",
        tied=True,
    ),
    "mixtral": Family(
        experts="mixtral", defaults={"num_key_value_heads": 8, "num_experts": 8, "num_experts_per_tok": 2},
    ),
    "qwen2_moe": Family(
        qkv_bias="!qkv_bias", experts="qwen", window_switch=True,
        defaults={"num_key_value_heads": 16, "num_experts": 60, "num_experts_per_tok": 4,
                  "moe_intermediate_size": 1408, "shared_expert_intermediate_size": 5632},
    ),
    "qwen3_moe": Family(
        **ATTENTION_BIAS, qk_norm="head", experts="qwen", window_switch=True,
        defaults={"num_key_value_heads": 4, "num_experts": 128, "num_experts_per_tok": 8,
                  "moe_intermediate_size": 768},
    ),
    "gpt_oss": Family(
        **USUAL_BIAS, experts="gpt_oss", sdpa=False,
        defaults={"num_key_value_heads": 8, "head_dim": 64, "num_experts": 128, "num_experts_per_tok": 4,
                  "sliding_window": 128},
    ),
    "lfm2": Family(
        output="out_proj", mlp=("w1", "w3", "w2"), qk_norm="head", tied=True, mixer="conv",
        defaults={"num_key_value_heads": 8},
    ),
    "qwen3_next": Family(
        **ATTENTION_BIAS, qk_norm="head", gated_attention=True, experts="qwen", mixer="delta",
        # PEFT takes these names for those of experts, which it cannot adapt where they are quantised.
        unadapted=GATED,
        defaults={"num_key_value_heads": 2, "head_dim": 256, "num_experts": 512, "num_experts_per_tok": 10,
                  "moe_intermediate_size": 512, "shared_expert_intermediate_size": 512},
    ),
    "qwen3_5_text": Family(
        **ATTENTION_BIAS, qk_norm="head", gated_attention=True, mixer="delta_split",
        defaults={"num_key_value_heads": 4, "head_dim": 256},
    ),
    "falcon_h1": Family(
        **ATTENTION_BIAS, mlp_bias="mlp_bias", mixer="mamba", is_parallel=True, unadapted=("out_proj",),
        defaults={"num_key_value_heads": 8, "mamba_d_ssm": 1024},
    ),
    "granitemoehybrid": Family(
        **ATTENTION_BIAS, mlp=("input_linear", "output_linear"), experts="granite", mixer="mamba",
        defaults={"num_experts": 8, "num_experts_per_tok": 2, "shared_intermediate_size": 1024},
    ),
    "bamba": Family(
        **ATTENTION_BIAS, mlp_bias="mlp_bias", mixer="mamba", defaults={"num_key_value_heads": 8},
    ),
}  # fmt: skip

UNADAPTED = {
    "mamba": ("out_proj", "dt_proj"), "falcon_mamba": ("out_proj", "dt_proj"), "jamba": ("dt_proj",),
    "mamba2": ("out_proj",), "nemotron_h": ("out_proj",),
}  # fmt: skip
"""Linear layers of other families that get no adapter. PEFT refuses out_proj, as kernels for state spaces read its
weight past an adapter; transformers' own code reads that of dt_proj so, and its adapter would never learn."""

FOURFOLD = ("gpt2", "falcon")
"""Families whose MLP is four times as wide as hidden where the config.json gives no width."""

ALIASES = {
    "hidden_size": ("hidden_size", "n_embd", "n_embed", "d_model"),
    "num_hidden_layers": ("num_hidden_layers", "n_layer", "num_layers"),
    "num_attention_heads": ("num_attention_heads", "n_head"),
    "num_key_value_heads": ("num_key_value_heads", "num_kv_heads", "multi_query_group_num"),
    "intermediate_size": ("block_ff_dim", "intermediate_size", "n_inner", "ffn_hidden_size"),
    "max_position_embeddings": ("max_position_embeddings", "n_positions", "n_ctx", "seq_length"),
    "num_experts": ("num_experts", "num_local_experts"),
}
"""The names that one fact has in the config.json of different families."""


def is_set(flag: Flag, config: dict[str, Any]) -> bool:
    """Whether a flag of a family holds for this config."""
    if isinstance(flag, bool):
        return flag
    value = config.get(flag.removeprefix("!"))
    return flag.startswith("!") if value is None else bool(value)
