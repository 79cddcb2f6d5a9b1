"""The same run in the stack that most people use: transformers' Trainer and PEFT as their examples set them up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from core.config import RunConfig
from core.hardware import Device
from core.memory.calibration import PastPeak
from core.memory.estimate import Estimate, calibrated, estimate_stack
from core.memory.stack import Stack, resolve
from core.models.facts import ModelFacts


def stock_stack(config: RunConfig, facts: ModelFacts, device: Device, longest_row: int = 0) -> Stack:
    """What a config's model, data and method come to there: every position scored at once in 32 bits, a quantised
    base that went through prepare_model_for_kbit_training, and adapters in fp32. Batch, length, recomputing and
    optimizer stay the run's own, and its evaluation batch too, which there would be eight."""
    ours = resolve(config, facts, device, longest_row)
    return replace(
        ours,
        loop="trainer",
        loss="full",
        upcast=ours.quantization != "none" and ours.compute_bytes == 2,
        adapter_bytes=4,
    )


def stock_estimate(
    config: RunConfig, facts: ModelFacts, device: Device, longest_row: int = 0, past: Sequence[PastPeak] = ()
) -> Estimate:
    """What the run would take there, without suggestions; corrected by past runs as ours is, to be compared."""
    found = estimate_stack(stock_stack(config, facts, device, longest_row), config, facts, device)
    return calibrated(found, config, device, past)
