"""Rehearses a run: the model's, PEFT's, our loss's and our optimizer's real code on fake tensors.

No weights and no GPU, only config.json: every storage's birth and death is counted, none is allocated.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from core.config import RunConfig
from core.hardware import Device
from core.sections import Full
from core.worker import adapters, load, optimizer
from core.worker.batches import collate
from core.worker.checkpoint import Progress
from core.worker.examples import Examples
from core.worker.hollow import build, fill, largest_unquantised, tensors_of
from core.worker.losses import TokenLoss
from core.worker.phases import EMBED, Phases
from core.worker.pretence import Kernels, pretend
from core.worker.step import Stepper
from core.worker.storages import StorageLog, rounded

TRAINING, EVALUATION = "training", "evaluation"
"""The sections of a rehearsal: an optimizer step, and a scored batch after it."""
STEP = "step"


@dataclass(frozen=True)
class Rehearsed:
    """The log of a rehearsed run, and what was counted beside it."""

    log: StorageLog
    seconds: float
    num_layers: int
    num_trainable: int
    load_bytes: int
    """What loading takes at its peak, beside no other tensor."""


def rehearse(
    config: RunConfig,
    settings: dict[str, Any],
    device: Device,
    *,
    length: int = 0,
    trained: int = 0,
    mode: AbstractContextManager[Any] | None = None,
    report: Callable[[str], None] = lambda mark: None,
) -> Rehearsed:
    """Follow an optimizer step and an evaluation of a run. The step is none of the first: the optimizer's state is
    in place, and of several batches the second finds gradients.

    `settings` is the model's config.json. All rows are `length` tokens long (data.max_length without one), of
    which the last `trained` are learnt (all but the first without one). `mode` is what tensors are made in: fake
    ones without one, real zeros under a null context. `report` is told each mark as it is reached.
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
    loading = sum(rounded(birth.num_bytes) for birth in log.births if birth.kind != "adapter")
    loading += largest_unquantised(base) * compute.itemsize
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
    place = _Place(log, report)
    layers = Phases(base, place.begin).layers
    model.train()
    with _no_collection(), pretend(device, config.data.packing), mode, log, Kernels(log, device):
        _make_states(made, parameters, log)
        place.enter(TRAINING)
        gradient = stepper.gradient([batch] * min(config.optim.accumulation, 2), progress, seed=0)
        log.adopt((p.grad for _, p in parameters if p.grad is not None), "gradients")
        place.begin(STEP)
        optimizer.clip(parameters, gradient.norm, config.optim.grad_clip)
        made.step()
        place.enter(EVALUATION)
        model.eval()
        with _autocast(compute):
            loss.each(collate(batch, stepper.examples, stepper.device))
    num_trainable = sum(p.numel() for _, p in parameters)
    return Rehearsed(log, time.perf_counter() - begun, len(layers), num_trainable, loading)


class _Place:
    """Where in the rehearsal we are: marks are "section batch/phase", such as "training 1/forward 0"."""

    def __init__(self, log: StorageLog, report: Callable[[str], None] = lambda mark: None) -> None:
        self._log, self._report = log, report
        self._section, self._batch = "", 0

    def enter(self, section: str) -> None:
        self._section, self._batch = section, 0

    def begin(self, phase: str) -> None:
        self._batch += phase == EMBED
        mark = f"{self._section} {self._batch}/{phase}"
        self._log.begin(mark)
        self._report(mark)


def _autocast(compute: torch.dtype) -> AbstractContextManager[Any]:
    return nullcontext() if compute == torch.float32 else torch.autocast("cpu", dtype=compute)


def _examples(rows: int, length: int, trained: int) -> Examples:
    learnt = np.zeros((rows, length), dtype=np.bool_)
    learnt[:, max(1, length - trained) if trained else 1 :] = True
    starts = np.arange(rows + 1, dtype=np.int64) * length
    return Examples(np.zeros(rows * length, dtype=np.int32), learnt.reshape(-1), starts)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Python's garbage collector frees what 8-bit layers leave in cycles at times that nobody can foretell; without
    it the rehearsal is the same each time, and no less than what a run takes."""
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _make_states(made: torch.optim.Optimizer, parameters: optimizer.NamedParameters, log: StorageLog) -> None:
    """Have the optimizer make its state, which it does at its first step."""
    for _, parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    made.step()
    for _, parameter in parameters:
        parameter.grad = None
    log.adopt(_states(made), "optimizer")


def _states(made: torch.optim.Optimizer) -> Iterator[Tensor]:
    for state in made.state.values():
        for value in state.values():
            if isinstance(value, Tensor):
                yield value
