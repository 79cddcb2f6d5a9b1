"""The dimensions that a config.json states, read with care: what cannot be is refused in a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.errors import HoneError
from core.models.families import ALIASES, FAMILIES, FOURFOLD, Family
from core.models.layers import SHARED, Shape
from core.models.mixers import Mixer, conv_mixer, delta_mixer, mamba_mixer

LARGEST = 2**31 - 1
MOST = {
    "hidden_size": 2**18, "num_hidden_layers": 2**12, "num_attention_heads": 2**14, "num_key_value_heads": 2**14,
    "head_dim": 2**14, "intermediate_size": 2**21, "moe_intermediate_size": 2**21, "vocab_size": 2**24,
    "num_experts": 2**14, "num_experts_per_tok": 2**14, "shared_expert_intermediate_size": 2**21,
    "shared_intermediate_size": 2**21, "linear_num_key_heads": 2**14, "linear_num_value_heads": 2**14,
    "linear_key_head_dim": 2**14, "linear_value_head_dim": 2**14, "linear_conv_kernel_dim": 2**8,
    "mamba_n_heads": 2**14, "mamba_n_groups": 2**14, "mamba_d_state": 2**14, "mamba_d_conv": 2**8,
    "mamba_d_ssm": 2**21, "mamba_expand": 2**8, "mamba_chunk_size": 2**16, "conv_L_cache": 2**8,
}  # fmt: skip
"""Ten times and more what the largest models have: beyond, a number is a slip, and an estimate of it nonsense."""
SWITCHES = (
    "tie_word_embeddings", "attention_bias", "mlp_bias", "use_bias", "bias", "use_qkv_bias", "qkv_bias",
    "qk_layernorm", "use_qk_norm", "parallel_attn", "new_decoder_architecture", "multi_query",
    "use_parallel_residual", "use_sliding_window",
)  # fmt: skip
"""What layers there are hangs on these; a word such as "false" would count as true."""
NEVER_NULL = (
    "num_attention_heads", "num_key_value_heads", "head_dim", "vocab_size", "num_experts", "num_experts_per_tok",
    "moe_intermediate_size",
)  # fmt: skip
"""Dimensions for which a class with a default refuses null, where one without takes it for nothing said."""


@dataclass(frozen=True)
class Reader:
    """Reads whole numbers from a config and refuses what cannot be a dimension."""

    config: dict[str, Any]
    name: str
    defaults: dict[str, int]
    """What the family's class assumes where the config says nothing."""

    def whole(self, key: str, default: int | None = None, smallest: int = 1) -> int:
        """The number under a key, whatever a family calls it. Raises HoneError (path "model.source") for one that
        cannot be, and for none where there is no default."""
        names = ALIASES.get(key, (key,))
        found = next((alias for alias in names if self.config.get(alias) is not None), None)
        if found is None:
            default = self.defaults.get(key, default)
            if default is None:
                raise HoneError(f"The config.json of {self.name} does not give {key}; it is damaged or of a kind "
                                "Hone does not know.", path="model.source")  # fmt: skip
            return default
        value = self.config[found]
        if isinstance(value, list) and value and all(item == value[0] for item in value):
            value = value[0]
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if type(value) is not int or not smallest <= value <= MOST.get(key, LARGEST):
            shown = str(value)[:40]
            raise HoneError(f"The config.json of {self.name} gives {found} as {shown}, which cannot be; "
                            "download the model again.", path="model.source")  # fmt: skip
        return value

    def check_switches(self) -> None:
        """Raise HoneError for a switch that is neither true nor false."""
        for key in SWITCHES:
            if (value := self.config.get(key)) is not None and type(value) is not bool:
                raise HoneError(f"The config.json of {self.name} gives {key} as {str(value)[:40]}, which is not "
                                "true or false; download the model again.", path="model.source")  # fmt: skip


def shape_of(reader: Reader, family: str) -> Shape:
    """The dimensions of a model. Raises HoneError (path "model.source") where they contradict each other."""
    hidden, heads = reader.whole("hidden_size"), reader.whole("num_attention_heads")
    head_dim = reader.whole("head_dim", 0)
    if not head_dim and hidden % heads:
        raise HoneError(f"The config.json of {reader.name} splits a hidden_size of {hidden} over {heads} heads, "
                        "which cannot be; download the model again.", path="model.source")  # fmt: skip
    kv_heads = (
        _falcon_kv_heads(reader, heads) if family == "falcon" else reader.whole("num_key_value_heads", heads)
    )
    if kv_heads > heads:
        raise HoneError(f"The config.json of {reader.name} gives more key heads ({kv_heads}) than query heads "
                        f"({heads}), which cannot be; download the model again.", path="model.source")  # fmt: skip
    is_mixture = family in FAMILIES and FAMILIES[family].experts not in ("", "granite")  # which may have none
    experts = reader.whole("num_experts", 0, smallest=1 if is_mixture else 0)
    # A class that takes another width than four times hidden has one of its own, for a model of its own size.
    mlp = reader.whole("intermediate_size", 4 * hidden if family not in FAMILIES or family in FOURFOLD else None)
    has_own = family not in FAMILIES or FAMILIES[family].experts == "qwen"  # others' experts are as wide as stated
    expert_mlp = reader.whole("moe_intermediate_size", mlp) if has_own else mlp
    return Shape(
        hidden=hidden,
        num_layers=reader.whole("num_hidden_layers"),
        num_heads=heads,
        num_kv_heads=kv_heads,
        head_dim=head_dim or hidden // heads,
        mlp=_mlp(reader, family, mlp),
        vocab=reader.whole("vocab_size"),
        num_experts=experts,
        experts_per_token=reader.whole("num_experts_per_tok", 0, smallest=0) if experts else 0,
        expert_mlp=expert_mlp if experts else 0,
        mixer=_mixer(reader, family, hidden),
    )


def _mlp(reader: Reader, family: str, stated: int) -> int:
    """The width of an MLP where a family makes something of the stated one."""
    if family == "granitemoehybrid":
        return reader.whole("shared_intermediate_size")
    if family != "lfm2" or not reader.config.get("block_auto_adjust_ff_dim", True):
        return stated
    factor = reader.config.get("block_ffn_dim_multiplier", 1.0)
    if type(factor) not in (int, float) or not 0 < factor < 100:
        raise HoneError(f"The config.json of {reader.name} gives block_ffn_dim_multiplier as {str(factor)[:40]}, "
                        "which cannot be; download the model again.", path="model.source")  # fmt: skip
    unit = reader.whole("block_multiple_of", 256)
    return -(-int(factor * int(2 * stated / 3)) // unit) * unit


def shared_mlp(family: str, shape: Shape, reader: Reader) -> int:
    """The width of the MLP beside experts, in families whose rows tell it from that of experts."""
    if not shape.num_experts:
        return 0
    if family == "qwen2_moe":
        return reader.whole(SHARED, smallest=0)
    return shape.mlp if family == "granitemoehybrid" else 0


def _mixer(reader: Reader, family: str, hidden: int) -> Mixer | None:
    kind = FAMILIES[family].mixer if family in FAMILIES else ""
    if kind == "conv":
        return conv_mixer(reader.whole, hidden)
    if kind == "mamba":
        return mamba_mixer(reader.whole, hidden, reader.name)
    return delta_mixer(reader.whole) if kind else None


def checked(reader: Reader) -> dict[str, Any]:
    """The config with the numbers that a family's layers hang on beside its shape made sure of."""
    config = {**reader.defaults, **reader.config}
    for key, default in (
        ("decoder_sparse_step", 1), (SHARED, 0), ("max_position_embeddings", 1024)
    ):  # fmt: skip
        config[key] = reader.whole(key, default, smallest=0)
    dense = config.get("mlp_only_layers")
    if dense is not None and not (isinstance(dense, list) and all(type(index) is int for index in dense)):
        raise HoneError(f"The config.json of {reader.name} gives mlp_only_layers as something else than a list of "
                        "numbers; download the model again.", path="model.source")  # fmt: skip
    return config


def window(text: dict[str, Any], family: Family | None, reader: Reader) -> int:
    """Tokens that a layer looks back; 0 for all of them, which null means whatever the class has for a default."""
    is_off = family is not None and family.window_switch and not text.get("use_sliding_window")
    if is_off or ("sliding_window" in text and text["sliding_window"] is None):
        return 0
    return reader.whole("sliding_window", default=0, smallest=0)


def _falcon_kv_heads(reader: Reader, heads: int) -> int:
    if reader.config.get("new_decoder_architecture"):
        return reader.whole("num_key_value_heads", heads)
    return 1 if reader.config.get("multi_query", True) else heads
