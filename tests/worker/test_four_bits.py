"""4-bit weights come out of their packing as they went in, whatever the width of a layer."""

from __future__ import annotations

import bitsandbytes.functional as bnb
import pytest
import torch
from bitsandbytes.nn import Linear4bit

from core.worker.four_bits import mend_unpacking


def unpacked(packed: torch.Tensor, state: bnb.QuantState, count: int) -> torch.Tensor:
    """Two weights a byte, the first in the upper half, times the constant of their block of 64."""
    codes = torch.stack([packed.flatten() >> 4, packed.flatten() & 15], 1).flatten()[:count].long()
    return state.code[codes] * state.absmax.repeat_interleave(64)[:count]


@pytest.mark.parametrize("quant_type", ["nf4", "fp4"])
@pytest.mark.parametrize("width", [16, 32, 64, 96, 100, 128, 160, 224])
def test_every_width_is_unpacked_right(width: int, quant_type: str) -> None:
    mend_unpacking()
    weight = torch.randn(128, width, generator=torch.Generator().manual_seed(width))
    packed, state = bnb.quantize_4bit(weight, blocksize=64, quant_type=quant_type)
    expected = unpacked(packed, state, weight.numel()).view_as(weight)
    assert torch.allclose(bnb.dequantize_4bit(packed, state), expected, atol=1e-6)


def test_a_narrow_layer_and_its_gradient_are_right() -> None:
    mend_unpacking()
    layer = Linear4bit(
        96, 64, bias=False, compress_statistics=False, quant_type="nf4", compute_dtype=torch.float32
    )
    layer.support_avx512bf16_for_cpu = False
    layer.to("cpu")
    layer(torch.zeros(1, 96))  # quantises
    weight = unpacked(layer.weight.data, layer.weight.quant_state, 96 * 64).view(64, 96)
    inputs = torch.randn(5, 96, generator=torch.Generator().manual_seed(0), requires_grad=True)
    outputs = layer(inputs)
    outputs.sum().backward()
    assert torch.allclose(outputs, inputs.detach() @ weight.T, atol=1e-4)
    assert torch.allclose(inputs.grad, weight.sum(0).expand(5, 96), atol=1e-4)
