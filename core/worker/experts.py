"""Experts of a mixture in 4 or 8 bits: packed as bitsandbytes packs a layer, unpacked one expert at a time.

transformers keeps the weights of all experts of a layer in one three-dimensional parameter, which bitsandbytes
does not reach. Here each expert is quantised by itself, with bitsandbytes' own functions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from bitsandbytes import functional as bnb
from torch import Tensor, nn
from transformers.integrations.moe import ALL_EXPERTS_FUNCTIONS

from core.config import ModelSection

NAMES = ("gate_up_proj", "up_proj", "down_proj")
IMPLEMENTATION = "hone_quantized"
"""What transformers calls `forward` by."""
BLOCK, NESTED_BLOCK = 64, 256

Span = tuple[int, int, int]
"""An expert, and the first and the last of the sorted rows (exclusive) that go to it."""


@dataclass
class PackedExperts:
    """How the packed weights [experts, bytes] of one parameter are unpacked. Constants have one row an expert."""

    shape: torch.Size
    """Of the weights: experts, and the two dimensions of each."""
    dtype: torch.dtype
    """What weights are unpacked to."""
    quant_type: str
    """nf4, fp4 or int8."""
    constants: dict[str, Tensor] = field(default_factory=dict)
    """absmax, code, and nested_absmax, nested_code and offset under double quantisation; scale for int8."""

    def weight(self, packed: Tensor, expert: int) -> Tensor:
        """The weights of one expert, [shape[1], shape[2]] in `dtype`."""
        row = packed[expert]
        if self.quant_type == "int8":
            scale = self.constants["scale"][expert].unsqueeze(1).mul(1 / 127)
            return row.to(self.dtype, copy=True).mul_(scale)
        return bnb.dequantize_4bit(row.unsqueeze(1), self._state(expert)).view(self.shape[1:])

    def _state(self, expert: int) -> bnb.QuantState:
        constants, nested = self.constants, None
        if "offset" in constants:
            nested = bnb.QuantState(
                absmax=constants["nested_absmax"][expert],
                code=constants["nested_code"],
                blocksize=NESTED_BLOCK,
                dtype=torch.float32,
            )
        return bnb.QuantState(
            absmax=constants["absmax"][expert],
            # WORKAROUND: given two dimensions, bitsandbytes 0.50 takes rows on a CPU for whole blocks, and mixes
            # them up where 64 does not divide their length.
            shape=torch.Size((self.shape[1] * self.shape[2],)),
            code=constants["code"],
            blocksize=BLOCK,
            quant_type=self.quant_type,
            dtype=self.dtype,
            offset=constants["offset"][expert] if nested else None,
            state2=nested,
        )


def packed_parameter(packed: Tensor, state: PackedExperts) -> nn.Parameter:
    """The parameter that stands in the place of the weights; its `quant_state` says what they are."""
    parameter = nn.Parameter(packed, requires_grad=False)
    parameter.quant_state = state  # type: ignore[attr-defined]
    return parameter


def quantize(weights: Tensor, quant_type: str, is_double: bool) -> nn.Parameter:
    """Weights [experts, …, …] quantised, each expert by itself."""
    state = PackedExperts(weights.shape, weights.dtype, quant_type)
    if quant_type == "int8":
        rows, scales, _ = zip(*(bnb.int8_vectorwise_quant(one.to(torch.float16)) for one in weights), strict=True)
        state.constants["scale"] = torch.stack(scales)
        return packed_parameter(torch.stack(rows), state)
    found = [
        bnb.quantize_4bit(one.contiguous(), blocksize=BLOCK, compress_statistics=is_double, quant_type=quant_type)
        for one in weights
    ]
    states: list[Any] = [one for _, one in found]
    state.constants = {"absmax": torch.stack([one.absmax for one in states]), "code": states[0].code}
    if is_double:
        state.constants |= {
            "nested_absmax": torch.stack([one.state2.absmax for one in states]),
            "nested_code": states[0].state2.code,
            "offset": torch.stack([one.offset for one in states]),
        }
    return packed_parameter(torch.stack([packed.flatten() for packed, _ in found]), state)


def hollow(shape: torch.Size, dtype: torch.dtype, quant_type: str, is_double: bool) -> nn.Parameter:
    """What `quantize` would give for weights of this shape, filled with zeros."""
    state = PackedExperts(shape, dtype, quant_type)
    num_experts, size = shape[0], shape[1] * shape[2]
    if quant_type == "int8":
        state.constants["scale"] = torch.zeros(shape[:2])
        return packed_parameter(torch.zeros(shape, dtype=torch.int8), state)
    blocks = -(-size // BLOCK)
    absmax = torch.zeros(num_experts, blocks, dtype=torch.uint8 if is_double else torch.float32)
    state.constants = {"absmax": absmax, "code": torch.zeros(16)}
    if is_double:
        state.constants |= {
            "nested_absmax": torch.zeros(num_experts, -(-blocks // NESTED_BLOCK)),
            "nested_code": torch.zeros(256),
            "offset": torch.zeros(num_experts),
        }
    return packed_parameter(torch.zeros(num_experts, (size + 1) // 2, dtype=torch.uint8), state)


def emptied(parameter: nn.Parameter) -> nn.Parameter:
    """A packed parameter like this one, made of zeros."""
    state = parameter.quant_state  # type: ignore[attr-defined]
    return hollow(state.shape, state.dtype, state.quant_type, "offset" in state.constants)


def is_packed(parameter: Any) -> bool:
    return isinstance(getattr(parameter, "quant_state", None), PackedExperts)


def is_expert_weight(module: nn.Module, name: str) -> bool:
    """Whether a module's parameter holds the weights of all experts of a layer."""
    value = module._parameters.get(name)
    has_experts = hasattr(module, "is_transposed") and hasattr(module, "num_experts")
    return has_experts and name in NAMES and value is not None and (value.ndim == 3 or is_packed(value))


def expert_weights(model: nn.Module) -> Iterator[tuple[nn.Module, str]]:
    """Every module with experts and the names of its weights."""
    for module in model.modules():
        yield from ((module, name) for name in NAMES if is_expert_weight(module, name))


def quantization_of(section: ModelSection) -> tuple[str, bool]:
    """The type of quantisation, and whether it is a double one."""
    return section.quantization, section.double_quantization and section.quantization != "int8"


def forward(module: Any, hidden: Tensor, chosen: Tensor, shares: Tensor) -> Tensor:
    """The experts' answer [tokens, hidden] for hidden states [tokens, hidden], the experts chosen for each token
    [tokens, k] and their shares [tokens, k]; as transformers' grouped_mm_experts_forward computes it."""
    num_tokens, num_chosen = chosen.shape
    experts, order = torch.sort(chosen.reshape(-1))
    spans = spans_of(experts, module.num_experts)
    rows = hidden[order // num_chosen]
    rows = _linear(module, "gate_up_proj" if module.has_gate else "up_proj", rows, experts, spans)
    rows = module._apply_gate(rows) if module.has_gate else module.act_fn(rows)
    rows = _linear(module, "down_proj", rows, experts, spans)
    if module.has_post_expert_norm:
        rows = module.post_expert_norm(rows)
    rows = rows * shares.reshape(-1)[order].unsqueeze(-1)
    back = torch.empty_like(order)
    back[order] = torch.arange(len(order), device=order.device)
    return rows[back].view(num_tokens, num_chosen, -1).sum(dim=1).to(hidden.dtype)


def spans_of(experts: Tensor, num_experts: int) -> list[Span]:
    """Which of the rows, sorted by expert, go to which; experts that were not chosen are left out."""
    ends = torch.bincount(experts, minlength=num_experts).cumsum(0).tolist()
    starts = [0, *ends[:-1]]
    return [(i, start, end) for i, (start, end) in enumerate(zip(starts, ends, strict=True)) if start < end]


def _linear(module: Any, name: str, rows: Tensor, experts: Tensor, spans: list[Span]) -> Tensor:
    packed = getattr(module, name)
    state: PackedExperts = packed.quant_state
    result = _ExpertsLinear.apply(rows.to(state.dtype), packed, state, spans, module.is_transposed)
    if module.has_bias:
        result.add_(getattr(module, f"{name}_bias")[experts])  # type: ignore[union-attr]
    return result  # type: ignore[return-value]


class _ExpertsLinear(torch.autograd.Function):
    """Each row times the weights of its expert. Keeps no unpacked weights: they are unpacked again to go back."""

    @staticmethod
    def forward(
        ctx: Any, rows: Tensor, packed: Tensor, state: PackedExperts, spans: list[Span], is_transposed: bool
    ) -> Tensor:
        ctx.packed, ctx.state, ctx.spans, ctx.is_transposed = packed, state, spans, is_transposed
        result = rows.new_empty(len(rows), state.shape[2 if is_transposed else 1])
        for expert, start, end in spans:
            weight = state.weight(packed, expert)
            torch.mm(rows[start:end], weight if is_transposed else weight.t(), out=result[start:end])
            del weight
        return result

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> Any:
        (gradient,) = outer
        state: PackedExperts = ctx.state
        result = gradient.new_empty(len(gradient), state.shape[1 if ctx.is_transposed else 2])
        for expert, start, end in ctx.spans:
            weight = state.weight(ctx.packed, expert)
            torch.mm(gradient[start:end], weight.t() if ctx.is_transposed else weight, out=result[start:end])
            del weight
        return result, None, None, None, None


ALL_EXPERTS_FUNCTIONS.register(IMPLEMENTATION, forward)
