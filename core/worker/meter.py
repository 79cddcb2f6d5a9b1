"""Steps on their way to the record: kept on the device, read back a few times a second, watched for divergence."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from core.events import Event, Step, Warned
from core.worker.checkpoint import Progress
from core.worker.gauge import Gauge

READ_BACK_SECONDS = 0.2
MOST_IN_A_ROW = 3
"""Steps in a row without a finite loss and gradient after which a run has diverged."""


@dataclass(frozen=True)
class _Pending:
    step: int
    epoch: float
    rate: float
    num_tokens: int
    values: Tensor  # [2]: loss and gradient norm, on the device
    time: float


class Meter:
    """Writes one Step event per step, in small groups, so that the loop seldom waits for the device."""

    def __init__(self, write: Callable[[Event], None], gauge: Gauge, progress: Progress) -> None:
        self._write = write
        self._gauge = gauge
        self._progress = progress
        self._pending: list[_Pending] = []
        self._clock = time.perf_counter()

    def add(self, step: int, epoch: float, rate: float, loss: Tensor, norm: Tensor, num_tokens: int) -> None:
        """Note a step. `loss` and `norm` are scalars on the device."""
        values = torch.stack([loss, norm])
        self._pending.append(_Pending(step, epoch, rate, num_tokens, values, time.time()))
        if time.perf_counter() - self._clock >= READ_BACK_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Read all noted steps back and write them."""
        pending, self._pending = self._pending, []
        if not pending:
            return
        values = torch.stack([step.values for step in pending]).tolist()
        now = time.perf_counter()
        speed = sum(step.num_tokens for step in pending) / max(now - self._clock, 1e-9)
        self._progress.seconds += now - self._clock
        self._clock = now
        for step, (loss, norm) in zip(pending, values, strict=True):
            self._write(
                Step(
                    time=step.time,
                    step=step.step,
                    epoch=step.epoch,
                    loss=loss,
                    learning_rate=step.rate,
                    grad_norm=norm,
                    num_tokens=step.num_tokens,
                    tokens_per_second=speed,
                    memory_bytes=self._gauge.now,
                    peak_bytes=self._gauge.peak,
                )
            )
            self._watch(step.step, math.isfinite(loss) and math.isfinite(norm))

    def restart_clock(self) -> None:
        """Leave the time since the last read-back out of the speed: something other than a step took it."""
        self._clock = time.perf_counter()

    @property
    def has_diverged(self) -> bool:
        return self._progress.skipped_in_a_row >= MOST_IN_A_ROW

    def _watch(self, step: int, is_finite: bool) -> None:
        if is_finite and not self.has_diverged:
            self._progress.skipped_in_a_row = 0
        elif not is_finite:
            self._progress.skipped_in_a_row += 1
            self._write(Warned(message=f"Step {step} was skipped: its loss or gradient is not finite.", step=step))
