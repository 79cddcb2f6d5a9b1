"""Rehearses a run: the model's, PEFT's, our loss's and our optimizer's real code on fake tensors.

No weights and no GPU, only config.json: every storage's birth and death is counted, none is allocated.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from core.config import Full, RunConfig
from core.hardware import Device
from core.worker import adapters, load, optimizer
from core.worker.batches import collate
from core.worker.checkpoint import Progress
from core.worker.examples import Examples
from core.worker.hollow import build, fill, tensors_of
from core.worker.losses import TokenLoss
from core.worker.phases import EMBED, Phases
from core.worker.pretence import Kernels, pretend
from core.worker.step import Stepper
from core.worker.storages import StorageLog

FIRST, SECOND, EVALUATION = "first", "second", "evaluation"
"""The sections of a rehearsal: two optimizer steps and a scored batch."""
SECTIONS = (FIRST, SECOND, EVALUATION)
STEP = "step"


@dataclass(frozen=True)
class Rehearsed:
    """The log of a rehearsed run, and what was counted beside it."""

    log: StorageLog
    seconds: float
    num_layers: int
    num_trainable: int


def rehearse(
    config: RunConfig,
    settings: dict[str, Any],
    device: Device,
    *,
    length: int = 0,
    trained: int = 0,
    mode: AbstractContextManager[Any] | None = None,
    sections: tuple[str, ...] = SECTIONS,
) -> Rehearsed:
    """Follow two optimizer steps and an evaluation of a run; the second step finds the optimizer's state in place.

    `settings` is the model's config.json. All rows are `length` tokens long (data.max_length without one), of
    which the last `trained` are learnt (all but the first without one). `mode` is what tensors are made in: fake
    ones without one, real zeros under a null context; `sections` are those wanted, the evaluation being last.
    Raises HoneError for a model that cannot be built.
    """
    begun = time.perf_counter()
    compute = load.compute_dtype(config.model, device)
    is_full = isinstance(config.method, Full)
    base = build(settings, config.model, compute=compute, weights=torch.float32 if is_full else compute)
    with torch.device("meta"):
        adapters.prepare(base, config.model, config.memory)
        model = adapters.attach(base, config.method, config.memory, config.runtime.seed)
    mode = mode or FakeTensorMode(allow_non_fake_inputs=True)
    fill(model, mode)
    log = StorageLog()
    for kind, tensor in tensors_of(model):
        log.adopt([tensor], kind)
    parameters = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    made = optimizer.make_optimizer(parameters, config.optim)
    loss = TokenLoss(base, config.memory.loss == "chunked")
    rows = config.optim.batch_size
    stepper = Stepper(
        loss=loss,
        examples=_examples(rows, length or config.data.max_length, trained),
        parameters=parameters,
        device=torch.device("cpu"),
        autocast=lambda: _autocast(compute),
        is_scaled=False,
        warn=lambda _: None,
    )
    batch: list[tuple[int, ...]] = [(number,) for number in range(rows)]
    progress = Progress(micro_batch=rows)
    place = _Place(log)
    layers = Phases(base, place.begin).layers
    model.train()
    with pretend(device, config.data.packing), mode, log, Kernels(log):
        for section in sections:
            place.enter(section)
            if section == EVALUATION:
                continue
            num_batches = min(config.optim.accumulation, 2) if section == SECOND else 1
            gradient = stepper.gradient([batch] * num_batches, progress, seed=0)
            log.adopt((p.grad for _, p in parameters if p.grad is not None), "gradients")
            place.begin(STEP)
            optimizer.clip(parameters, gradient.norm, config.optim.grad_clip)
            made.step()
            log.adopt(_states(made), "optimizer")
        model.eval()
        with _autocast(compute):
            loss.each(collate(batch, stepper.examples, stepper.device))
    return Rehearsed(log, time.perf_counter() - begun, len(layers), sum(p.numel() for _, p in parameters))


class _Place:
    """Where in the rehearsal we are: marks are "section batch/phase", such as "second 1/forward 0"."""

    def __init__(self, log: StorageLog) -> None:
        self._log = log
        self._section, self._batch = "", 0

    def enter(self, section: str) -> None:
        self._section, self._batch = section, 0

    def begin(self, phase: str) -> None:
        self._batch += phase == EMBED
        self._log.begin(f"{self._section} {self._batch}/{phase}")


def _autocast(compute: torch.dtype) -> AbstractContextManager[Any]:
    return nullcontext() if compute == torch.float32 else torch.autocast("cpu", dtype=compute)


def _examples(rows: int, length: int, trained: int) -> Examples:
    learnt = np.zeros((rows, length), dtype=np.bool_)
    learnt[:, max(1, length - trained) if trained else 1 :] = True
    starts = np.arange(rows + 1, dtype=np.int64) * length
    return Examples(np.zeros(rows * length, dtype=np.int32), learnt.reshape(-1), starts)


def _states(made: torch.optim.Optimizer) -> Iterator[Tensor]:
    for state in made.state.values():
        for value in state.values():
            if isinstance(value, Tensor):
                yield value
