"""`python -m core.worker rehearse CONFIG.yaml`: rehearses a run and prints what was found as one JSON document."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import logging
import os
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.config import RunConfig
from core.errors import HoneError
from core.hardware import Device, choose_device
from core.memory.context import cublas_bytes
from core.memory.rehearsal import MOST_LIVING, MOST_POINTS, PHASES, Living, Phase, Point, Rehearsal
from core.models.catalogue import catalogue
from core.models.facts import MAX_CONFIG_BYTES, facts_from_config, read_config
from core.models.source import locate_model
from core.worker.failure import failed
from core.worker.wire import open_wire

if TYPE_CHECKING:
    from core.worker.rehearse import Rehearsed
    from core.worker.storages import StorageLog

LIBRARIES = ("torch", "transformers", "peft", "bitsandbytes")
ALLOCATED = {"cuda": 512, "mps": 256, "cpu": 1}
"""Bytes that the device's allocator rounds up to."""


def main(arguments: list[str]) -> int:
    """Rehearse one run; what comes of it is described in core.memory.rehearsal."""
    options = _parsed(arguments)
    send = open_wire()
    _quieten_libraries()
    begun = time.monotonic()
    try:
        found = _rehearsal(options)
    except BaseException as error:
        sys.stderr.write(f"{failed(error).message}\n")
        return 1
    seconds = time.monotonic() - begun
    send(found.model_copy(update={"seconds": round(seconds, 2)}).model_dump_json().encode() + b"\n")
    return 0


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="rehearse")
    parser.add_argument("config", type=Path)
    parser.add_argument("--device", choices=("cpu", "cuda", "mps"))
    parser.add_argument("--longest", type=int, default=0)
    parser.add_argument("--shape", type=Path)
    return parser.parse_args(arguments)


def _rehearsal(options: argparse.Namespace) -> Rehearsal:
    config = RunConfig.load(options.config)
    settings = shape_of(config.model.source, config.model.revision, options.shape)
    facts = facts_from_config(settings, name=config.model.source)  # refuses absurd dimensions in a sentence
    device = as_if(options.device) if options.device else choose_device(config.runtime.device)
    length = config.data.max_length
    if options.longest and not config.data.packing:
        length = min(length, options.longest)
    say = _Progress(facts.num_layers)
    say("Loading the libraries")
    from core.worker.rehearse import rehearse

    done = rehearse(config, settings, device, length=length, report=say)
    say("Counting what was alive")
    return describe(done, config, device, length)


def shape_of(source: str, revision: str = "", file: Path | None = None) -> dict[str, Any]:
    """The config.json of a model: from a file, of a model on this machine, or of one in the catalogue.

    Raises HoneError (path "model.source").
    """
    if file is not None:
        return read_config_file(file)
    try:
        return read_config(locate_model(source, revision).path)
    except HoneError:
        for model in catalogue():
            if model.name == source:
                return model.config
        raise


def read_config_file(file: Path) -> dict[str, Any]:
    """A config.json outside of a model's folder. Raises HoneError."""
    try:
        content = file.read_bytes() if file.stat().st_size <= MAX_CONFIG_BYTES else b""
        found = json.loads(content)
    except OSError as error:
        raise HoneError(f"{file} cannot be read ({error.strerror}).", path="model.source") from None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise HoneError(f"{file} is no config.json; give that of a model.", path="model.source")
    return found


def as_if(kind: str) -> Device:
    """A device of a kind that need not be here, with the number formats of current ones."""
    return Device(kind, 0, kind, 0, 0, bf16=kind != "cpu")  # type: ignore[arg-type]


def describe(done: Rehearsed, config: RunConfig, device: Device, length: int) -> Rehearsal:
    """The document of a rehearsal; its seconds are those of the rehearsal alone."""
    from core.worker import replay

    block, log = ALLOCATED[device.kind], done.log
    peak = replay.peak(log, block)
    phases: dict[str, int] = dict.fromkeys(PHASES, 0)
    phases["load"] = done.load_bytes
    for name, num_bytes in replay.phase_peaks(log, block).items():
        phases[phase_of(name)] = max(phases[phase_of(name)], num_bytes)
    living = replay.alive(log, peak.event)
    return Rehearsal(
        peak_bytes=max(peak.num_bytes, done.load_bytes),
        peak_phase="load" if done.load_bytes > peak.num_bytes else phase_of(peak.phase),
        phases=phases,
        parts=dict(sorted(replay.parts(log, peak.event, block).items())),
        timeline=_timeline(log, block),
        paged_bytes=sum(birth.num_bytes for birth in living if birth.kind == replay.PAGED),
        reserved_bytes=_reserved(log, config, device, expandable=True),
        fixed_reserved_bytes=_reserved(log, config, device, expandable=False),
        living=[
            Living(part=part, operation=operation, shape=shape, dtype=dtype, count=count, num_bytes=num_bytes)
            for (part, operation, shape, dtype), (count, num_bytes) in replay.alike(log, living, block)
        ][:MOST_LIVING],
        num_living=len(living),
        num_layers=done.num_layers,
        num_trainable=done.num_trainable,
        rows=config.optim.batch_size,
        length=length,
        model=config.model.source,
        device=device.kind,
        seconds=round(done.seconds, 2),
        versions={name: importlib.metadata.version(name) for name in LIBRARIES},
    )


def _reserved(log: StorageLog, config: RunConfig, device: Device, *, expandable: bool) -> int:
    """What torch's allocator holds at most; 0 on a device that has another."""
    from core.worker.load import compute_dtype
    from core.worker.reserved import reserved_peak

    if device.kind != "cuda":
        return 0
    return reserved_peak(
        log,
        compute_bytes=4 if config.method.kind == "full" else compute_dtype(config.model, device).itemsize,
        is_upcast=config.memory.upcast and config.model.quantization != "none",
        workspace_bytes=cublas_bytes(device),
        expandable=expandable,
    )


def _timeline(log: StorageLog, block: int) -> list[Point]:
    """The course of the bytes. A phase so short that no stretch peaks in it has a point of its own."""
    from core.worker import replay

    points = [
        Point(at=round(at, 5), num_bytes=num_bytes, phase=phase_of(phase))
        for at, num_bytes, phase in replay.timeline(log, MOST_POINTS - len(PHASES), block)
    ]
    moments = list(replay.walk(log, block))
    for missing in set(PHASES) - {point.phase for point in points}:
        of_phase = [(number, one) for number, one in enumerate(moments) if phase_of(one.phase) == missing]
        if of_phase:
            number, top = max(of_phase, key=lambda pair: pair[1].num_bytes)
            points.append(
                Point(at=round(number / len(moments), 5), num_bytes=top.num_bytes, phase=phase_of(top.phase))
            )
    return sorted(points, key=lambda point: point.at)


def phase_of(mark: str) -> Phase:
    """The phase that a mark of a rehearsal, such as "training 1/forward 0", belongs to."""
    section, _, name = mark.partition("/")
    if section.startswith("evaluation"):
        return "evaluation"
    kind = name.partition(" ")[0]
    return {"head": "head", "backward": "backward", "step": "step"}.get(kind, "forward")  # type: ignore[return-value]


class _Progress:
    """Writes how far a rehearsal is to stderr, one line whenever a second has passed."""

    def __init__(self, num_layers: int) -> None:
        self._num_layers = num_layers
        self._said = 0.0

    def __call__(self, mark: str) -> None:
        now = time.monotonic()
        section, found, name = mark.partition("/")
        if found and now - self._said < 1:
            return
        self._said = now
        if found:
            kind, _, number = name.partition(" ")
            words = {"embed": "forward pass", "forward": "forward pass", "head": "head and loss",
                     "backward": "backward pass", "step": "optimizer step"}[kind]  # fmt: skip
            if section.startswith("evaluation"):
                words = f"evaluation, {words}"
            layer = f", layer {int(number) + 1} of {self._num_layers}" if number else ""
            mark = f"Rehearsing the {words}{layer}"
        sys.stderr.write(mark + "\n")
        sys.stderr.flush()


def _quieten_libraries() -> None:
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["USE_HUB_KERNELS"] = "NO"
    warnings.simplefilter("ignore")
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
