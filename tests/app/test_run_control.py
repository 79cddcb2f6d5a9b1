"""What is asked of a live run reaches its worker: stop, save, resume, and what cannot be passed on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import run_folders
from run_folders import begin, done, hold, write

from core import launch
from core.config import RunConfig


def test_control_leaves_files_for_the_worker(store, follow):
    run = write(store, "poet", begin(200, 10))
    lock = hold(run)
    live = follow(run)
    live.start()
    live.save_now()
    live.sample_now()
    assert run.take_request("save") and run.take_request("sample") and not run.take_request("stop")
    live.stop()
    assert live.is_asked_to_stop and run.take_request("stop")
    lock.release()
    live.tick()
    assert not live.is_asked_to_stop


def test_stopping_what_is_over_does_nothing(store, follow):
    run = write(store, "poet", [*begin(200, 10), done(10)])
    live = follow(run)
    live.start()
    live.stop()
    assert not live.is_asked_to_stop and not (run.folder / "control").exists()


def test_a_wish_that_cannot_be_passed_on_is_one_sentence(store, follow, qtbot):
    run = write(store, "poet", begin(200, 10))
    (run.folder / "control").touch()
    lock = hold(run)
    live = follow(run)
    live.start()
    with qtbot.waitSignal(live.refused) as heard:
        live.save_now()
    assert "cannot be told to save" in heard.args[0]
    lock.release()


WORKER = """
import sys, time
from pathlib import Path
from core.events import EventWriter, Finished, Started
from core.runs import Run
sys.path.insert(0, sys.argv[1])
from run_folders import learning, opening
import os
run = Run(Path(sys.argv[2]))
lock = run.lock()
lock.acquire()
writer = EventWriter(run.events_file)
for event in opening(time.time(), 100, resumed_from=10, pid=os.getpid()):
    writer.write(event)
obedient = sys.argv[3] == "obedient"
for event in learning(11, 100, time.time(), 100):
    writer.write(event)
    time.sleep(0.02)
    if obedient and run.take_request("stop"):
        writer.write(Finished(reason="stopped", step=event.step))
        break
else:
    time.sleep(60)
"""


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch):
    """A small real process in the worker's place: it holds the lock, writes events, looks at requests."""

    def choose(kind: str) -> None:
        here = str(Path(__file__).parent)
        monkeypatch.setattr(
            launch, "worker_command", lambda job, folder: [sys.executable, "-c", WORKER, here, folder, kind]
        )

    return choose


def test_resume_starts_a_worker_and_stop_ends_it(store, follow, worker, qtbot):
    worker("obedient")
    run = write(store, "poet", begin(100, 17))
    live = follow(run)
    live.start()
    assert live.state == "interrupted"
    live.resume()
    qtbot.waitUntil(lambda: live.is_starting or live.state == "live", timeout=5000)
    qtbot.waitUntil(lambda: live.state == "live" and len(live.steps) > 11, timeout=10_000)
    assert not live.is_starting
    assert live.steps.values.tolist() == list(range(1, len(live.steps) + 1))
    live.stop()
    qtbot.waitUntil(lambda: live.state == "stopped", timeout=10_000)
    qtbot.waitUntil(lambda: live._process is None, timeout=10_000)
    assert live.can_resume


def test_a_second_stop_ends_a_worker_that_does_not_listen(store, follow, worker, qtbot):
    worker("deaf")
    run = write(store, "poet", begin(100, 17))
    live = follow(run)
    live.start()
    live.resume()
    qtbot.waitUntil(lambda: live.state == "live" and len(live.steps) > 11, timeout=10_000)
    live.stop()
    live.stop()
    qtbot.waitUntil(lambda: live.state == "interrupted", timeout=10_000)
    assert not run.is_live()


def test_a_worker_that_dies_at_once_is_not_waited_for(store, follow, monkeypatch, qtbot):
    monkeypatch.setattr(
        launch, "worker_command", lambda *_: [sys.executable, "-c", "raise SystemExit('no torch')"]
    )
    run = store.create(RunConfig(), "poet")
    live = follow(run)
    live.start()
    live.resume()
    qtbot.waitUntil(lambda: live.has_failed_to_start, timeout=10_000)
    assert "no torch" in live.log_tail()
    assert live.can_resume


def test_a_run_that_another_process_has_just_started_is_starting(store, follow, monkeypatch):
    run = store.create(RunConfig(), "poet")
    run_folders.log(run, "")
    live = follow(run)
    live.start()
    assert live.is_starting and not live.can_resume and not live.has_failed_to_start
    monkeypatch.setattr("app.state.live_run.START_SECONDS", -1.0)
    assert not live.is_starting and live.has_failed_to_start and live.can_resume


def test_a_python_that_is_gone_is_one_sentence(store, follow, monkeypatch, tmp_path, qtbot):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "gone"))
    live = follow(write(store, "poet", begin(100, 17)))
    live.start()
    with qtbot.waitSignal(live.refused) as heard:
        live.resume()
    assert "cannot be started" in heard.args[0]
    assert not live.is_starting and live.can_resume
