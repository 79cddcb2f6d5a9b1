"""The measurement for machines with a GPU, as far as it goes without one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "gpu" / "measure_memory.py"


def measure(folder: Path, *options: str) -> dict:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "here", "--out", str(folder), *options],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=400,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-1000:]
    return json.loads((folder / "gpu-memory-here.json").read_text())


def test_a_dry_run_writes_every_prediction(tmp_path: Path) -> None:
    runs = measure(tmp_path, "--dry-run")["runs"]
    assert len(runs) >= 40
    assert all(one["predicted_process_bytes"] > one["predicted_allocated_bytes"] > 1e9 for one in runs)
    assert {one["model"] for one in runs} == {"1B", "3B", "8B", "experts"}


@pytest.mark.battery
def test_tiny_runs_on_the_processor_take_what_was_rehearsed(tmp_path: Path) -> None:
    runs = measure(tmp_path, "--device", "cpu", "--tiny")["runs"]
    assert len(runs) == 3
    for one in runs:
        assert abs(one["rehearsed_bytes"] / one["allocated_bytes"] - 1) <= 0.02, one
