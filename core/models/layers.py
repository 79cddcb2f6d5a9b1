"""The linear layers and parameter counts that a family builds from a model's dimensions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.models.families import Family, is_set


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


@dataclass(frozen=True)
class Linear:
    """A kind of linear layer that stands `count` times in the model."""

    name: str
    """Name of the module, such as "q_proj"; what adapter targets are matched with."""
    num_in: int
    num_out: int
    count: int
    is_quantisable: bool = True

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


def layers_of(family: Family, shape: Shape, config: dict[str, Any]) -> Layers:
    """The layers of a known family; `config` is its config.json, for the switches a family has."""
    is_sparse = [_is_sparse(family, index, config, shape) for index in range(shape.num_layers)]
    num_sparse = sum(is_sparse)
    num_dense = shape.num_layers - num_sparse
    attention, attention_rest = _attention(family, shape, config)
    mlp, mlp_rest = _mlp(family, shape, config, shape.mlp, num_dense)
    linears = [*attention, *mlp]
    rest = shape.num_layers * (attention_rest + _norms(family, shape, config)) + num_dense * mlp_rest
    rest += family.norm_weights * shape.hidden
    if family.positions:
        rest += config["max_position_embeddings"] * shape.hidden
    if family.head_bias:
        rest += shape.vocab
    expert, router_rest, shared = _experts(family, shape, config, num_sparse)
    return Layers(tuple(linears + shared), expert, rest + num_sparse * router_rest)


def _attention(family: Family, shape: Shape, config: dict[str, Any]) -> tuple[list[Linear], int]:
    query, key = shape.num_heads * shape.head_dim, shape.num_kv_heads * shape.head_dim
    widths = (query, key, key) if len(family.qkv) == 3 else (query + 2 * key,)
    linears = [
        Linear(name, shape.hidden, width, shape.num_layers, family.quantisable)
        for name, width in zip(family.qkv, widths, strict=True)
    ]
    linears.append(Linear(family.output, query, shape.hidden, shape.num_layers, family.quantisable))
    rest = (query + 2 * key) * is_set(family.qkv_bias, config) + shape.hidden * is_set(family.output_bias, config)
    if family.qk_norm and (not family.qk_norm_key or config.get(family.qk_norm_key)):
        width = 2 * shape.head_dim if family.qk_norm == "head" else query + key
        rest += width * family.qk_norm_weights
    if family.experts == "gpt_oss":
        rest += shape.num_heads  # one attention sink a head
    return linears, rest


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
    if width := config.get("shared_expert_intermediate_size"):
        shared, _ = _mlp(family, shape, config, width, num_sparse)
        shared.append(Linear("shared_expert_gate", h, 1, num_sparse, family.quantisable))
    return expert, router, shared
