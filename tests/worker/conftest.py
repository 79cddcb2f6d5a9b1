"""What the worker's tests share: a tiny model and data on disk, and runs of the real worker process."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny_models import make_model, write_chats

from core.config import RunConfig
from core.launch import worker_command, worker_environment
from core.runs import Run, RunStore

SMALL = {
    "model.source": "",
    "data.source": "",
    "data.max_length": 64,
    "data.holdout": 0.1,
    "method.rank": 4,
    "optim.learning_rate": 1e-2,
    "optim.batch_size": 4,
    "optim.accumulation": 2,
    "optim.epochs": 2,
    "evaluation.every_steps": 0,
    "evaluation.samples": 0,
    "memory.activation_checkpointing": False,
    "runtime.device": "cpu",
    "runtime.threads": 1,
    "runtime.save_every_steps": 4,
}


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """The models are so small that a second thread only costs time."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny Llama and a marked ChatML template."""
    return make_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def chats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """64 prompts with answers."""
    return write_chats(tmp_path_factory.mktemp("data") / "chats.jsonl")


@pytest.fixture
def new_run(tmp_path: Path, tiny: Path, chats: Path) -> Callable[..., Run]:
    """Makes a run of the tiny model on the chats, with settings changed by dotted path."""
    store = RunStore(tmp_path / "runs")

    def make(changes: dict[str, object] | None = None, name: str = "tiny") -> Run:
        values = {**SMALL, "model.source": str(tiny), "data.source": str(chats), **(changes or {})}
        kind = values.pop("method.kind", None)
        config = RunConfig().with_value("method.kind", kind) if kind else RunConfig()
        if kind == "full":
            values.pop("method.rank", None)
        return store.create(config.with_values(values), name)

    return make


@pytest.fixture
def work() -> Callable[[Run], subprocess.CompletedProcess[str]]:
    """Runs the real worker on a run to its end."""

    def run(run: Run) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            worker_command("train", str(run.folder)),
            env={**worker_environment(), "OMP_NUM_THREADS": "1"},
            cwd=run.folder,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run
