"""What a run was made with: versions, device, base model and data, in one JSON file of its folder."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from typing import Any

import torch

from core import durable
from core.hardware import Device
from core.models.source import ModelFolder
from core.runs import Run

LIBRARIES = (
    "hone", "torch", "transformers", "peft", "accelerate", "bitsandbytes", "safetensors", "tokenizers", "numpy",
)  # fmt: skip


def settle(device: Device, threads: int, deterministic: bool) -> torch.device:
    """Set this process up for the device. Returns it as torch names it."""
    torch.set_num_threads(threads)
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts
        torch.use_deterministic_algorithms(True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        torch.backends.cudnn.benchmark = False
    if device.kind == "cuda":
        torch.cuda.set_device(device.index)
    return torch.device(device.id)


def write_environment(
    run: Run, device: Device, base: ModelFolder, data_sha256: str, rows: dict[str, Any]
) -> dict[str, Any]:
    """Write environment.json and return its content: `rows` says which were used, and what became of the others.
    Results are equal to the bit only where it is."""
    found = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: _version(name) for name in LIBRARIES},
        "device": {"id": device.id, "name": device.name, "total_bytes": device.total_bytes},
        "threads": torch.get_num_threads(),
        "model": {"source": base.source, "path": str(base.path), "commit": base.commit},
        "data": {"source": run.config.data.source, "sha256": data_sha256, "rows": rows},
    }
    durable.write_file(run.environment_file, json.dumps(found, indent=1) + "\n")
    return found


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""
