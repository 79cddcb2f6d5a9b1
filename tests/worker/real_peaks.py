"""What really is allocated in a training step on the CPU, counted by the profiler: real tensors, real kernels."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from transformers import AutoConfig, AutoModelForCausalLM

from core.config import RunConfig
from core.hardware import Device
from core.memory.estimate import estimate
from core.memory.moments import MOMENTS
from core.models.facts import facts_from_config
from core.worker import adapters, load, replay
from core.worker.hollow import tensors_of
from core.worker.rehearse import CPU, Setting, _states, rehearse, set_out

DEVICE = Device("cpu", 0, "CPU", 0, 0)


def save_model(settings: dict[str, Any], folder: Path) -> Path:
    """A random model of these settings, as any model stands on disk."""
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**settings))
    model.save_pretrained(folder)
    return folder


def settings_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "config.json").read_text())


def real_peak(config: RunConfig, folder: Path) -> int:
    """The most bytes of tensors in the second optimizer step and an evaluation, as the worker takes them."""
    setting = _loaded(config, folder)
    _step(setting)
    for _, parameter in setting.parameters:
        parameter.grad = None
    standing = _bytes_of([tensor for _, tensor in tensors_of(setting.model)], _states(setting.made))
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        _step(setting)
        setting.evaluate()
    assert seen.profiler is not None and seen.profiler.kineto_results is not None
    running = most = 0
    for event in seen.profiler.kineto_results.events():
        if event.name() == "[memory]":
            running += event.nbytes()
            most = max(most, running)
    return standing + most


def rehearsed_peak(config: RunConfig, folder: Path) -> int:
    """The same as it is rehearsed, from config.json alone."""
    return replay.peak(rehearse(config, settings_of(folder), DEVICE).log).num_bytes


def estimated_peak(config: RunConfig, settings: dict[str, Any]) -> int:
    """The same as it is estimated from a config.json: no memory of the framework's, and none of loading."""
    found = estimate(config, facts_from_config(settings), DEVICE, with_suggestions=False)
    moments = [found.moments[MOMENTS[name]] for name in ("loss", "layer", "step", "evaluation")]
    return max(moments) - found.parts["context"] - found.parts["margin"]


def _loaded(config: RunConfig, folder: Path) -> Setting:
    compute = load.compute_dtype(config.model, DEVICE)
    weights = torch.float32 if config.method.kind == "full" else compute
    base = load.load_model(config.model, folder, DEVICE, compute=compute, weights=weights)
    adapters.prepare(base, config.model, config.memory)
    model = adapters.attach(base, config.method, config.memory, config.runtime.seed)
    setting = set_out(config, base, model, compute)
    with setting.stepper.autocast():
        setting.stepper.loss.prove(CPU)
    return setting


def _step(setting: Setting) -> None:
    setting.update(setting.gradient())


def _bytes_of(*groups: Iterable[Tensor]) -> int:
    storages = {tensor.untyped_storage()._cdata: tensor.untyped_storage().nbytes() for g in groups for tensor in g}
    return sum(storages.values())
