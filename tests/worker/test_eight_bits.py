"""8-bit layers give the gradients they always gave, and keep no input when their weights are frozen."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from itertools import pairwise

import bitsandbytes.autograd._functions as functions
import pytest
import torch
from bitsandbytes.nn import Linear8bitLt
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from core.worker.eight_bits import LeanFp, LeanLt, mend_keeping

WIDTHS = (64, 96, 32)


@pytest.fixture
def unmended() -> Iterator[None]:
    """bitsandbytes as it comes, for as long as a test takes."""
    mended = functions.MatMul8bitLt, functions.MatMul8bitFp
    functions.MatMul8bitLt, functions.MatMul8bitFp = LeanLt.__base__, LeanFp.__base__
    yield
    functions.MatMul8bitLt, functions.MatMul8bitFp = mended


def layers(is_training: bool) -> nn.Sequential:
    """Frozen 8-bit layers; in training they compute as on a CPU, otherwise as on a GPU."""
    generator = torch.Generator().manual_seed(0)
    made = []
    for num_in, num_out in pairwise(WIDTHS):
        layer = Linear8bitLt(num_in, num_out, bias=False, has_fp16_weights=False)
        layer.weight.data = torch.randn(num_out, num_in, generator=generator)
        made.append(layer.to("cpu"))  # which quantises
    return nn.Sequential(*made).train(is_training)


def inputs() -> Tensor:
    return torch.randn(2, 5, WIDTHS[0], generator=torch.Generator().manual_seed(1), requires_grad=True)


def gradient(model: nn.Module) -> Tensor:
    given = inputs()
    model(given).square().sum().backward()
    assert given.grad is not None
    return given.grad


@pytest.mark.parametrize("is_training", [True, False])
def test_the_gradient_is_the_one_it_was(is_training: bool, unmended: None) -> None:
    model = layers(is_training)
    before = gradient(model)
    mend_keeping()
    assert functions.MatMul8bitFp is LeanFp and functions.MatMul8bitLt is LeanLt
    assert torch.equal(gradient(model), before) and before.abs().sum() > 0


@pytest.mark.parametrize("is_training", [True, False])
@pytest.mark.parametrize("is_mended", [True, False])
def test_recomputing_drops_the_inputs_of_8_bit_layers(is_mended: bool, is_training: bool, unmended: None) -> None:
    if is_mended:
        mend_keeping()
    model, seen = layers(is_training), []
    hook = model[1].register_forward_pre_hook(
        lambda layer, args: seen.append(weakref.ref(args[0].untyped_storage()))
    )
    result = checkpoint(model, inputs(), use_reentrant=False)
    hook.remove()
    assert isinstance(result, Tensor) and len(seen) == 1
    # Were the second half of this ever to fail, the mend would have nothing left to mend.
    assert (seen[0]() is None) is is_mended
