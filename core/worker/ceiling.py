"""Keeps a worker on a processor within its planned memory, as far as that depends on the C library."""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable

import torch

LOOK_SECONDS = 0.01
"""Tensors come to tens of MiB in that time."""
NEAR = 1 / 32
"""How far below the plan freed memory is given back, and by how much the process must then grow to try again; as a
share."""


class Ceiling:
    """While entered, gives freed memory back to the system whenever the process comes near its plan.

    glibc keeps what tensors give back, and hands it out in splinters: with many long rows at once, of ever other
    lengths, a process came to take twice what was planned. With MALLOC_MMAP_THRESHOLD_ it would keep nothing, at
    the price of a page fault for every page of every tensor; so it may keep what the plan has room for. Other C
    libraries return large blocks by themselves, and a GPU's memory is torch's affair: there nothing is done, nor
    without a plan. A plan that was too low is given up for what the process turned out to need.
    """

    def __init__(self, device: torch.device, resident: Callable[[], int], planned_bytes: int) -> None:
        self._resident = resident
        self._limit = planned_bytes * (1 - NEAR)
        self._stopped = threading.Event()
        self._trim = _trim_of_glibc() if device.type == "cpu" and planned_bytes else None
        self._thread = threading.Thread(target=self._run, name="ceiling", daemon=True)

    def __enter__(self) -> Ceiling:
        if self._trim:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._trim:
            self._stopped.set()
            self._thread.join()

    def look(self) -> None:
        """Give back what is free if the process has come near its plan; while entered, a thread does so."""
        if self._trim and self._resident() > self._limit:
            self._trim(0)
            self._limit = max(self._limit, self._resident() * (1 + NEAR))

    def _run(self) -> None:
        while not self._stopped.wait(LOOK_SECONDS):
            self.look()


def _trim_of_glibc() -> Callable[[int], int] | None:
    """Its malloc_trim, which also returns free pages between used ones; None with another C library."""
    if sys.platform != "linux":
        return None
    return getattr(ctypes.CDLL(None), "malloc_trim", None)
