"""train, resume, stop and chat on a tiny model, with the real worker and the real command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from chat_models import make_base

from core.runs import RunStore


class Hone:
    """The command, with a runs folder and a tiny model of its own."""

    def __init__(self, folder: Path) -> None:
        self.runs = folder / "runs"
        self.store = RunStore(self.runs)
        self.config = folder / "run.yaml"
        base = make_base(folder / "tiny")
        rows = [{"prompt": f"What is {n}?", "completion": f"It is {n} and {n + 1}."} for n in range(40)]
        (folder / "rows.jsonl").write_text(
            "".join(json.dumps(row) + "\n" for row in rows) + '{"prompt": "Why?"}\n'
        )
        self.config.write_text(
            f"model: {{source: {base}}}\ndata: {{source: rows.jsonl, max_length: 32}}\n"
            "optim: {batch_size: 4, accumulation: 1, epochs: 1, learning_rate: 1e-2}\n"
            "evaluation: {every_steps: 0, samples: 0}\nruntime: {threads: 1, save_every_steps: 5}\n"
        )

    def start(self, *typed: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "core.cli", *typed, "--runs", str(self.runs)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def __call__(self, *typed: str) -> tuple[int, str, str]:
        process = self.start(*typed)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    def document(self, *typed: str) -> Any:
        code, out, err = self(*typed, "--json")
        assert code == 0, err
        return json.loads(out)


@pytest.fixture(scope="module")
def hone(tmp_path_factory: pytest.TempPathFactory) -> Hone:
    return Hone(tmp_path_factory.mktemp("training"))


def test_train_follows_a_run_to_its_end_and_chat_talks_to_it(hone: Hone) -> None:
    code, out, err = hone("train", str(hone.config), "--name", "poet", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert (found["state"], found["step"], found["total_steps"]) == ("done", 10, 10)
    assert found["loss"] > 0
    assert found["eval_loss"] > 0
    assert found["measured_peak_bytes"] > 0
    assert found["predicted_peak_bytes"] > 0
    assert (Path(found["adapter"]) / "adapter_model.safetensors").is_file()
    assert "1 of 41 rows were skipped" in err
    assert "Traceback" not in err

    answers = hone.document("chat", "poet", "--base", "--prompt", "What is 3?", "--max-tokens", "8")["answers"]
    assert [answer["kind"] for answer in answers] == ["base", "adapter"]
    assert answers[0]["largest_logit_difference_to_base"] == 0 < answers[1]["largest_logit_difference_to_base"]
    assert all(0 < answer["num_tokens"] <= 8 for answer in answers)

    code, out, err = hone("resume", "poet")
    assert (code, out) == (1, "")
    assert "poet is already done" in err


def test_detached_run_is_stopped_and_resumed(hone: Hone) -> None:
    started = hone.document("train", str(hone.config), "--name", "long", "--detach", "--set", "optim.epochs=1000")
    assert started["state"] == "live"
    assert hone("resume", "long")[0] == 1
    run = hone.store.find("long")
    wait_for_steps(run, 3)
    stopped = hone.document("stop", "long")
    assert stopped["state"] == "stopped"
    assert stopped["step"] >= 3
    assert hone("stop", "long")[0] == 1
    resumed = hone.start("resume", "long")
    wait_for_steps(run, stopped["step"] + 3)
    resumed.send_signal(signal.SIGINT)
    out, err = resumed.communicate(timeout=120)
    assert resumed.returncode == 130, err
    assert "Stopping after this step" in err
    assert "hone resume" in out
    assert run.state() == "stopped"
    assert run.latest_checkpoint() is not None


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send to another process")
def test_second_interrupt_kills_and_the_run_can_be_resumed(hone: Hone) -> None:
    config = ("--set", "optim.epochs=1000", "--set", "optim.batch_size=32", "--set", "optim.accumulation=64")
    process = hone.start("train", str(hone.config), "--name", "slow", *config)
    while not (found := [run for run in hone.store.runs() if run.name == "slow"]) or not found[0].is_live():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    for line in process.stderr:
        if "Ctrl+C again" in line:
            break
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert found[0].state() in ("new", "interrupted")


def test_worker_that_fails_is_reported_in_its_words(hone: Hone) -> None:
    """The base disappears after the check; what the worker then says reaches the user, with exit 1."""
    run = hone.store.create(hone.store.find("poet").config.with_value("data.max_length", 16), "orphan")
    rows = Path(run.config.data.source)
    kept = rows.read_bytes()
    process = hone.start("resume", "orphan")
    while not run.log_file.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    rows.unlink()
    out, err = process.communicate(timeout=120)
    rows.write_bytes(kept)
    assert (process.returncode, out) == (1, "")
    assert err.splitlines()[-1].startswith("hone: ")
    assert "rows.jsonl does not exist" in err
    assert "Traceback" not in err


def wait_for_steps(run: Any, step: int) -> None:
    end = time.monotonic() + 60
    while max((getattr(event, "step", 0) for event in run.events()), default=0) < step:
        assert time.monotonic() < end, run.log_file.read_text()
        time.sleep(0.05)
