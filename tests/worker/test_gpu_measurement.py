"""The measurement for machines with a GPU, as far as it goes without one."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

from core.worker.rehearse import assemble

SCRIPT = Path(__file__).resolve().parent.parent / "gpu" / "measure_memory.py"
sys.path.insert(0, str(SCRIPT.parent))

import accuracy_table  # noqa: E402
import measure_memory  # noqa: E402

CPU = torch.device("cpu")


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


def test_readme_says_that_nothing_is_measured_until_something_is(tmp_path: Path) -> None:
    """A dry run measures nothing, so it makes no table."""
    document = measure(tmp_path, "--dry-run")
    assert accuracy_table.section([document]) == accuracy_table.UNMEASURED
    document["runs"][0] |= {"allocated_bytes": document["runs"][0]["predicted_allocated_bytes"] * 100 // 101}
    document["runs"][1] |= {"failed": "it ran out"}
    assert "| LoRA, 16 bit | 1 | 1.0 %, +1.0 % | – | – | – |" in accuracy_table.section([document])
    assert "of 1 runs; 1 failed" in accuracy_table.section([document])


def test_the_readme_is_the_one_that_the_recorded_files_make() -> None:
    assert subprocess.run([sys.executable, str(SCRIPT.with_name("accuracy_table.py")), "--check"]).returncode == 0


def test_random_weights_are_finite_numbers_in_every_format() -> None:
    for one in measure_memory.TINY_RUNS:
        config = measure_memory.config_of(one)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            setting = assemble(config, measure_memory.MODELS["tiny"], torch.float32, CPU)
            measure_memory.randomise(setting)
            gradient = setting.gradient()
        vocab = measure_memory.MODELS["tiny"]["vocab_size"]
        assert 0.5 * math.log(vocab) < float(gradient.loss) < 2 * math.log(vocab), one
        assert math.isfinite(float(gradient.norm)) and float(gradient.norm) > 0
        assert len(set(setting.stepper.examples.tokens.tolist())) > 50


@pytest.mark.battery
def test_tiny_runs_on_the_processor_take_what_was_rehearsed(tmp_path: Path) -> None:
    runs = measure(tmp_path, "--device", "cpu", "--tiny")["runs"]
    assert len(runs) == 3
    for one in runs:
        assert abs(one["rehearsed_bytes"] / one["allocated_bytes"] - 1) <= 0.02, one
