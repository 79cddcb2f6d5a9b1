"""Workers of runs: how one is started, outlives its starter, and is ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from run_words import HOLDER, say, started, step

from core import launch
from core.errors import HoneError
from core.events import Failed, Finished, Started
from core.runs import Run

posix = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")


def test_a_worker_is_started_in_this_python_without_network():
    command = launch.worker_command("train", "folder")
    assert command[1:] == ["-m", "core.worker", "train", "folder"]
    environment = launch.worker_environment()
    assert environment["HF_HUB_OFFLINE"] == "1"
    assert environment["PYTHONPATH"].split(os.pathsep)[0] == str(launch.PROJECT)


def test_a_window_without_a_console_starts_workers_that_have_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "executable", str(Path("python", "pythonw.exe")))
    assert Path(launch.worker_python()).name == "python.exe"


def test_a_live_run_is_not_started_twice(run: Run, holder):
    with pytest.raises(HoneError, match="already running"):
        launch.start_training(run)


def test_a_python_that_is_gone_is_one_sentence(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "gone"))
    with pytest.raises(HoneError, match="cannot be started"):
        launch.start_training(run)


def test_starting_forgets_an_old_wish_to_stop(run: Run, monkeypatch: pytest.MonkeyPatch):
    run.request("stop")
    monkeypatch.setattr(launch, "worker_command", lambda *_: [sys.executable, "-c", "print('hello')"])
    process = launch.start_training(run)
    assert process.wait() == 0
    assert not run.take_request("stop")
    assert run.log_file.read_text() == "hello\n"


OUTLIVES = """
import sys, time
from pathlib import Path
from core import launch
from core.runs import Run
run = Run(Path(sys.argv[1]))
launch.worker_command = lambda *_: [sys.executable, "-c", sys.argv[2], str(run.folder)]
process = launch.start_training(run)
launch.wait_until_accepted(run, process)
print(process.pid, flush=True)
time.sleep(60)
"""


@posix
def test_training_outlives_the_process_that_started_it(run: Run):
    starter = subprocess.Popen(
        [sys.executable, "-c", OUTLIVES, str(run.folder), HOLDER], stdout=subprocess.PIPE, text=True
    )
    assert starter.stdout is not None
    worker_pid = int(starter.stdout.readline())
    try:
        assert run.is_live()
        starter.kill()
        starter.communicate()
        time.sleep(0.1)
        assert run.is_live()
        assert os.getsid(worker_pid) == worker_pid, "the worker shares its starter's session"
    finally:
        os.kill(worker_pid, signal.SIGKILL)
    end = time.monotonic() + 5
    while run.is_live() and time.monotonic() < end:
        time.sleep(0.01)
    assert not run.is_live()


SILENT_WORKER = """
import os, sys, time
from pathlib import Path
from core.events import EventWriter, Started
from core.runs import Run
run = Run(Path(sys.argv[1]))
lock = run.lock()
lock.acquire()
EventWriter(run.events_file).write(Started(pid=os.getpid(), device="cpu", total_steps=1))
time.sleep(60)
"""


def test_a_worker_that_does_not_listen_can_be_ended_at_once(run: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(launch, "worker_command", lambda *a: [sys.executable, "-c", SILENT_WORKER, a[1]])
    process = launch.start_training(run)
    while not run.events() and process.poll() is None:
        time.sleep(0.01)
    launch.kill_training(run)
    process.wait(timeout=10)
    assert run.state() == "interrupted"
    with pytest.raises(HoneError, match="no worker"):
        launch.kill_training(run)


def test_no_other_process_is_ever_ended_in_its_place(run: Run, holder):
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        with pytest.raises(HoneError, match="no worker"):
            launch.kill_training(run)
        say(run, Started(pid=bystander.pid, device="cpu", total_steps=1))
        with pytest.raises(HoneError, match="not on this machine"):
            launch.kill_training(run)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_death_without_a_word_gets_one(run: Run):
    say(run, started(), step(1))
    ended = launch.outcome(run)
    assert isinstance(ended, Failed) and "memory" in ended.message and "Resume" in ended.message
    say(run, Finished(reason="done", step=2))
    assert launch.outcome(run) == run.events()[-1]
