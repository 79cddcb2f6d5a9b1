"""Mends what 8-bit layers of bitsandbytes keep between forward and backward pass.

WORKAROUND: bitsandbytes 0.50 puts the input of a layer on the graph by hand, past torch's way of saving tensors.
So recomputing does not drop it, and it stays in a cycle after the backward pass until Python collects its garbage.
Only the gradient of an 8-bit weight would need the input, and those weights are frozen.
"""

from __future__ import annotations

from typing import Any

from bitsandbytes.autograd import _functions
from bitsandbytes.autograd._functions import MatMul8bitFp, MatMul8bitLt
from torch import Tensor

WEIGHT = 1
"""The place of the weight among the arguments."""


class LeanLt(MatMul8bitLt):
    """A product of 8-bit numbers, as on a GPU and in an evaluation, that keeps no input of a frozen weight."""

    @staticmethod
    def forward(ctx: Any, *given: Any) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        result = MatMul8bitLt.forward(ctx, *given)
        if not ctx.needs_input_grad[WEIGHT] and not ctx.is_empty:
            ctx.tensors, ctx.tensor_states = (None, None, None), (None, None)
        return result


class LeanFp(MatMul8bitFp):
    """A product with the unpacked weight, as in training on a CPU, that keeps no input of a frozen weight."""

    @staticmethod
    def forward(ctx: Any, *given: Any) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        result = MatMul8bitFp.forward(ctx, *given)
        if not ctx.needs_input_grad[WEIGHT]:
            ctx.A = None
        return result


def mend_keeping() -> None:
    """Let every 8-bit layer of this process keep no more than it needs."""
    _functions.MatMul8bitLt = LeanLt  # type: ignore[misc]
    _functions.MatMul8bitFp = LeanFp  # type: ignore[misc]
