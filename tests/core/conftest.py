"""What the tests of runs share: a store, a run in it, and a process that holds it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from run_words import HOLDER

from core.config import RunConfig
from core.runs import Run, RunStore


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs")


@pytest.fixture
def run(store: RunStore) -> Run:
    return store.create(RunConfig(), "poet")


@pytest.fixture
def holder(run: Run):
    """A real process that holds the run's lock, as a worker does."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(run.folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()
