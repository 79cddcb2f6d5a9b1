"""Rehearses a run: the model's, PEFT's, our loss's and our optimizer's real code on fake tensors.

No weights and no GPU, only config.json: every storage's birth and death is counted, none is allocated.
"""

from __future__ import annotations

import gc
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import PreTrainedModel

from core.config import RunConfig
from core.hardware import Device
from core.memory.paging import SMALLEST
from core.sections import Full
from core.worker import adapters, load, optimizer
from core.worker.batches import collate
from core.worker.checkpoint import Progress
from core.worker.examples import Examples
from core.worker.hollow import build, fill, largest_unquantised, tensors_of
from core.worker.losses import TokenLoss
from core.worker.phases import EMBED, Phases
from core.worker.pretence import Kernels, pretend
from core.worker.replay import PAGED
from core.worker.shards import Shards
from core.worker.step import Gradient, Stepper
from core.worker.storages import StorageLog, rounded

CPU = torch.device("cpu")
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
    mode = mode or FakeTensorMode(allow_non_fake_inputs=True)
    setting = assemble(config, settings, compute, mode, length=length, trained=trained)
    unquantised = largest_unquantised(setting.base) * compute.itemsize
    log = StorageLog()
    shards = _split(setting, mode) if config.runtime.sharding == "layers" else None
    if shards:
        # 16-bit views, because bytes are taken for weights that have to be packed as they are loaded.
        log.adopt((part.view(torch.bfloat16) for part in (shards.buffer, *shards.parts.values())), "weights")
    for kind, tensor in tensors_of(setting.model):
        if not shards or tensor.untyped_storage()._cdata != shards.buffer.untyped_storage()._cdata:
            log.adopt([tensor], kind)
    loading = sum(rounded(birth.num_bytes) for birth in log.births if birth.kind != "adapter") + unquantised
    if shards:
        loading += len(shards.buffer)  # the layer that is whole for a moment
    place = _Place(log, report)
    layers = Phases(setting.base, place.begin, log.turn).layers
    with _no_collection(), pretend(device, config.data.packing), mode, log, Kernels(log, device):
        _make_states(setting.made, setting.parameters, log, device)
        place.enter(TRAINING)
        gradient = setting.gradient()
        log.adopt((p.grad for _, p in setting.parameters if p.grad is not None), "gradients")
        place.begin(STEP)
        setting.update(gradient)
        place.enter(EVALUATION)
        setting.evaluate()
    num_trainable = sum(p.numel() for _, p in setting.parameters)
    return Rehearsed(log, time.perf_counter() - begun, len(layers), num_trainable, loading)


@dataclass(frozen=True)
class _First:
    """The first of several processes without the others: what they would give is as large as its own part."""

    size: int
    rank: int = 0

    def gather(self, whole: Tensor, part: Tensor) -> None:
        for place in whole.split(len(part)):
            place.copy_(part)


def _split(setting: Setting, mode: AbstractContextManager[Any]) -> Shards:
    """Split the layers as the first process of the run does."""
    shards = Shards(_First(setting.config.runtime.processes), CPU)
    with mode:
        shards.split_rest(setting.base)
    shards.watch(is_recomputing=setting.config.memory.activation_checkpointing)
    return shards


@dataclass(frozen=True)
class Setting:
    """A run made of zeros, ready for a step: our own loop's parts without data or files."""

    config: RunConfig
    base: PreTrainedModel
    model: nn.Module
    parameters: optimizer.NamedParameters
    made: torch.optim.Optimizer
    stepper: Stepper

    def gradient(self) -> Gradient:
        """Leave the gradient of a step in the parameters; of all its batches, two are enough. One of several
        processes finds gradients in place as a second batch does."""
        self.model.train()
        batches = [self._batch] * min(max(self.config.optim.accumulation, self.config.runtime.processes), 2)
        return self.stepper.gradient(batches, Progress(micro_batch=len(self._batch)), seed=0)

    def update(self, gradient: Gradient) -> None:
        """Take the optimizer's step."""
        optimizer.clip(self.parameters, gradient.norm, self.config.optim.grad_clip)
        self.made.step()

    def evaluate(self) -> None:
        """Score a batch."""
        self.model.eval()
        with self.stepper.autocast():
            self.stepper.loss.each(collate(self._batch, self.stepper.examples, self.stepper.device))

    @property
    def _batch(self) -> list[tuple[int, ...]]:
        return [(number,) for number in range(self.config.optim.batch_size)]


def assemble(
    config: RunConfig,
    settings: dict[str, Any],
    compute: torch.dtype,
    mode: AbstractContextManager[Any],
    *,
    place: torch.device = CPU,
    length: int = 0,
    trained: int = 0,
) -> Setting:
    """A run on `place` whose tensors are made in `mode`: its model, adapter, optimizer and loss, without a file.

    Raises HoneError for a model that cannot be built.
    """
    is_full = isinstance(config.method, Full)
    base = build(settings, config.model, compute=compute, weights=torch.float32 if is_full else compute)
    with torch.device("meta"):
        adapters.prepare(base, config.model, config.memory)
        model = adapters.attach(base, config.method, config.memory, config.runtime.seed)
    fill(model, mode)
    return set_out(config, base, model, compute, place=place, length=length, trained=trained)


def set_out(
    config: RunConfig,
    base: PreTrainedModel,
    model: nn.Module,
    compute: torch.dtype,
    *,
    place: torch.device = CPU,
    length: int = 0,
    trained: int = 0,
) -> Setting:
    """The same for a model that stands already, with what is trained in it."""
    parameters = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    stepper = Stepper(
        loss=TokenLoss(base, config.memory.loss == "chunked"),
        examples=_examples(config.optim.batch_size, length or config.data.max_length, trained),
        parameters=parameters,
        device=place,
        autocast=lambda: _autocast(compute, place.type),
        is_scaled=False,
        warn=lambda _: None,
    )
    made = optimizer.make_optimizer(parameters, config.optim)
    return Setting(config, base, model, parameters, made, stepper)


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


def _autocast(compute: torch.dtype, kind: str = "cpu") -> AbstractContextManager[Any]:
    return nullcontext() if compute == torch.float32 else torch.autocast(kind, dtype=compute)


def _examples(rows: int, length: int, trained: int) -> Examples:
    learnt = np.zeros((rows, length), dtype=np.bool_)
    learnt[:, max(1, length - trained) if trained else 1 :] = True
    starts = np.arange(rows + 1, dtype=np.int64) * length
    return Examples(np.zeros(rows * length, dtype=np.int32), learnt.reshape(-1), starts)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Python's garbage collector frees what libraries leave in cycles at times that nobody can foretell;
    without it the rehearsal is the same each time, and no less than what a run takes."""
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _make_states(
    made: torch.optim.Optimizer, parameters: optimizer.NamedParameters, log: StorageLog, device: Device
) -> None:
    """Have the optimizer make its state, which it does at its first step. What would lie in unified memory on a
    device is logged as paged."""
    for _, parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    with warnings.catch_warnings():
        # Fake tensors lie on the CPU, where bitsandbytes makes paged states as any others: as large as paged ones.
        warnings.filterwarnings("ignore", message="Paged optimizers are not supported on CPU")
        made.step()
    for _, parameter in parameters:
        parameter.grad = None
    log.adopt(_states(made), "optimizer")
    if device.kind == "cuda" and getattr(made, "is_paged", False):
        log.adopt(_paged(made), PAGED)


def _paged(made: torch.optim.Optimizer) -> Iterator[Tensor]:
    """The states that bitsandbytes pages: the two of every large tensor."""
    for parameter, state in made.state.items():
        if parameter.numel() >= SMALLEST:
            yield from (state[key] for key in ("state1", "state2") if key in state)


def _states(made: torch.optim.Optimizer) -> Iterator[Tensor]:
    for state in made.state.values():
        for value in state.values():
            if isinstance(value, Tensor):
                yield value
