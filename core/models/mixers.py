"""What stands in the place of attention in some layers of a hybrid: convolutions, delta rules, state spaces.

Widths and counts are read off the classes of transformers 5.23; none of them ever stores length × length scores.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from core.errors import HoneError

DELTA_CHUNK = 64
"""Tokens that the delta rule takes together; no config changes it."""
LINEAR, ATTENTION = "linear", "attention"
"""The kinds of layers: those with a mixer, and those with attention."""
OUTPUT = "out_proj"
"""The name of a mixer's last matrix."""
MIXTURE = "mixture_"
"""What stands before a kind of layers that have experts, in a family whose models may have none."""

Whole = Callable[..., int]
"""Reads a whole number of a config: its key, a default, and the smallest that can be."""


@dataclass(frozen=True)
class Mixer:
    """The dimensions of a mixer. Widths are numbers of channels; what a mixer does not have is 0."""

    kernel: int
    """Tokens that its short convolution sees."""
    conv: int
    """Width of what goes through the convolution."""
    values: int
    inside: int
    """Width of all that is made of the hidden states at first."""
    keys: int = 0
    repeated: int = 0
    """Width of the keys once every value head has its own."""
    heads: int = 0
    """Value heads, each with a decay and a learning rate of its own."""
    groups: int = 0
    """Of value heads that share keys."""
    head_width: int = 0
    """Of one value head."""
    state: int = 0
    """Numbers in the state of one row."""
    chunk: int = 0
    """Tokens that are taken together, after which the state is passed on."""

    def num_chunks(self, length: int) -> int:
        """Chunks of a row; 0 for a mixer without a state."""
        return -(-length // self.chunk) if self.chunk else 0


def conv_mixer(whole: Whole, hidden: int) -> Mixer:
    """LFM2's gated short convolution."""
    return Mixer(whole("conv_L_cache", 3), conv=hidden, values=hidden, inside=3 * hidden)


def delta_mixer(whole: Whole) -> Mixer:
    """The gated delta rule of Qwen3-Next and Qwen3.5."""
    key_heads, heads = whole("linear_num_key_heads", 16), whole("linear_num_value_heads", 32)
    key_width, value_width = whole("linear_key_head_dim", 128), whole("linear_value_head_dim", 128)
    keys, values = key_heads * key_width, heads * value_width
    return Mixer(
        whole("linear_conv_kernel_dim", 4), conv=2 * keys + values, values=values, inside=2 * keys + 2 * values,
        keys=keys, repeated=heads * key_width, heads=heads, groups=key_heads, head_width=value_width,
        state=heads * key_width * value_width, chunk=DELTA_CHUNK,
    )  # fmt: skip


def mamba_mixer(whole: Whole, hidden: int, name: str) -> Mixer:
    """Mamba 2's state space. Raises HoneError when its heads do not divide its width."""
    heads, groups, size = whole("mamba_n_heads", 128), whole("mamba_n_groups", 1), whole("mamba_d_state", 256)
    values = whole("mamba_d_ssm", 0, smallest=0) or whole("mamba_expand", 2) * hidden
    if values % heads:
        raise HoneError(f"The config.json of {name} splits a width of {values} over {heads} mamba heads, which "
                        "cannot be; download the model again.", path="model.source")  # fmt: skip
    conv = values + 2 * groups * size
    return Mixer(
        whole("mamba_d_conv", 4), conv=conv, values=values, inside=values + conv + heads, keys=groups * size,
        repeated=heads * size, heads=heads, groups=groups, head_width=values // heads, state=values * size,
        chunk=whole("mamba_chunk_size", 256),
    )  # fmt: skip


def mixed_layers(config: dict[str, Any], num_layers: int, name: str) -> list[bool]:
    """Of each layer, whether it has a mixer and no attention. Raises HoneError for a list of layers that is
    none."""
    types = config.get("layer_types") or config.get("layers_block_type")
    if types is not None:
        if not isinstance(types, list) or len(types) != num_layers or not all(type(one) is str for one in types):
            raise HoneError(f"The config.json of {name} gives layer_types as something else than a name for each "
                            "of its layers; download the model again.", path="model.source")  # fmt: skip
        return ["attention" not in one or "linear" in one for one in types]
    attention = config.get("full_attn_idxs" if config.get("model_type") == "lfm2" else "attn_layer_indices")
    if config.get("model_type") in ("lfm2", "bamba"):
        if attention is None:
            return [config["model_type"] == "bamba"] * num_layers
        if not isinstance(attention, list) or not all(type(index) is int for index in attention):
            raise HoneError(f"The config.json of {name} gives its layers with attention as something else than a "
                            "list of numbers; download the model again.", path="model.source")  # fmt: skip
        return [index not in attention for index in range(num_layers)]
    if config.get("model_type") == "granitemoehybrid":
        return [True] * num_layers
    step = config.get("full_attention_interval") or 4
    every = step if type(step) is int and step > 0 else num_layers + 1
    return [(index + 1) % every > 0 for index in range(num_layers)]
