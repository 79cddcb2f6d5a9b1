"""Gradients that lie side by side in one buffer, so that adding them up over processes takes one exchange."""

from __future__ import annotations

import torch
from torch import Tensor

from core.worker.optimizer import NamedParameters


class FlatGradients:
    """A buffer per number format. The parameters' gradients are views into them and take no room of their own; the
    one in 32 bits ends with a place for the loss."""

    def __init__(self, parameters: NamedParameters, device: torch.device) -> None:
        self._parameters = [parameter for _, parameter in parameters]
        sizes = {torch.float32: 1}
        for parameter in self._parameters:
            sizes[parameter.dtype] = sizes.get(parameter.dtype, 0) + parameter.numel()
        self._buffers = {dtype: torch.zeros(size, dtype=dtype, device=device) for dtype, size in sizes.items()}
        self._views: list[Tensor] = []
        starts = dict.fromkeys(sizes, 0)
        for parameter in self._parameters:
            start = starts[parameter.dtype]
            starts[parameter.dtype] = end = start + parameter.numel()
            self._views.append(self._buffers[parameter.dtype][start:end].view(parameter.shape))

    def clear(self) -> None:
        """Set all gradients to zero; backward passes add to them in place."""
        for buffer in self._buffers.values():
            buffer.zero_()
        for parameter, view in zip(self._parameters, self._views, strict=True):
            parameter.grad = view

    def with_loss(self, loss: Tensor) -> list[Tensor]:
        """Everything that is to be added up: the gradients, and the loss beside them.

        Raises RuntimeError when a gradient is no longer where it was put.
        """
        pairs = zip(self._parameters, self._views, strict=True)
        if any(parameter.grad is not view for parameter, view in pairs):
            raise RuntimeError("A gradient was replaced, so it cannot be added up.")
        self.loss.copy_(loss)
        return list(self._buffers.values())

    @property
    def loss(self) -> Tensor:
        """The place of the loss, a float32 scalar."""
        return self._buffers[torch.float32][-1]
