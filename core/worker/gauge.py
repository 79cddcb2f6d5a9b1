"""How much memory this process takes on its device, sampled by a thread so that the loop never asks."""

from __future__ import annotations

import os
import re
import sys
import threading
from pathlib import Path

import psutil
import torch

SAMPLE_SECONDS = 0.1
PROGRAM_BYTES = 142 << 20
"""Of libraries' files in a worker that trains on Linux, when they were read from disk. Right after an installation
they are still in the system's cache, in stretches so long that 80 MiB more are there which nobody asked for, and
which go when memory is short."""
PROGRAM = re.compile(rb"\.so[^/\n]*\n(?:(?!Rss:).*\n)*Rss: +(\d+) kB")
"""A library's file in /proc/self/smaps, and how much of it is resident."""


class Gauge:
    """Memory now and at its peak, in bytes.

    On a CPU: the resident memory of the whole process, libraries included as far as they are used; the peak is
    since the gauge started, exact on Linux (the kernel keeps it) and by sampling elsewhere. On a GPU: what torch's
    allocator has reserved, plus what the driver counts for this process beyond that (kernels, workspaces). Of
    several processes of a run, those of the largest.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._process = psutil.Process()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gauge", daemon=True)
        self._context = 0
        self._kernel_peak = self._unused = 0
        self._others_now = self._others_peak = 0
        self.now = self.peak = self.own_now = self.own_peak = 0
        _forget_peak()
        self.sample()

    def __enter__(self) -> Gauge:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        self.sample()

    def sample(self) -> None:
        """Look now; while the gauge is entered, its thread does so ten times a second."""
        if self._device.type == "cuda":
            self.own_now = torch.cuda.memory_reserved(self._device) + self._context
            self.own_peak = max(self.own_peak, torch.cuda.max_memory_reserved(self._device) + self._context)
        else:
            if (peak := _kernel_peak()) > self._kernel_peak:
                self._kernel_peak, self._unused = peak, max(0, _program_bytes() - PROGRAM_BYTES)
                self.own_peak = max(self.own_peak, peak - self._unused)
            self.own_now = self.resident()
            if self._device.type == "mps":
                self.own_now = max(self.own_now, torch.mps.driver_allocated_memory())
            self.own_peak = max(self.own_peak, self.own_now)
        self.now, self.peak = max(self.own_now, self._others_now), max(self.own_peak, self._others_peak)

    def resident(self) -> int:
        """The process's memory now, libraries as far as they are used, in bytes; asked of the system at once."""
        return self._process.memory_info().rss - self._unused

    def count_others(self, now: int, peak: int) -> None:
        """What the largest of the other processes of the run takes: the larger of the two is told from here on."""
        self._others_now, self._others_peak = now, peak

    def measure_context(self) -> None:
        """Ask the driver once what the process takes beyond torch's allocator; to be called after loading."""
        if self._device.type == "cuda":
            from core.hardware import devices

            ours = [d.used_by_us_bytes for d in devices() if d.id == str(self._device)]
            self._context = max(0, sum(ours) - torch.cuda.memory_reserved(self._device))
        self.sample()

    def _run(self) -> None:
        while not self._stopped.wait(SAMPLE_SECONDS):
            self.sample()


def _kernel_peak() -> int:
    """The highest resident memory that Linux has seen of this process; 0 elsewhere."""
    if sys.platform != "linux":
        return 0
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    kib = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")), "0")
    return int(kib) * 1024


def _program_bytes() -> int:
    """How much of libraries' files Linux has in this process's memory; takes a hundredth of a second."""
    try:
        return 1024 * sum(map(int, PROGRAM.findall(Path("/proc/self/smaps").read_bytes())))
    except OSError:
        return 0  # a locked-down system, where nothing is known of it


def _forget_peak() -> None:
    """Let Linux begin its peak anew: importing the libraries is no part of training."""
    if sys.platform == "linux":
        try:
            handle = os.open("/proc/self/clear_refs", os.O_WRONLY)
        except OSError:
            return  # a locked-down system; the peak then includes the start of the process
        with os.fdopen(handle, "w") as file:
            file.write("5")
