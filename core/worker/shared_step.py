"""The gradient of an optimizer step that several processes compute together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from core.worker.batches import Numbers
from core.worker.checkpoint import Progress
from core.worker.flat_gradients import FlatGradients
from core.worker.group import Group
from core.worker.shards import Shards
from core.worker.step import Gradient, Stepper, Whole


@dataclass(frozen=True)
class SharedStepper(Stepper):
    """Each process takes its part of a step's batches; the loss is divided by the trained tokens of them all, so
    the sum of the gradients is that of one process. When memory runs out in one, it alone computes fewer rows at
    once.
    """

    group: Group
    flat: FlatGradients

    def gradient(
        self, batches: list[list[Numbers]], progress: Progress, seed: int, whole: Whole | None = None
    ) -> Gradient:
        """The same gradient in every process. Dropout is drawn from another seed in each."""
        seed = (seed + self.group.rank) % 2**64
        return super().gradient(self.group.share(batches), progress, seed, whole or self._count(batches))

    def _count(self, batches: list[list[Numbers]]) -> Whole:
        numbers = [number for batch in batches for sequence in batch for number in sequence]
        trained = sum(int(np.count_nonzero(self.examples[number][1])) for number in numbers)
        return Whole(num_trained=trained, num_tokens=sum(len(self.examples[number][0]) for number in numbers))

    def _clear(self) -> None:
        self.flat.clear()

    def _gather(self, loss: Tensor) -> Tensor:
        self.group.add_up(self.flat.with_loss(loss))
        return self.flat.loss.clone()


@dataclass(frozen=True)
class ShardedStepper(SharedStepper):
    """The same with layers that are split between the processes. Each pass of one is a pass of all: a process that
    has none, or whose memory ran out in the midst of one, still gives its parts."""

    shards: Shards

    def _begin_pass(self) -> None:
        self.shards.finish()  # of an attempt that failed
        self.group.anyone(True)
        self.shards.begin()

    def _gather(self, loss: Tensor) -> Tensor:
        self.shards.finish()
        while self.group.anyone(False):
            self.shards.begin()
            self.shards.finish()
        return super()._gather(loss)
