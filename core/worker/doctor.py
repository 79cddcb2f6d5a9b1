"""Tries out, for real, what training leans on: torch on each device, and bitsandbytes' 4-bit, 8-bit and optimizer.

Prints one JSON line: a list of [what, device, "" or what went wrong].
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import torch
from torch import nn

WIDTH, ROWS = 64, 8
MOST_ERROR = 0.2
"""Largest relative error that rounding to 4 bits may bring; a wrong kernel brings more than 1."""


def main(arguments: list[str]) -> int:
    """Try everything on every device here; never fails itself."""
    del arguments
    found = []
    for device in devices():
        for what, attempt in ATTEMPTS.items():
            found.append([what, device, _outcome(attempt, device)])
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


def devices() -> list[str]:
    names = ["cpu"]
    if torch.cuda.is_available():
        names += [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        names.append("mps")
    return names


def try_torch(device: str) -> None:
    """A training step of one layer: forward, backward, and a smaller loss after it."""
    torch.manual_seed(0)
    layer = nn.Linear(WIDTH, WIDTH).to(device)
    rows = torch.randn(ROWS, WIDTH, device=device)
    before = layer(rows).square().mean()
    before.backward()
    torch.optim.SGD(layer.parameters(), lr=0.1).step()
    if not layer(rows).square().mean().item() < before.item():
        raise ArithmeticError("a training step did not lower the loss")


def try_nf4(device: str) -> None:
    """A 4-bit layer gives nearly what the plain one gives, and passes gradients back."""
    import bitsandbytes as bnb

    layer = bnb.nn.Linear4bit(
        WIDTH, WIDTH, bias=False, compute_dtype=torch.float32, compress_statistics=True, quant_type="nf4"
    )
    _compare(layer, device)


def try_int8(device: str) -> None:
    """The same for an 8-bit layer."""
    import bitsandbytes as bnb

    _compare(bnb.nn.Linear8bitLt(WIDTH, WIDTH, bias=False, has_fp16_weights=False), device, torch.float16)


def try_adamw_8bit(device: str) -> None:
    """One step of the 8-bit optimizer moves every weight."""
    import bitsandbytes as bnb

    # bitsandbytes keeps the state of tensors below 4096 elements in 32 bits.
    weight = nn.Parameter(torch.ones(64, 128, device=device))
    optimizer = bnb.optim.AdamW8bit([weight], lr=0.1, weight_decay=0.0)
    weight.square().sum().backward()
    optimizer.step()
    if not (weight < 1).all().item():
        raise ArithmeticError("a step did not move the weights")


def _compare(layer: nn.Module, device: str, dtype: torch.dtype = torch.float32) -> None:
    torch.manual_seed(0)
    plain = nn.Linear(WIDTH, WIDTH, bias=False)
    layer.load_state_dict(plain.state_dict())
    layer = layer.to(device)
    rows = torch.randn(ROWS, WIDTH)
    given = rows.to(device, dtype if device != "cpu" else torch.float32).requires_grad_()
    answer = layer(given)
    answer.float().square().sum().backward()
    wanted = plain(rows)
    error = ((answer.float().cpu() - wanted).norm() / wanted.norm()).item()
    if not error < MOST_ERROR:
        raise ArithmeticError(f"results are off by {error:.0%}")
    if given.grad is None or not given.grad.isfinite().all().item():
        raise ArithmeticError("no gradient came back")


ATTEMPTS: dict[str, Callable[[str], None]] = {
    "torch": try_torch, "nf4": try_nf4, "int8": try_int8, "adamw_8bit": try_adamw_8bit,
}  # fmt: skip


def _outcome(attempt: Callable[[str], None], device: str) -> str:
    try:
        attempt(device)
    except Exception as error:  # whatever a broken driver or library throws is the finding
        return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"
    return ""
