"""The worker as a process: killed, told to stop, given nonsense. Nothing is lost and nothing is a traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_models import make_model

from core import durable
from core.events import Event, Failed, Finished, Saved, Started, Step
from core.launch import start_training
from core.runs import Run
from core.worker.train import train

NewRun = Callable[..., Run]
Work = Callable[..., subprocess.CompletedProcess[str]]


def wait_for(run: Run, process: subprocess.Popen[bytes], is_there: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not is_there():
        assert process.poll() is None, run.log_file.read_text()
        assert time.monotonic() < end, f"nothing happened: {run.log_file.read_text()}"
        time.sleep(0.01)


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")
def test_a_killed_run_goes_on_to_the_bit(new_run: NewRun, work: Work) -> None:
    changes = {
        "method.dropout": 0.1,
        "optim.epochs": 8,
        "runtime.save_every_steps": 5,
        "evaluation.every_steps": 20,
    }
    straight, killed = new_run(changes), new_run(changes)
    straight_events: list[Event] = []
    train(straight, straight_events.append, lambda: False)
    process = start_training(killed)
    wait_for(
        killed, process, lambda: any(isinstance(event, Saved) and event.step >= 10 for event in killed.events())
    )
    time.sleep(0.05)
    process.kill()
    process.wait()
    assert killed.state() == "interrupted"
    finished = work(killed)
    assert finished.returncode == 0, finished.stderr
    events = killed.events()
    started = [event for event in events if isinstance(event, Started)]
    assert started[0].resumed_from == 0 and started[1].resumed_from >= 10 and killed.state() == "done"
    ours = {event.step: event.loss for event in events if isinstance(event, Step)}
    theirs = {event.step: event.loss for event in straight_events if isinstance(event, Step)}
    assert ours == theirs and len(ours) == started[0].total_steps
    for name in ("adapter_model.safetensors", "adapter_config.json", "tokenizer.json"):
        assert durable.sha256(killed.adapter / name) == durable.sha256(straight.adapter / name), name


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
def test_a_terminated_worker_finishes_its_step_and_saves(new_run: NewRun) -> None:
    run = new_run({"optim.epochs": 1000})
    process = start_training(run)
    wait_for(run, process, lambda: any(isinstance(event, Step) for event in run.events()))
    assert run.is_live() and run.state() == "live"
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    last = run.events()[-1]
    assert isinstance(last, Finished) and last.reason == "stopped"
    newest = run.latest_checkpoint()
    assert newest is not None and newest.step == last.step and run.state() == "stopped"


def test_a_mistake_is_one_event_and_exit_1_without_a_traceback(new_run: NewRun, work: Work) -> None:
    run = new_run({"method.targets": ("nope",)})
    ended = work(run)
    last = run.events()[-1]
    assert ended.returncode == 1
    assert (
        isinstance(last, Failed) and last.path == "method.targets" and "no linear layer named nope" in last.message
    )
    assert "Traceback" not in ended.stderr and last.message in ended.stderr
    assert run.state() == "failed" and not run.is_live()


def test_a_broken_tokenizer_is_one_sentence_and_its_details_are_in_the_log(
    new_run: NewRun, work: Work, tmp_path: Path
) -> None:
    base = make_model(tmp_path / "odd")
    (base / "tokenizer.json").write_text('{"version": "1.0", "model": {"type": "None"}}')
    run = new_run({"model.source": str(base)})
    ended = work(run)
    last = run.events()[-1]
    assert ended.returncode == 1
    assert (
        isinstance(last, Failed) and last.path == "model.source" and "tokenizer cannot be loaded" in last.message
    )
    assert "\n" not in last.message and "Traceback" in ended.stderr


def test_what_is_no_run_is_said(work: Work, tmp_path: Path) -> None:
    ended = work(Run(tmp_path))
    assert ended.returncode == 1 and ended.stderr.strip() == f"{tmp_path} is no run: it has no config.yaml."


def test_a_second_worker_leaves_the_first_alone(new_run: NewRun, work: Work) -> None:
    run = new_run()
    with run.lock():
        ended = work(run)
    assert ended.returncode == 1 and "already running" in ended.stderr
    assert not run.events_file.exists()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_said(new_run: NewRun, work: Work) -> None:
    run = new_run()
    run.folder.chmod(0o500)
    try:
        ended = work(run)
    finally:
        run.folder.chmod(0o700)
    assert ended.returncode == 1 and "cannot be written" in ended.stderr and "Traceback" not in ended.stderr
