"""What really is allocated in a training step on the CPU, counted by the profiler: real tensors, real kernels."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from transformers import AutoConfig, AutoModelForCausalLM

from core.config import RunConfig
from core.hardware import Device
from core.worker import adapters, load, optimizer
from core.worker.batches import collate
from core.worker.checkpoint import Progress
from core.worker.hollow import tensors_of
from core.worker.losses import TokenLoss
from core.worker.rehearse import _examples
from core.worker.step import Stepper

CPU = Device("cpu", 0, "CPU", 0, 0)


def save_model(settings: dict[str, Any], folder: Path) -> Path:
    """A random model of these settings, as any model stands on disk."""
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**settings))
    model.save_pretrained(folder)
    return folder


def real_peak(config: RunConfig, folder: Path) -> int:
    """The most bytes of tensors in the second optimizer step and an evaluation, as the worker takes them."""
    compute = load.compute_dtype(config.model, CPU)
    is_full = config.method.kind == "full"
    base = load.load_model(
        config.model, folder, CPU, compute=compute, weights=torch.float32 if is_full else compute
    )
    adapters.prepare(base, config.model, config.memory)
    model = adapters.attach(base, config.method, config.memory, config.runtime.seed)
    parameters = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    made = optimizer.make_optimizer(parameters, config.optim)
    loss = TokenLoss(base, config.memory.loss == "chunked")
    loss.prove(torch.device("cpu"))
    rows = config.optim.batch_size
    stepper = Stepper(
        loss=loss,
        examples=_examples(rows, config.data.max_length, 0),
        parameters=parameters,
        device=torch.device("cpu"),
        autocast=nullcontext if compute == torch.float32 else lambda: torch.autocast("cpu", dtype=compute),
        is_scaled=False,
        warn=lambda _: None,
    )
    batches = [[(number,) for number in range(rows)]] * min(config.optim.accumulation, 2)
    progress = Progress(micro_batch=rows)

    def step() -> None:
        model.train()
        gradient = stepper.gradient(batches, progress, seed=0)
        optimizer.clip(parameters, gradient.norm, config.optim.grad_clip)
        made.step()

    step()
    for _, parameter in parameters:
        parameter.grad = None
    standing = _bytes_of([tensor for _, tensor in tensors_of(model)], _states(made))
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        step()
        model.eval()
        loss.each(collate(batches[0], stepper.examples, stepper.device))
    running = most = 0
    for event in seen.profiler.kineto_results.events():
        if event.name() == "[memory]":
            running += event.nbytes()
            most = max(most, running)
    return standing + most


def settings_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "config.json").read_text())


def _bytes_of(*groups: Iterable[Tensor]) -> int:
    storages = {tensor.untyped_storage()._cdata: tensor.untyped_storage().nbytes() for g in groups for tensor in g}
    return sum(storages.values())


def _states(made: torch.optim.Optimizer) -> Iterator[Tensor]:
    for state in made.state.values():
        yield from (value for value in state.values() if isinstance(value, Tensor))
