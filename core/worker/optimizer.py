"""The rule that changes the trained weights, its learning rate over time, and its state as plain tensors."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from core.sections import BITSANDBYTES, OptimSection

NamedParameters = list[tuple[str, nn.Parameter]]


def make_optimizer(parameters: NamedParameters, optim: OptimSection) -> torch.optim.Optimizer:
    """The optimizer over named parameters. Weight decay spares vectors: norms and biases.

    sgd has no momentum and so no state. adamw_8bit is AdamW with its two states in blocks of 8 bits
    (Dettmers et al. 2022, arXiv 2110.02861); tensors under 4,096 elements keep 32 bits. The paged ones hold the
    states of tensors from 100,000 elements on in unified memory (Dettmers et al. 2023, arXiv 2305.14314).
    """
    matrices = [parameter for _, parameter in parameters if parameter.ndim > 1]
    vectors = [parameter for _, parameter in parameters if parameter.ndim <= 1]
    groups = [
        {"params": members, "weight_decay": decay}
        for members, decay in ((matrices, optim.weight_decay), (vectors, 0.0))
        if members
    ]
    rate = optim.learning_rate
    if optim.optimizer in BITSANDBYTES:
        from bitsandbytes import optim as eight_bit

        made = {
            "adamw_8bit": eight_bit.AdamW8bit,
            "paged_adamw": eight_bit.PagedAdamW32bit,
            "paged_adamw_8bit": eight_bit.PagedAdamW8bit,
        }
        return made[optim.optimizer](groups, lr=rate)
    fused = all(parameter.device.type in ("cpu", "cuda", "mps") for _, parameter in parameters)
    if optim.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=rate, fused=fused)
    return torch.optim.AdamW(groups, lr=rate, fused=fused)


def learning_rate(optim: OptimSection, step: int, total_steps: int) -> float:
    """The learning rate of optimizer step `step` (from 0): a straight rise, then the schedule down to zero."""
    warmup = math.ceil(optim.warmup_ratio * total_steps)
    if step < warmup:
        return optim.learning_rate * (step + 1) / warmup
    if optim.schedule == "constant":
        return optim.learning_rate
    done = (step - warmup) / max(1, total_steps - warmup)
    if optim.schedule == "linear":
        return optim.learning_rate * (1 - done)
    return optim.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def step_where(optimizer: torch.optim.Optimizer, finite: Tensor) -> None:
    """Take a step if `finite` (a boolean scalar on the device) holds, else leave weights and state as they are.

    torch's fused optimizers decide that on the device, so the loop never waits for it.
    """
    if optimizer.defaults.get("fused"):
        optimizer.found_inf = (~finite).float()  # type: ignore[attr-defined]
        optimizer.step()
    elif bool(finite):
        optimizer.step()


def clip(parameters: NamedParameters, norm: Tensor, limit: float) -> None:
    """Shorten a gradient of this norm to the limit; 0 leaves it."""
    if limit > 0:
        gradients = [parameter.grad for _, parameter in parameters if parameter.grad is not None]
        torch._foreach_mul_(gradients, torch.clamp(limit / (norm + 1e-6), max=1.0))


State = tuple[dict[str, Tensor], dict[str, Any]]
"""Tensors and numbers, both named "parameter.key"."""


def state_of(optimizer: torch.optim.Optimizer, parameters: NamedParameters) -> State:
    """The optimizer's state, to be written to disk."""
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, Any] = {}
    for name, parameter in parameters:
        for key, value in optimizer.state.get(parameter, {}).items():
            if isinstance(value, Tensor):
                tensors[f"{name}.{key}"] = value.detach().cpu().clone()  # 8-bit states share their code books
            else:
                numbers[f"{name}.{key}"] = value
    return tensors, numbers


def restore(optimizer: torch.optim.Optimizer, parameters: NamedParameters, state: State) -> None:
    """Put back what `state_of` gave."""
    by_name = dict(parameters)
    tensors, numbers = state
    for full_name, value in (*tensors.items(), *numbers.items()):
        name, _, key = full_name.rpartition(".")
        parameter = by_name[name]
        if not isinstance(value, Tensor):
            optimizer.state[parameter][key] = value
        elif getattr(optimizer, "is_paged", False) and key in ("state1", "state2"):
            buffer = optimizer.get_state_buffer(parameter, dtype=value.dtype)  # type: ignore[attr-defined]
            optimizer.state[parameter][key] = buffer.copy_(value)
        else:
            optimizer.state[parameter][key] = value.to(parameter.device)
