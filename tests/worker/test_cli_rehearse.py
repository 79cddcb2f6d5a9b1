"""`hone rehearse` for real: the worker's job in a process of its own, on the bundled model."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from core.cli import main
from core.cli.rehearsals import in_words, run_rehearsal
from core.config import RunConfig
from core.errors import HoneError
from core.memory.rehearsal import Rehearsal

SMALL = ["--set", "data.max_length=64", "--set", "optim.batch_size=2"]


def test_a_rehearsal_is_one_document_and_adds_up(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["rehearse", "--device", "cuda", *SMALL, "--json"]) == 0
    said = capfd.readouterr()
    found = Rehearsal.model_validate(json.loads(said.out))
    assert found.device == "cuda"
    assert (found.rows, found.length) == (2, 64)
    assert found.peak_bytes == sum(found.parts.values()) == max(found.phases.values())
    assert found.peak_bytes == max(point.num_bytes for point in found.timeline)
    assert sum(one.num_bytes for one in found.living) <= found.peak_bytes
    told = "\n".join(in_words(found))  # what people get of it
    assert "at the peak, which is the" in told
    assert "2 rows of 64 tokens" in told
    assert "optimizer step" in told


def test_what_cannot_be_rehearsed_is_one_sentence() -> None:
    with pytest.raises(HoneError, match="not on this machine") as told:
        run_rehearsal(RunConfig().with_value("model.source", "nobody/no-such-model"))
    assert told.value.message.count("\n") == 0


def test_an_interrupted_rehearsal_leaves_no_process() -> None:
    code = (
        "import psutil, signal, threading, os, sys\n"
        "from core.cli import main\n"
        "threading.Timer(3.0, lambda: os.kill(os.getpid(), signal.SIGINT)).start()\n"
        "code = main(['rehearse', '--device', 'cuda', '--set', 'model.source=meta-llama/Llama-3.1-70B'])\n"
        "print(len(psutil.Process().children(recursive=True)))\n"
        "sys.exit(code)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 130
    assert done.stdout.strip() == "0"
    assert "Traceback" not in done.stderr
