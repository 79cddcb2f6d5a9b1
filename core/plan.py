"""The plan of a run: memory, steps, trained parameters, disk and time, before it starts."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from core.config import RunConfig
from core.hardware import Device
from core.memory.calibration import PastPeak
from core.memory.estimate import Estimate, estimate
from core.memory.stack import resolve
from core.memory.stock import stock_estimate
from core.memory.training import num_trainable, optimizer_bytes
from core.models.facts import ModelFacts

SAFETENSORS_OVERHEAD = 1.002  # headers and alignment


@dataclass(frozen=True)
class Pace:
    """How fast a past run went on a device: tokens that were not padding, per second."""

    device: str
    """Name of the device, as hardware.Device has it."""
    num_parameters: int
    tokens_per_second: float
    is_checkpointing: bool = False
    at_once: float = 1
    """Batches that its processes computed at once."""
    sharding: str = "none"


@dataclass(frozen=True)
class Plan:
    """What a run will need and do. Figures that hang on data not yet read are None."""

    estimate: Estimate
    stock_peak_bytes: int
    """What the same run would take in transformers' Trainer with PEFT, as most people set them up."""
    num_trainable: int
    num_parameters: int
    total_steps: int | None
    tokens_per_epoch: int | None
    adapter_bytes: int
    """Of the finished adapter on disk, or of the model after full fine-tuning."""
    disk_bytes: int
    """Of the run's folder at its largest: checkpoints and the finished adapter."""
    seconds: float | None
    """From the pace of past runs on this device; None without one."""


def make_plan(
    config: RunConfig,
    facts: ModelFacts,
    device: Device,
    num_rows: int | None = None,
    tokens_per_row: float | None = None,
    *,
    trained_share: float | None = None,
    longest_row: int = 0,
    paces: Sequence[Pace] = (),
    past: Sequence[PastPeak] = (),
    alike: Sequence[Device] = (),
) -> Plan:
    """The plan of a run. `num_rows` are the rows of the data that can be used, `tokens_per_row` their mean
    length in tokens after cutting, `longest_row` the longest; `trained_share` of them are trained on, where a
    check has counted that; `paces` and `past` peaks are of past runs on this machine, and `alike` all its devices
    of this kind."""
    stack = resolve(config, facts, device, longest_row)
    trained = num_trainable(facts, stack)
    steps = None if num_rows is None else total_steps(config, num_rows, tokens_per_row, trained_share)
    tokens = (
        None
        if num_rows is None or tokens_per_row is None
        else round(train_rows(config, num_rows, trained_share) * tokens_per_row)
    )
    saved_width = 4 if stack.is_full else stack.adapter_bytes
    adapter = round(trained * saved_width * SAFETENSORS_OVERHEAD)
    checkpoint = adapter + optimizer_bytes(facts, stack)
    num_checkpoints = config.runtime.keep_checkpoints + 1  # and the best one
    if steps is not None:
        num_checkpoints = min(num_checkpoints, -(-steps // config.runtime.save_every_steps))
    seconds = None
    if steps is not None and tokens_per_row is not None and (pace := _pace(config, facts, device, paces)):
        rows = min(steps * config.optim.batch_size * config.optim.accumulation,
                   train_rows(config, num_rows or 0, trained_share) * config.optim.epochs)  # fmt: skip
        seconds = rows * tokens_per_row / pace
    return Plan(
        estimate=estimate(config, facts, device, longest_row=longest_row, past=past, alike=alike),
        stock_peak_bytes=stock_estimate(config, facts, device, longest_row, past).peak_bytes,
        num_trainable=trained,
        num_parameters=facts.num_parameters,
        total_steps=steps,
        tokens_per_epoch=tokens,
        adapter_bytes=adapter,
        disk_bytes=adapter + num_checkpoints * checkpoint,
        seconds=seconds,
    )


def train_rows(config: RunConfig, num_rows: int, trained_share: float | None = None) -> int:
    """Rows that are trained on, of those that could be; at least one. Before a check has counted how the split
    falls and what the policies leave out, the share held out is taken, of a split by a column as well."""
    if trained_share is not None:
        return max(round(num_rows * trained_share), 1)
    if config.data.holdout_source:
        return num_rows
    held_out = round(num_rows * config.data.holdout)
    if config.data.holdout and num_rows > 1:
        held_out = min(max(held_out, 1), num_rows - 1)
    return max(num_rows - held_out, 1)


def total_steps(
    config: RunConfig, num_rows: int, tokens_per_row: float | None = None, trained_share: float | None = None
) -> int:
    """Optimizer steps of the whole run: a step takes batch_size × accumulation rows, an epoch's last step may
    take fewer; packed rows are counted by their tokens."""
    rows = train_rows(config, num_rows, trained_share)
    if config.data.packing and tokens_per_row:
        rows = -(-round(rows * tokens_per_row) // config.data.max_length)
    steps = config.optim.epochs * -(-rows // (config.optim.batch_size * config.optim.accumulation))
    return min(steps, config.optim.max_steps) if config.optim.max_steps else steps


def _pace(config: RunConfig, facts: ModelFacts, device: Device, paces: Sequence[Pace]) -> float | None:
    """Expected tokens a second: the median of past runs on this device, scaled by parameters, because the time of
    a token grows with them; recomputing activations adds about a third of the work. Each GPU more adds as much;
    processes on a CPU share its cores. Runs whose layers are split are told from others, because how long layers
    travel hangs on the machine."""
    here = [pace for pace in paces if pace.device == device.name and pace.tokens_per_second > 0]
    here = [pace for pace in here if pace.sharding == config.runtime.sharding]
    if not here:
        return None
    work = [
        pace.tokens_per_second * pace.num_parameters * (4 if pace.is_checkpointing else 3)
        / (pace.at_once if device.kind == "cuda" else 1)
        for pace in here
    ]  # fmt: skip
    passes = 4 if config.memory.activation_checkpointing else 3
    together = at_once(config) if device.kind == "cuda" else 1
    return statistics.median(work) * together / (facts.num_parameters * passes)


def at_once(config: RunConfig) -> float:
    """Batches that are computed at once, on average over a step: where processes cannot share its batches evenly,
    some wait for the others."""
    batches = config.optim.accumulation
    return batches / -(-batches // config.runtime.processes)
