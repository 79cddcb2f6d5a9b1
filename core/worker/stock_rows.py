"""Traces the stack most people train with, transformers' own loss in PEFT's own model, as rows.py traces ours.

`python -m core.worker rows stock` writes resources/activations/stock.json. Two loops are traced: that of
transformers' Trainer, with autocast, which lets go of a model's outputs; and a plain one without autocast that
holds them until the next batch has its own, in which published measurements were made.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import torch

from core.config import RunConfig
from core.hardware import Device
from core.memory.modes import Mode
from core.sections import Full
from core.worker import adapters, load, optimizer
from core.worker.hollow import build, fill, tensors_of
from core.worker.phases import Phases
from core.worker.pretence import Kernels, pretend
from core.worker.rehearse import EVALUATION, STEP, TRAINING, Rehearsed, _autocast, _Place, _states
from core.worker.storages import StorageLog

FIRST = "first"


def stock_modes() -> list[Mode]:
    """The plain loop's modes, whose rows hold the outputs of the loss."""
    usual = Mode(plain=True, targets="attention")
    found = []
    for attention in ("sdpa", "eager"):
        one = replace(usual, attention=attention)
        found += [one, replace(one, base="nf4", upcast=True)]
    return found


def stock_heads() -> list[Mode]:
    """The modes of the Trainer's loop whose heads differ."""
    found = []
    for checkpointing in (True, False):
        usual = Mode(checkpointing=checkpointing)
        for one in (usual, replace(usual, device="cpu", bits=32)):
            found += [one, replace(one, method="full"), replace(one, method="full", tied=True)]
        found += [replace(usual, base="nf4", upcast=True)]
    return found


def _rehearse(
    config: RunConfig,
    settings: dict[str, Any],
    device: Device,
    *,
    trained: int,
    mode: AbstractContextManager[Any],
    is_plain: bool,
) -> Rehearsed:
    """Follow a step and an evaluation as transformers and PEFT take them, every position scored in 32 bits."""
    compute = load.compute_dtype(config.model, device)
    is_full = isinstance(config.method, Full)
    base = build(settings, config.model, compute=compute, weights=torch.float32 if is_full else compute)
    with torch.device("meta"):
        adapters.prepare(base, config.model, config.memory)
        model = adapters.attach(base, config.method, config.memory, config.runtime.seed)
    fill(model, mode)
    log = StorageLog()
    for kind, tensor in tensors_of(model):
        log.adopt([tensor], kind)
    parameters = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    made = optimizer.make_optimizer(parameters, config.optim)
    place = _Place(log, lambda mark: None)
    layers = Phases(base, place.begin, log.turn).layers
    model.train()
    tokens = torch.zeros(config.optim.batch_size, config.data.max_length, dtype=torch.long)
    held: Any = None
    with pretend(device, config.data.packing), mode, log, Kernels(log, device):
        for section, num_batches in ((FIRST, 1), (TRAINING, 2)):
            place.enter(section)
            for _ in range(num_batches):
                with _autocast(torch.float32 if is_plain else compute):
                    outputs = base(input_ids=tokens, labels=tokens, use_cache=False)
                loss, held = outputs.loss, outputs if is_plain else None
                del outputs
                loss.backward()
                del loss
            log.adopt((p.grad for _, p in parameters if p.grad is not None), "gradients")
            place.begin(STEP)
            made.step()
            log.adopt(_states(made), "optimizer")
            for _, parameter in parameters:
                parameter.grad = None
        place.enter(EVALUATION)
        model.eval()
        with torch.no_grad(), _autocast(torch.float32 if is_plain else compute):
            held = base(input_ids=tokens, labels=tokens, use_cache=False)
        del held
    return Rehearsed(log, 0.0, len(layers), sum(p.numel() for _, p in parameters), 0)


def stock_rehearsal(is_plain: bool) -> Callable[..., Rehearsed]:
    """What trace_row is to follow in place of our own rehearsal."""

    def rehearsal(config: RunConfig, settings: dict[str, Any], device: Device, **rest: Any) -> Rehearsed:
        return _rehearse(config, settings, device, is_plain=is_plain, **rest)

    return rehearsal
