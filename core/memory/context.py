"""What a process takes beyond its tensors: the framework's own memory and the allocator's slack."""

from __future__ import annotations

from core.hardware import Device
from core.memory.moments import MOMENTS, Moment
from core.memory.stack import Stack
from core.memory.stock_slack import PASSING, SCORES, stock_slack
from core.models.facts import ModelFacts

MIB = 1 << 20

CPU_CONTEXT = 450 * MIB
"""Resident memory of a CPU worker beside its tensors, libraries' files as far as they are used. Measured on Linux
x86-64, Python 3.11, torch 2.13: 438 MiB in a run of one short row at once; larger batches fill the rest with what
the C library keeps of freed memory (tests/recorded/processor-totals.csv)."""
BITSANDBYTES = 44 * MIB
"""What bitsandbytes adds to a CPU worker that needs it, measured likewise."""


def context_bytes(device: Device, needs_bitsandbytes: bool = False) -> int:
    """The framework's own memory on the device.

    CUDA figures are not measured by us: 141 MiB was published for a T4 after steps, with lazy loading; newer GPUs
    load more kernels.
    """
    if device.kind == "cpu":
        return CPU_CONTEXT + (BITSANDBYTES if needs_bitsandbytes else 0)
    if device.kind == "mps":
        return 300 * MIB
    generation = device.capability[0] if device.capability else 8
    return cublas_bytes(device) + (141 if generation < 8 else 300 if generation < 9 else 450) * MIB


def cublas_bytes(device: Device) -> int:
    """Workspaces of cuBLAS, which torch takes from its own allocator and so counts as allocated: two of 4,096 KiB
    twice and 16 KiB eight times, or of 32 MiB since Hopper."""
    if device.kind != "cuda":
        return 0
    return 2 * 32 * MIB if (device.capability or (8, 0))[0] >= 9 else 2 * (2 * 4096 + 8 * 16) * 1024


def slack_bytes(device: Device, moments: list[Moment], stack: Stack, facts: ModelFacts, *, can_grow: bool) -> int:
    """What the allocator holds at the peak beside tensors: the rest of segments, and of blocks too small for what
    is asked for. On the CPU nothing is counted: what the C library keeps of freed memory goes back to the system
    when it is needed (core/worker/ceiling.py).

    For our own loop the shares are medians over rehearsals that were played through the allocator's rules
    (tests/recorded/allocator-slack.csv), not measurements. Where segments cannot grow, as on Windows, the smaller
    of two regions that never live together, for the head and for a layer's backward pass, is partly out of reach
    of the other; and a score of eager attention in 16 bits that takes a freed block of 32 bits spoils its other
    half for the next score in 32.
    """
    if device.kind == "cpu":
        return 0
    if stack.loop != "hone":
        return stock_slack(device, moments, stack, facts)
    peak = max(moment.num_bytes for moment in moments) + cublas_bytes(device)
    loss, layer = (
        sum(moment.parts.get(part, 0) for part in PASSING)
        for words in (MOMENTS["loss"], MOMENTS["layer"])
        for moment in moments
        if moment.words == words
    )
    whole_scores = 0.3 * loss if stack.loss == "full" else 0
    if can_grow:
        return round(30 * MIB + 0.015 * peak + whole_scores)
    spoilt = 2 * stack.units(facts)[SCORES] if stack.attention == "eager" else 0
    return round(60 * MIB + 0.01 * peak + 0.1 * min(loss, layer) + whole_scores + spoilt)
