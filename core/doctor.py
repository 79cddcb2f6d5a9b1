"""What works on this machine, each finding with its remedy. What needs torch is tried out in a worker process."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from core import display, hardware, places
from core.errors import HoneError
from core.figures import size
from core.launch import PROJECT, worker_command, worker_environment

State = Literal["ok", "note", "problem"]
TRY_SECONDS = 300.0
ENOUGH_DISK = 2 * 2**30
ENOUGH_MEMORY = 2**30
INSTALLERS = ("pip", "setuptools")
TRIED = {
    "torch": "a training step with torch",
    "nf4": "a 4-bit layer (bitsandbytes)",
    "int8": "an 8-bit layer (bitsandbytes)",
    "adamw_8bit": "the 8-bit optimizer (bitsandbytes)",
}


@dataclass(frozen=True)
class Finding:
    """One thing looked at. A note is worth knowing and hinders nothing."""

    name: str
    state: State
    text: str
    remedy: str = ""


def examine() -> Iterator[Finding]:
    """Look at everything, quick things first; each finding as soon as it is known. Takes some seconds."""
    yield _python()
    yield _versions()
    yield _cores()
    yield _memory()
    yield from _home()
    yield _gpu()
    yield _display()
    yield _starter()
    yield from _tried()


def _python() -> Finding:
    version = platform.python_version()
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        return Finding("Python", "ok", f"{version} on {platform.system()} {platform.machine()}")
    return Finding("Python", "problem", f"{version} has not been tested", "Set Hone up with Python 3.11 to 3.13.")


def _versions() -> Finding:
    """Compare what is installed with packaging/constraints.txt; packages that are not installed are not missed."""
    try:
        lines = (PROJECT / "packaging" / "constraints.txt").read_text(encoding="utf-8").splitlines()
    except OSError:
        return Finding("Versions", "note", "the list of tested versions is not here, so they were not compared")
    tested = dict(line.split("==") for line in lines if re.fullmatch(r"[\w.-]+==[\w.]+", line))
    other = [
        f"{name} {found} (tested: {wanted})"
        for name, wanted in tested.items()
        if name not in INSTALLERS and (found := _installed(name)) and found.partition("+")[0] != wanted
    ]
    if not other:
        return Finding("Versions", "ok", f"all as tested, with torch {_installed('torch')}")
    return Finding("Versions", "note", f"others than tested: {', '.join(other)}",
                   "python packaging/launch.py installs the tested ones.")  # fmt: skip


def _installed(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _cores() -> Finding:
    usable, all_threads = hardware.cpu_cores(), os.cpu_count() or 1
    of = f" of {all_threads}" if usable != all_threads else ""
    return Finding("Processor", "ok", f"{usable}{of} threads")


def _memory() -> Finding:
    memory = next(device for device in hardware.devices() if device.kind == "cpu")
    text = f"{size(memory.free_bytes)} of {size(memory.total_bytes)} free"
    if memory.free_bytes < ENOUGH_MEMORY:
        return Finding("Memory", "problem", text, "Close other programs; even a small model wants about 1 GiB.")
    return Finding("Memory", "ok", text)


def _home() -> Iterator[Finding]:
    home = places.home()
    free = hardware.disk_free(home)
    text = f"{size(free)} free for runs and caches in {home}"
    if free < ENOUGH_DISK:
        yield Finding("Disk", "problem", text, "Free some space, or move Hone's folder with HONE_HOME.")
    else:
        yield Finding("Disk", "ok", text)
    existing = next(folder for folder in (home, *home.parents) if folder.exists())
    if not os.access(existing, os.W_OK):
        yield Finding("Disk", "problem", f"{existing} cannot be written",
                      "Mend its permissions, or move Hone's folder with HONE_HOME.")  # fmt: skip


def _gpu() -> Finding:
    gpus = [device for device in hardware.devices() if device.kind != "cpu"]
    if gpus:
        shown = ", ".join(
            f"{gpu.name} with {size(gpu.free_bytes)} of {size(gpu.total_bytes)} free" for gpu in gpus
        )
        return Finding("GPU", "ok", shown)
    if not hardware.torch_has_cuda() and (name := _nvidia_name()):
        return Finding(
            "GPU", "problem", f"{name} is here, but the installed torch is the build for processors only",
            "Install the CUDA build of the same torch version into .venv, as PyTorch's install page shows.",
        )  # fmt: skip
    return Finding(
        "GPU", "note", "none found, so models train on the processor: small ones well, large ones slowly"
    )


def _nvidia_name() -> str:
    """The first NVIDIA GPU that the driver knows; empty without one."""
    try:
        import pynvml

        pynvml.nvmlInit()
        name = pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(0))
    except Exception:  # a missing library, an old driver, a sandbox: all mean "no GPU"
        return ""
    return name.decode(errors="replace") if isinstance(name, bytes) else name


def _display() -> Finding:
    if missing := display.missing_packages():
        return Finding("Window", "problem", f"{len(missing)} system libraries are missing",
                       f"On Debian or Ubuntu: sudo apt install {' '.join(missing)}")  # fmt: skip
    if not display.is_present():
        return Finding("Window", "note", "no display here; every verb of the command line works without one")
    return Finding("Window", "ok", "the libraries it needs are here")


def _starter() -> Finding:
    from core.models.source import find_model

    try:
        folder = find_model("starter:storyteller")
    except HoneError as error:
        return Finding(
            "Starter model", "problem", error.message, "Fetch the project anew; a file of it is missing."
        )
    return Finding("Starter model", "ok", f"{folder.name} is whole")


def _tried() -> Iterator[Finding]:
    """Run the trial worker and tell what it found."""
    try:
        done = subprocess.run(
            worker_command("doctor"),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env=worker_environment(),
            cwd=PROJECT,
            timeout=TRY_SECONDS,
        )
        outcomes = json.loads(done.stdout.strip().splitlines()[-1])
    except (OSError, ValueError, IndexError, subprocess.TimeoutExpired):
        yield Finding("Training", "problem", "the worker process does not start",
                      "python packaging/launch.py mends the environment.")  # fmt: skip
        return
    for what, device, failure in outcomes:
        if failure:
            yield Finding(
                "Training", "problem", f"{TRIED[what]} fails on {device}: {failure}", _remedy(what, device)
            )
        else:
            yield Finding("Training", "ok", f"{TRIED[what]} works on {device}")


def _remedy(what: str, device: str) -> str:
    if what == "torch":
        driver = "Update the GPU's driver, or set runtime.device to cpu."
        return driver if device != "cpu" else "python packaging/launch.py mends the environment."
    if what == "adamw_8bit":
        return "Leave optim.optimizer at adamw."
    return "Leave model.quantization at none on this device."
