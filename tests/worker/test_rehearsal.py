"""The job that rehearses a run: its document, its progress, and what it says when it cannot."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Literal

import pytest
import torch

from core.config import RunConfig
from core.hardware import Device
from core.launch import worker_command, worker_environment
from core.memory.rehearsal import MOST_POINTS, PHASES, Rehearsal
from core.worker import rehearse as rehearsal
from core.worker import replay
from core.worker.storages import StorageLog

SMALL = {
    "model_type": "llama", "hidden_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 512, "vocab_size": 4096, "max_position_embeddings": 1024,
}  # fmt: skip
CONFIG = "model: {source: 'starter:storyteller', quantization: nf4}\ndata: {max_length: 128}\n"


def rehearse(file: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        worker_command("rehearse", str(file), *options),
        env={**worker_environment(), **os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def test_a_rehearsal_answers_with_one_document(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(CONFIG)
    done = rehearse(file, "--device", "cuda", "--longest", "100")
    assert done.returncode == 0, done.stderr[-2000:]
    found = Rehearsal.model_validate_json(done.stdout)
    assert sum(found.parts.values()) == found.peak_bytes == max(found.phases.values())
    assert tuple(found.phases) == PHASES and all(found.phases.values())
    assert found.phases[found.peak_phase] == found.peak_bytes
    assert len(found.timeline) <= MOST_POINTS
    assert max(point.num_bytes for point in found.timeline) == found.peak_bytes
    assert [point.at for point in found.timeline] == sorted(point.at for point in found.timeline)
    assert {point.phase for point in found.timeline} == set(PHASES) - {"load"}
    assert [one.num_bytes for one in found.living] == sorted((one.num_bytes for one in found.living), reverse=True)
    assert (found.length, found.device, found.num_layers) == (100, "cuda", 4)
    assert found.peak_bytes < found.reserved_bytes < found.fixed_reserved_bytes < 1.6 * found.peak_bytes + 2**26
    assert "Rehearsing" in done.stderr


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("model: {source: 'nobody/nothing'}\n", "is not on this machine"),
        ("model: {source: 1e, colour: red}\n", "Unknown setting"),
    ],
)
def test_what_cannot_be_rehearsed_is_one_sentence(tmp_path: Path, config: str, words: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(config)
    done = rehearse(file)
    assert done.returncode == 1 and not done.stdout
    assert words in done.stderr and "Traceback" not in done.stderr


def test_what_dies_after_the_rehearsal_is_no_part_of_it() -> None:
    log = StorageLog()
    with log:
        log.begin("training 1/head")
        tensor = torch.zeros(64)
    num_events = len(log.events)
    del tensor
    assert len(log.events) == num_events
    assert [moment.num_bytes for moment in replay.walk(log)] == [256]


@pytest.mark.parametrize(("optimizer", "device"), [("sgd", "cpu"), ("adamw", "cpu"), ("adamw_8bit", "cuda")])
def test_no_operation_is_done_on_real_tensors(
    monkeypatch: pytest.MonkeyPatch, optimizer: str, device: Literal["cpu", "cuda"]
) -> None:
    """What torch cannot fake it does for real, and takes the memory that the rehearsal is to foretell."""

    def refuse(mode: object, operation: object, *_: object) -> None:
        raise AssertionError(f"{operation} would be real")

    monkeypatch.setattr("torch._subclasses.fake_tensor.run_fallback_kernel", refuse)
    for quantization in ("none", "nf4", "int8"):
        kind = "full" if quantization == "none" else "lora"
        values = {"method.kind": kind, "model.quantization": quantization, "optim.optimizer": optimizer}
        where = Device(device, 0, "", 8 << 30, 8 << 30, bf16=device == "cuda", capability=(8, 9))
        assert rehearsal.rehearse(RunConfig().with_values(values), SMALL, where).num_layers == 2
