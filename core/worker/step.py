"""The gradient of one optimizer step: over all its batches, in less memory when memory runs out."""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor

from core.errors import HoneError
from core.worker.batches import Numbers, collate, split_batches
from core.worker.checkpoint import Progress
from core.worker.examples import Examples
from core.worker.failure import is_out_of_memory
from core.worker.losses import TokenLoss
from core.worker.optimizer import NamedParameters

START_SCALE, MOST_SCALE, GROW_AFTER = 2.0**13, 2.0**16, 500
"""Loss scaling for fp16 (Micikevicius et al. 2018, arXiv 1710.03740): doubled after so many steps."""


@dataclass(frozen=True)
class Gradient:
    """What a step's backward passes left behind, beside the gradients themselves: scalars on the device."""

    loss: Tensor
    """Mean loss per trained token."""
    norm: Tensor
    """Length of the gradient."""
    num_tokens: int


@dataclass(frozen=True)
class Whole:
    """What a step comes to when this process computes only a part of it."""

    num_trained: int
    num_tokens: int


@dataclass(frozen=True)
class Stepper:
    """Computes gradients. The loss is divided by the trained tokens of the whole step, so its batches may be cut
    in any way without changing the gradient."""

    loss: TokenLoss
    examples: Examples
    parameters: NamedParameters
    device: torch.device
    autocast: Callable[[], AbstractContextManager[None]]
    is_scaled: bool
    """Whether the loss is scaled up, so that fp16 gradients do not vanish."""
    warn: Callable[[str], None]

    def gradient(
        self, batches: list[list[Numbers]], progress: Progress, seed: int, whole: Whole | None = None
    ) -> Gradient:
        """Leave the gradient of these batches, or of the whole step that they are a part of, in the parameters.

        When memory runs out the micro-batch of `progress` is halved and the same step done again, with dropout
        drawn from the same seed; likewise with half the loss scale when fp16 overflows. Raises HoneError when one
        row is still too much.
        """
        while True:
            torch.manual_seed(seed)
            try:
                found = self._attempt(split_batches(batches, progress.micro_batch), progress.loss_scale, whole)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                found = None
            if found is None:  # outside of the handler, whose traceback held the tensors of the failed attempt
                self._free_memory()
                self._halve(progress)
            elif self._is_scale_right(found, progress):
                return found

    def _attempt(self, batches: list[list[Numbers]], scale: float, whole: Whole | None) -> Gradient:
        self._clear()
        ready = [collate(batch, self.examples, self.device) for batch in batches]
        if whole is None:
            whole = Whole(sum(len(batch.targets) for batch in ready), sum(batch.num_tokens for batch in ready))
        total = torch.zeros((), dtype=torch.float32, device=self.device)
        for batch in ready:
            self._begin_pass()
            with self.autocast():
                loss = self.loss.sum(batch) / whole.num_trained
            (loss * scale if self.is_scaled else loss).backward()
            total += loss.detach()
        total = self._gather(total)
        gradients = [parameter.grad for _, parameter in self.parameters if parameter.grad is not None]
        if self.is_scaled:
            torch._foreach_mul_(gradients, 1 / scale)
        return Gradient(total, torch.nn.utils.get_total_norm(gradients), whole.num_tokens)

    def _clear(self) -> None:
        for _, parameter in self.parameters:
            parameter.grad = None

    def _begin_pass(self) -> None:
        """A forward and backward pass is next."""

    def _gather(self, loss: Tensor) -> Tensor:
        """The loss of the whole step, once the gradients are those of the whole step."""
        return loss

    def _is_scale_right(self, found: Gradient, progress: Progress) -> bool:
        if not self.is_scaled:
            return True
        if bool(torch.isfinite(found.norm)):
            if progress.step % GROW_AFTER == GROW_AFTER - 1:
                progress.loss_scale = min(progress.loss_scale * 2, MOST_SCALE)
            return True
        if progress.loss_scale == 1:
            return True  # not for want of room: the guard against divergence must see it
        progress.loss_scale /= 2
        return False

    def _halve(self, progress: Progress) -> None:
        if progress.micro_batch == 1:
            raise HoneError(
                "Memory ran out with a single row; shorten data.max_length, turn activation checkpointing on, or "
                "quantise the base.",
                path="data.max_length",
            )
        progress.micro_batch //= 2
        self.warn(
            f"Memory ran out, so {progress.micro_batch} rows are computed at once from now on; the result stays "
            "the same, steps take longer."
        )

    def _free_memory(self) -> None:
        self._clear()
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        elif self.device.type == "mps":
            torch.mps.empty_cache()
