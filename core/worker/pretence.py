"""Lets fake tensors on a CPU go the ways that real ones on the device would go, where values or kernels decide."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import bitsandbytes.autograd._functions as bnb_functions
import torch
from bitsandbytes.backends.cpu import ops as cpu_kernels
from torch import Tensor
from torch.autograd.graph import _engine_run_backward
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import masking_utils

from core.hardware import Device
from core.worker import experts
from core.worker.storages import StorageLog

# What autocast computes in fp32 on CUDA and not on the CPU; see torch's "Automatic Mixed Precision" page.
IN_FP32 = {
    functional.layer_norm, functional.rms_norm, functional.group_norm, functional.softplus, torch.pow,
    Tensor.pow, Tensor.__pow__, torch.rsqrt, Tensor.rsqrt, torch.exp, Tensor.exp, torch.sum, Tensor.sum,
    torch.cumsum, Tensor.cumsum, functional.softmax, torch.softmax, Tensor.softmax, functional.log_softmax,
    functional.cross_entropy,
}  # fmt: skip

SOFTMAX = {functional.softmax, torch.softmax, Tensor.softmax}
HALF = (torch.float16, torch.bfloat16)


@contextmanager
def pretend(device: Device, is_packed: bool) -> Iterator[None]:
    """Everything here that a rehearsal for a device needs."""
    with ExitStack() as stack:
        if device.kind == "cuda":
            stack.enter_context(CudaLike())
        stack.enter_context(_rows_packed(is_packed))
        stack.enter_context(_one_expert())
        yield


@contextmanager
def _rows_packed(is_packed: bool) -> Iterator[None]:
    """transformers looks at the values of positions to see if rows are packed; a fake tensor has none."""
    look = masking_utils.find_packed_sequence_indices
    masking_utils.find_packed_sequence_indices = _sequences if is_packed else lambda position_ids: None
    try:
        yield
    finally:
        masking_utils.find_packed_sequence_indices = look


def _sequences(positions: Tensor) -> Tensor:
    """The number of the example that each token belongs to, as transformers finds it from positions."""
    return (torch.diff(positions, prepend=positions[:, :1] - 1, dim=-1) != 1).cumsum(-1)


@contextmanager
def _one_expert() -> Iterator[None]:
    """Which expert a token goes to hangs on values, and no bytes hang on it: all go to one."""
    spans = experts.spans_of
    experts.spans_of = lambda chosen, num_experts: [(0, 0, len(chosen))]
    try:
        yield
    finally:
        experts.spans_of = spans


class CudaLike(TorchFunctionMode):
    """Inside it, autocast's list of fp32 functions is CUDA's, int8 layers multiply as they do on CUDA, and dropout
    is CUDA's: its kernel keeps a byte for each number where the CPU keeps another number, and attention's draws
    again in the backward pass what it dropped."""

    def __enter__(self) -> CudaLike:
        self._cpu_matmul = bnb_functions.MatMul8bitFp
        bnb_functions.MatMul8bitFp = bnb_functions.MatMul8bitLt  # type: ignore[misc]
        return super().__enter__()  # type: ignore[return-value]

    def __exit__(self, *details: Any) -> None:
        bnb_functions.MatMul8bitFp = self._cpu_matmul  # type: ignore[misc]
        super().__exit__(*details)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is Tensor.backward:
            seed = torch.ones_like(args[0])
            with self:  # the mode is off while it handles a function; this brings it back for what is recomputed
                return _engine_run_backward(
                    (args[0],), (seed,), False, False, (), allow_unreachable=True, accumulate_grad=True
                )
        if func is functional.dropout:
            return _dropped(*args, **kwargs)
        if func is functional.scaled_dot_product_attention and kwargs.get("dropout_p"):
            kwargs = {**kwargs, "dropout_p": 0.0}
        if func in SOFTMAX and kwargs.get("dtype") is torch.float32 and args[0].dtype in HALF:
            return _SoftmaxOfHalf.apply(args[0], kwargs["dim"] if "dim" in kwargs else args[1])
        if func in IN_FP32 and torch.is_autocast_enabled("cpu") and kwargs.get("dtype") is None:
            args = tuple(map(_wide, args))
            kwargs = {name: _wide(value) for name, value in kwargs.items()}
        return func(*args, **kwargs)


def _dropped(values: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    return torch.native_dropout(values, p, training)[0] if training and p else values


def _wide(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.dtype in HALF else value


class _SoftmaxOfHalf(torch.autograd.Function):
    """CUDA's softmax of 16-bit scores into fp32: one kernel, with no fp32 copy of the scores."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, dim: int) -> Tensor:
        result = scores.new_zeros(scores.shape, dtype=torch.float32)
        ctx.save_for_backward(result)
        ctx.dtype = scores.dtype
        return result

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> Any:
        (result,) = ctx.saved_tensors
        gradient = result.new_zeros(result.shape, dtype=ctx.dtype)
        product = outer[0] * result
        del product
        return gradient, None


def _change_in_place(*_: Any, **__: Any) -> None:
    """torch has no fake one for such a kernel, and would run it on real tensors as large as the weights."""


class Kernels(TorchDispatchMode):
    """Kernels that torch cannot fake, most of them bitsandbytes', by what they allocate: results, and what they
    need while they run. To be entered after the log, so that it sees both.

    They are the CPU's, or CUDA's for a large batch, read in bitsandbytes 0.50. An 8-bit layer finds no outliers in
    its input: how many there are hangs on values that a fake tensor does not have.
    """

    def __init__(self, log: StorageLog, device: Device) -> None:
        super().__init__()
        self._log = log
        kernels = torch.ops.bitsandbytes
        self._known: dict[Any, Any] = {
            kernels.gemm_4bit.default: self._gemm_4bit,
            torch.ops.aten._grouped_mm.default: self._grouped_mm,
            torch.ops.aten._fused_sgd_.default: _change_in_place,
        }
        if device.kind == "cpu":
            self._known |= {
                kernels.int8_vectorwise_quant.default: self._int8_vectorwise_quant_cpu,
                kernels.int8_mixed_scaled_mm.default: self._int8_mixed_scaled_mm_cpu,
                kernels.optimizer_update_8bit_blockwise.default: cpu_kernels._optimizer_update_8bit_blockwise_cpu,
                kernels.optimizer_update_32bit.default: cpu_kernels._optimizer_update_32bit_cpu,
            }
        else:
            self._known |= {
                torch.ops.aten._softmax_backward_data.default: self._softmax_backward,
                kernels.int8_vectorwise_quant.default: self._int8_vectorwise_quant,
                kernels.int8_mixed_scaled_mm.default: self._int8_mixed_scaled_mm,
            }

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if known := self._known.get(func):
            with self:  # the mode is off while it handles an operation, and some of these use others
                return known(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _softmax_backward(self, gradient: Tensor, result: Tensor, dim: int, dtype: torch.dtype) -> Tensor:
        """On CUDA the gradient is multiplied with the result, which is as large, once there is room for what comes
        of it."""
        found = torch.empty_like(result)
        product = gradient * result
        del product
        return found

    def _gemm_4bit(
        self, a: Tensor, b: Tensor, shape: list[int], absmax: Tensor, blocksize: int, quant_type: str,
        bias: Any = None, absmax_8bit: Tensor | None = None, absmax_code: Any = None, absmax_offset: Any = None,
    ) -> Tensor:  # fmt: skip
        constants = None
        if absmax_8bit is not None:
            unshifted = absmax_8bit.new_zeros(absmax_8bit.shape, dtype=torch.float32)
            constants = absmax_8bit.new_zeros(absmax_8bit.shape, dtype=torch.float32)
            self._call_workspace(unshifted, constants)
            del unshifted
        weight = a.new_zeros(shape)
        self._call_workspace(weight)
        result = a.new_zeros((*a.shape[:-1], shape[0]))
        del weight, constants
        return result

    def _grouped_mm(
        self, a: Tensor, b: Tensor, offs: Tensor | None = None, bias: Any = None, out_dtype: Any = None
    ) -> Tensor:
        """Of the experts of a mixture; torch's own fake one takes bf16 alone."""
        if a.ndim == b.ndim == 2:
            assert offs is not None
            return a.new_zeros(len(offs), a.shape[0], b.shape[1], dtype=out_dtype)
        return a.new_zeros(a.shape[-2], b.shape[-1], dtype=out_dtype)

    def _int8_vectorwise_quant(self, a: Tensor, threshold: float = 0.0) -> tuple[Tensor, Tensor, Tensor | None]:
        statistics = a.new_zeros(a.numel() // a.shape[-1], dtype=torch.float32)
        result = a.new_zeros(a.shape, dtype=torch.int8)
        if threshold <= 0:
            return result, statistics, None
        sizes = a.new_zeros(a.shape)
        outliers = a.new_zeros(a.shape, dtype=torch.bool)
        del sizes, outliers
        return result, statistics, a.new_zeros(0, dtype=torch.int64)

    def _int8_mixed_scaled_mm(
        self, a: Tensor, ca: Tensor, cb: Tensor, *rest: Any, **more: Any
    ) -> tuple[Tensor, Tensor]:
        shape = (*ca.shape[:-1], cb.shape[0])
        whole = a.new_zeros(shape, dtype=torch.int32)
        result = a.new_zeros(shape, dtype=torch.float16)
        if a.dtype != torch.float16:
            result = result.to(a.dtype)
        del whole
        return result, a.new_zeros(0)

    def _int8_vectorwise_quant_cpu(
        self, a: Tensor, threshold: float = 0.0
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        outliers = None
        if threshold > 0:
            above = a.abs() >= threshold
            above.any()
            outliers = a.new_zeros(0, dtype=torch.int64)
        statistics = a.abs().amax(dim=-1).float()
        return torch.round(a * (127.0 / statistics.unsqueeze(-1))).to(torch.int8), statistics, outliers

    def _int8_mixed_scaled_mm_cpu(
        self, a: Tensor, ca: Tensor, cb: Tensor, sca: Tensor, scb: Tensor, *rest: Any, **more: Any
    ) -> tuple[Tensor, Tensor]:
        shape = (*ca.shape[:-1], cb.shape[0])
        if torch.backends.cpu.get_cpu_capability() == "AVX512":
            whole = ca.new_zeros(shape, dtype=torch.int32)
        else:
            whole = torch.matmul(ca.float(), cb.float().t()).to(torch.int32)
        scaled = whole * (sca.reshape(-1).unsqueeze(-1) * scb.reshape(-1).unsqueeze(0)) * 6.2e-05
        return scaled.to(a.dtype), a.new_zeros(0)

    def _call_workspace(self, *tensors: Tensor) -> None:
        self._log.adopt(tensors, "workspace")
