"""Starts workers. Training is detached and belongs to its run folder; chat belongs to its window."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from core.errors import HoneError
from core.events import Failed, Finished, Started
from core.runs import Run

PROJECT = Path(__file__).resolve().parent.parent
ACCEPT_SECONDS = 60.0
JOIN_FREED_BLOCKS = "glibc.malloc.tcache_count=0:glibc.malloc.mxfast=0"
"""glibc cuts a few bytes off a block to align it. Kept by themselves for later use, as is usual, they keep the
block from being whole again when it is freed, and so from being of use to the next tensor of that size."""


def worker_command(job: str, *arguments: str) -> list[str]:
    """The command line of a worker: `python -m core.worker JOB ...`."""
    return [worker_python(), "-m", "core.worker", job, *arguments]


def worker_python() -> str:
    """The Python that runs workers; never the console-less one that a window may run under on Windows."""
    python = Path(sys.executable)
    return str(python.with_name("python.exe")) if python.name.lower() == "pythonw.exe" else str(python)


def worker_environment() -> dict[str, str]:
    """The environment of a worker: this program's modules, no network, no telemetry, unbuffered output."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH", "")])),
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
        "HF_HUB_OFFLINE": "1",
        "USE_HUB_KERNELS": "NO",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "true",
        # Threads that wait for work must sleep: spinning beside another busy program is ten times slower.
        "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE"),
        # Both names: torch 2.9 ignored the new one on CUDA.
        "PYTORCH_ALLOC_CONF": "expandable_segments:True",
        "PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True",
    }


def training_environment() -> dict[str, str]:
    """The environment of a worker that trains: less memory is lost between tensors on a processor."""
    tunables = filter(None, [os.environ.get("GLIBC_TUNABLES", ""), JOIN_FREED_BLOCKS])
    return {
        **worker_environment(),
        "GLIBC_TUNABLES": ":".join(tunables),
        "THP_MEM_ALLOC_ENABLE": "1",  # large tensors on huge pages, where the system has them
    }


def start_training(run: Run) -> subprocess.Popen[bytes]:
    """Start or continue a run in a process of its own that outlives this one.

    Continues from the newest whole checkpoint when there is one. Raises HoneError when the run is live.
    """
    if run.is_live():
        raise HoneError(f"{run.name} is already running.")
    run.take_request("stop")
    flags = 0
    if os.name == "nt":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW  # type: ignore[attr-defined]
        flags |= subprocess.CREATE_BREAKAWAY_FROM_JOB  # type: ignore[attr-defined]
    try:
        with run.log_file.open("ab") as log:
            return subprocess.Popen(
                worker_command("train", str(run.folder)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=training_environment(),
                cwd=run.folder,
                start_new_session=True,
                creationflags=flags,
            )
    except OSError as error:
        raise HoneError(f"The worker of {run.name} cannot be started ({error.strerror}).") from None


def wait_until_accepted(run: Run, process: subprocess.Popen[bytes]) -> None:
    """Return once the worker holds the run's lock or has ended with an event."""
    end = time.monotonic() + ACCEPT_SECONDS
    while time.monotonic() < end and process.poll() is None and not run.is_live():
        time.sleep(0.02)


def kill_training(run: Run) -> None:
    """End a live run's worker at once; the work since its last checkpoint is lost, and Resume does it again.

    Raises HoneError when its process cannot be found on this machine.
    """
    import psutil

    started = [event for event in run.events() if isinstance(event, Started)]
    if not run.is_live() or not started:
        raise HoneError(f"{run.name} has no worker that could be ended now; try again in a moment.")
    try:
        process = psutil.Process(started[-1].pid)
        if run.id not in " ".join(process.cmdline()):  # the number may belong to another machine's process
            raise psutil.NoSuchProcess(process.pid)
        process.kill()
    except psutil.Error:
        raise HoneError(f"The worker of {run.name} is not on this machine, or not yours to end.") from None


def outcome(run: Run) -> Finished | Failed:
    """How a run that is no longer live ended; a death without a word becomes a Failed with its likely cause."""
    events = run.events()
    if events and isinstance(events[-1], (Finished, Failed)):
        return events[-1]
    return Failed(
        message=f"The worker of {run.name} died without a word, most likely killed by the system for lack of "
        "memory; its last words are in worker.log. Resume continues from the last checkpoint."
    )
