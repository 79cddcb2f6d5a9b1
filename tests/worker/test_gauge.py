"""A worker's memory on a CPU is what it needs, however much of libraries' files the system has put there."""

from __future__ import annotations

import mmap
import sys
from pathlib import Path

import psutil
import pytest
import torch

from core.worker.gauge import Gauge

MIB = 1 << 20
CPU = torch.device("cpu")


def touch(file: Path, num_bytes: int) -> mmap.mmap:
    """The file in this process's memory, all of it resident."""
    with file.open("w+b") as opened:
        opened.truncate(num_bytes)
        found = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
    assert sum(found[place] for place in range(0, num_bytes, mmap.PAGESIZE)) == 0
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="what is resident of a file is asked of Linux")
def test_files_of_libraries_count_as_far_as_they_are_used(tmp_path: Path) -> None:
    gauge, resident = Gauge(CPU), psutil.Process().memory_info().rss
    library = touch(tmp_path / "library.so.1", 300 * MIB)
    gauge.sample()
    grown = psutil.Process().memory_info().rss - resident
    assert grown >= 290 * MIB, "it is resident"
    assert gauge.own_now < resident + 160 * MIB and gauge.own_peak < resident + 160 * MIB
    before = gauge.own_peak
    weights = touch(tmp_path / "model.safetensors", 300 * MIB)
    gauge.sample()
    assert gauge.own_peak > before + 290 * MIB, "other files are what the run is about"
    assert gauge.own_now > before + 290 * MIB
    weights.close()
    library.close()
