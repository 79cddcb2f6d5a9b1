"""What a run writes down as its plan: the estimate as it is, and as past runs on this device correct it."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from core.config import RunConfig
from core.events import EventWriter, Finished, Started
from core.hardware import Device, choose_device
from core.models.source import find_model
from core.runs import Run, RunStore
from core.worker.setup import _predict

CONFIG = RunConfig().with_values({"runtime.device": "cpu", "data.max_length": 64})
DATA: Any = SimpleNamespace(examples=SimpleNamespace(lengths=np.array([12, 60])))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return RunStore(tmp_path).create(CONFIG, "now")


def finish(run: Run, device: Device, predicted: int, measured: int) -> None:
    versions = {"hone": importlib.metadata.version("hone")}
    run.environment_file.write_text(json.dumps({"device": {"name": device.name}, "versions": versions}))
    writer = EventWriter(run.events_file)
    writer.write(Started(pid=1, device=device.id, total_steps=9, predicted_peak_bytes=predicted,
                         planned_peak_bytes=measured, evidence="from before"))  # fmt: skip
    writer.write(Finished(reason="done", step=9, peak_bytes=measured))
    writer.close()


def test_two_past_runs_change_nothing_and_the_third_does(run: Run, tmp_path: Path) -> None:
    device, base = choose_device("cpu"), find_model("starter:storyteller")
    plain = _predict(run, base, device, DATA)
    assert plain.raw_bytes == plain.planned_bytes > 2**28 and not plain.evidence
    for count in (1, 2, 3):
        past = RunStore(tmp_path).create(CONFIG, f"past {count}")
        finish(past, device, plain.raw_bytes, round(0.95 * plain.raw_bytes))
        found = _predict(run, base, device, DATA)
        assert found.raw_bytes == plain.raw_bytes, "a correction is never corrected"
        assert bool(found.evidence) == (count == 3)
    assert found.planned_bytes == pytest.approx(0.95 * plain.raw_bytes, rel=1e-6)
    assert found.evidence == "Adjusted by −5% from 3 runs on this machine"


def test_runs_of_another_method_or_device_are_no_evidence(run: Run, tmp_path: Path) -> None:
    device, base = choose_device("cpu"), find_model("starter:storyteller")
    raw = _predict(run, base, device, DATA).raw_bytes
    full = CONFIG.with_value("method.kind", "full")
    for number in range(3):
        finish(RunStore(tmp_path).create(full, f"full {number}"), device, raw, raw // 10 * 9)
        elsewhere = Device("cuda", 0, "another card", 0, 0)
        finish(RunStore(tmp_path).create(CONFIG, f"card {number}"), elsewhere, raw, raw // 10 * 9)
    assert not _predict(run, base, device, DATA).evidence
