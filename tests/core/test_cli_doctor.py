"""The checkup: what works is said to work because it was tried, and each problem comes with a remedy."""

from __future__ import annotations

import json

import pytest

from core import display, doctor, hardware
from core.cli import main
from core.doctor import Finding


def test_everything_that_training_leans_on_is_really_tried(capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor", "--json"])
    found = json.loads(capsys.readouterr().out)
    tried = {finding["text"]: finding["state"] for finding in found["findings"] if finding["name"] == "Training"}
    for what in doctor.TRIED.values():
        assert tried[f"{what} works on cpu"] == "ok"
    names = {finding["name"] for finding in found["findings"]}
    assert {"Python", "Versions", "Processor", "Memory", "Disk", "GPU", "Window", "Starter model"} <= names
    assert all(finding["remedy"] for finding in found["findings"] if finding["state"] == "problem")
    assert found["ok"] == all(finding["state"] != "problem" for finding in found["findings"])


@pytest.fixture
def without_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the worker, which takes seconds and has its own test above."""
    monkeypatch.setattr(doctor, "_tried", lambda: iter(()))


@pytest.mark.usefixtures("without_trials")
def test_a_problem_ends_with_1_and_names_its_remedy(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(display, "missing_packages", lambda: ["libegl1", "libgl1"])
    assert main(["doctor"]) == 1
    told = capsys.readouterr()
    assert "PROBLEM  Window: 2 system libraries are missing" in told.out
    assert "→ On Debian or Ubuntu: sudo apt install libegl1 libgl1" in told.out
    assert told.err.startswith("hone: 1 of ")
    assert "(Window)" in told.err


@pytest.mark.usefixtures("without_trials")
def test_a_gpu_that_torch_cannot_use_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "torch_has_cuda", lambda: False)
    monkeypatch.setattr(doctor, "_nvidia_name", lambda: "NVIDIA GeForce RTX 4090")
    monkeypatch.setattr(hardware, "devices", lambda: [device for device in _devices() if device.kind == "cpu"])
    found = next(finding for finding in doctor.examine() if finding.name == "GPU")
    assert found.state == "problem"
    assert "NVIDIA GeForce RTX 4090 is here" in found.text
    assert "CUDA build" in found.remedy


_devices = hardware.devices


@pytest.mark.usefixtures("without_trials")
def test_other_versions_than_tested_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = doctor._installed
    monkeypatch.setattr(doctor, "_installed", lambda name: "4.0.0" if name == "transformers" else installed(name))
    found = next(finding for finding in doctor.examine() if finding.name == "Versions")
    assert (found.state, "transformers 4.0.0 (tested: " in found.text) == ("note", True)


def test_a_worker_that_does_not_start_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "worker_command", lambda job: ["/nowhere/python", job])
    assert list(doctor._tried()) == [
        Finding("Training", "problem", "the worker process does not start",
                "python packaging/launch.py mends the environment.")
    ]  # fmt: skip


def test_a_kernel_that_fails_is_told_with_what_to_do_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    said = json.dumps([["torch", "cuda:0", ""], ["nf4", "cuda:0", "RuntimeError: no kernel image"]])
    monkeypatch.setattr(doctor, "worker_command", lambda job: [doctor.sys.executable, "-c", f"print({said!r})"])
    fine, broken = doctor._tried()
    assert (fine.state, fine.text) == ("ok", "a training step with torch works on cuda:0")
    assert broken.state == "problem"
    assert broken.text == "a 4-bit layer (bitsandbytes) fails on cuda:0: RuntimeError: no kernel image"
    assert broken.remedy == "Leave model.quantization at none on this device."
