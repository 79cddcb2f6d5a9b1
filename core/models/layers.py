"""The linear layers and parameter counts that a family builds from a model's dimensions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from core.models.families import Family, is_set
from core.models.mixers import ATTENTION, LINEAR, Mixer, mixed_layers

SHARED = "shared_expert_intermediate_size"


@dataclass(frozen=True)
class Shape:
    """The dimensions that config.json states."""

    hidden: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    mlp: int
    vocab: int
    num_experts: int = 0
    experts_per_token: int = 0
    expert_mlp: int = 0
    mixer: Mixer | None = None


@dataclass(frozen=True)
class Linear:
    """A kind of linear layer that stands `count` times in the model."""

    name: str
    """Name of the module, such as "q_proj"; what adapter targets are matched with."""
    num_in: int
    num_out: int
    count: int
    is_quantisable: bool = True
    is_adaptable: bool = True
    """Whether PEFT can put an adapter on it."""

    @property
    def num_weights(self) -> int:
        """Weights of one of them, its bias left out."""
        return self.num_in * self.num_out


@dataclass(frozen=True)
class Layers:
    """What all layers of a model hold together, in parameters."""

    linears: tuple[Linear, ...]
    num_expert: int
    num_rest: int
    kinds: tuple[tuple[str, int], ...] = ()
    """The kinds of layers of a hybrid and how many there are of each; empty where all layers are alike."""
    num_first: int = 0
    """Layers with a mixer that come before the first with attention."""


def layers_of(family: Family, shape: Shape, config: dict[str, Any], name: str) -> Layers:
    """The layers of a known family; `config` is its config.json, for the switches a family has. Raises HoneError
    (path "model.source") when `name`'s config does not say which layer is of which kind."""
    is_sparse = [_is_sparse(family, index, config, shape) for index in range(shape.num_layers)]
    num_sparse = sum(is_sparse)
    num_dense = shape.num_layers if family.experts == "granite" else shape.num_layers - num_sparse
    is_mixed = shape.mixer is not None and not family.is_parallel
    mixed = mixed_layers(config, shape.num_layers, name) if is_mixed else []
    num_mixed = sum(mixed)
    num_attention = shape.num_layers - num_mixed
    counts = ((LINEAR, num_mixed), (ATTENTION, num_attention)) if is_mixed else ()
    kinds = tuple((kind, count) for kind, count in counts if count)
    num_first = mixed.index(False) if num_mixed and num_attention else 0
    attention, attention_rest = _attention(family, shape, config, num_attention)
    mlp, mlp_rest = _mlp(family, shape, config, shape.mlp, num_dense)
    linears = [*attention, *mlp]
    rest = shape.num_layers * _norms(family, shape, config)
    rest += num_attention * attention_rest + num_dense * mlp_rest
    if shape.mixer:
        count = shape.num_layers if family.is_parallel else num_mixed
        mixer, mixer_rest = _mixer(family, shape.hidden, shape.mixer, config, count)
        linears += mixer
        rest += count * mixer_rest
    rest += family.norm_weights * shape.hidden
    if family.positions:
        rest += config["max_position_embeddings"] * shape.hidden
    if family.head_bias:
        rest += shape.vocab
    expert, router_rest, shared = _experts(family, shape, config, num_sparse)
    every = (replace(linear, is_adaptable=linear.name not in family.unadapted) for linear in linears + shared)
    return Layers(tuple(every), expert, rest + num_sparse * router_rest, kinds, num_first)


def _attention(family: Family, shape: Shape, config: dict[str, Any], count: int) -> tuple[list[Linear], int]:
    query, key = shape.num_heads * shape.head_dim, shape.num_kv_heads * shape.head_dim
    asked = 2 * query if family.gated_attention else query
    widths = (asked, key, key) if len(family.qkv) == 3 else (asked + 2 * key,)
    linears = [
        Linear(name, shape.hidden, width, count, family.quantisable)
        for name, width in zip(family.qkv, widths, strict=True)
    ]
    linears.append(Linear(family.output, query, shape.hidden, count, family.quantisable))
    rest = (asked + 2 * key) * is_set(family.qkv_bias, config) + shape.hidden * is_set(family.output_bias, config)
    if family.qk_norm and (not family.qk_norm_key or config.get(family.qk_norm_key)):
        width = 2 * shape.head_dim if family.qk_norm == "head" else query + key
        rest += width * family.qk_norm_weights
    if family.experts == "gpt_oss":
        rest += shape.num_heads  # one attention sink a head
    return linears, rest


def _mixer(
    family: Family, hidden: int, mixer: Mixer, config: dict[str, Any], count: int
) -> tuple[list[Linear], int]:
    """The linear layers of all mixers, and what else one of them holds."""
    rest = mixer.conv * mixer.kernel
    if family.mixer == "conv":
        into, out_bias = {"in_proj": mixer.inside}, is_set("conv_bias", config)
        rest += (mixer.conv + mixer.inside) * out_bias
    elif family.mixer == "mamba":
        into, bias = {"in_proj": mixer.inside}, is_set("mamba_proj_bias", config)
        out_bias = is_set("projectors_bias", config) if family.is_parallel else bias
        has_norm = not family.is_parallel or is_set("mamba_rms_norm", config)
        rest += mixer.conv * is_set("!mamba_conv_bias", config) + mixer.inside * bias
        rest += 3 * mixer.heads + mixer.values * has_norm
    else:
        out_bias = False
        into = {"in_proj_qkvz": mixer.inside, "in_proj_ba": 2 * mixer.heads}
        if family.mixer == "delta_split":
            into = {"in_proj_qkv": mixer.conv, "in_proj_z": mixer.values, "in_proj_b": mixer.heads}
            into["in_proj_a"] = mixer.heads
        rest += 2 * mixer.heads + mixer.head_width
    linears = [Linear(name, hidden, width, count, family.quantisable) for name, width in into.items()]
    linears.append(Linear("out_proj", mixer.values, hidden, count, family.quantisable))
    return linears, rest + hidden * out_bias


def _mlp(family: Family, shape: Shape, config: dict[str, Any], width: int, count: int) -> tuple[list[Linear], int]:
    if not count:
        return [], 0
    *into, out = family.mlp
    into_width = width * 2 if family.gated and len(into) == 1 else width
    linears = [Linear(name, shape.hidden, into_width, count, family.quantisable) for name in into]
    linears.append(Linear(out, width, shape.hidden, count, family.quantisable))
    biases = into_width * len(into) + shape.hidden
    return linears, biases * is_set(family.mlp_bias, config)


def _norms(family: Family, shape: Shape, config: dict[str, Any]) -> int:
    count = family.norms
    if config.get("model_type") == "falcon":
        is_new = bool(config.get("new_decoder_architecture"))
        if is_new:
            count = 1 if config.get("num_ln_in_parallel_attn") == 1 else 2
        else:
            count = 1 if config.get("parallel_attn", True) else 2
    if config.get("model_type") == "stablelm" and config.get("use_parallel_residual"):
        count = 1
    return count * family.norm_weights * shape.hidden


def _is_sparse(family: Family, index: int, config: dict[str, Any], shape: Shape) -> bool:
    if not family.experts or not shape.num_experts:
        return False
    if family.experts == "qwen":
        step = config.get("decoder_sparse_step") or 1
        return index not in (config.get("mlp_only_layers") or []) and (index + 1) % step == 0
    return True


def _experts(
    family: Family, shape: Shape, config: dict[str, Any], num_sparse: int
) -> tuple[int, int, list[Linear]]:
    """Parameters in expert tensors, other parameters a layer, and the shared expert's linear layers."""
    if not num_sparse:
        return 0, 0, []
    h, f, e = shape.hidden, shape.expert_mlp, shape.num_experts
    expert, router = num_sparse * e * 3 * h * f, e * h
    if family.experts == "gpt_oss":
        return expert + num_sparse * e * (2 * f + h), router + e, []
    shared: list[Linear] = []
    # Of the families whose experts are alike, only those whose class has a width for a shared one have one.
    if (width := config.get(SHARED)) and SHARED in family.defaults:
        shared, _ = _mlp(family, shape, config, width, num_sparse)
        shared.append(Linear("shared_expert_gate", h, 1, num_sparse, family.quantisable))
    return expert, router, shared
