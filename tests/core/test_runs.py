"""The run store: folders, states, liveness with real processes, requests, renaming, trash."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import filelock
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from run_words import say, started

from core import durable
from core.config import RunConfig
from core.errors import HoneError
from core.events import Failed, Finished, Warned
from core.runs import RESUMABLE, TRASH, Run, RunStore, clean_name, default_name

posix = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
not_root = pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")


def test_a_new_run_is_a_folder_with_its_config(store: RunStore):
    config = RunConfig().with_value("optim.epochs", 7)
    run = store.create(config, "my poet: two")
    assert run.folder.parent == store.root
    assert run.name == "my-poet-two"
    assert len(run.id) == len("20261120-143005-") + len(run.name)
    assert RunConfig.load(run.config_file) == config == run.config
    assert run.state() == "new"
    assert store.runs() == [run]


def test_runs_of_one_second_and_name_stand_apart(store: RunStore):
    runs = [store.create(RunConfig(), "same") for _ in range(5)]
    assert len({run.folder for run in runs}) == 5
    assert set(store.runs()) == set(runs)


def test_many_creators_at_once_never_share_a_folder(store: RunStore):
    made: list[Run] = []
    threads = [threading.Thread(target=lambda: made.append(store.create(RunConfig(), "same"))) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({run.folder for run in made}) == 12


def test_runs_are_listed_newest_first_and_other_things_are_not_runs(store: RunStore):
    for name in ("20260101-000000-b", "20260301-000000-a", "20260201-000000-c"):
        (store.root / name).mkdir(parents=True)
        (store.root / name / "config.yaml").write_text(RunConfig().to_yaml())
    (store.root / "not a run").mkdir()
    (store.root / "file.txt").touch()
    assert [run.name for run in store.runs()] == ["a", "c", "b"]


def test_a_store_that_is_not_there_is_empty(tmp_path: Path):
    assert RunStore(tmp_path / "missing").runs() == []
    (tmp_path / "file").touch()
    assert RunStore(tmp_path / "file").runs() == []


def test_a_store_that_cannot_be_made_is_one_sentence(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(HoneError) as caught:
        RunStore(tmp_path / "file" / "runs").create(RunConfig())
    assert "cannot be made" in caught.value.message and "choose another" in caught.value.message


@not_root
def test_a_read_only_store_is_one_sentence(store: RunStore):
    store.root.mkdir(parents=True)
    store.root.chmod(0o500)
    with pytest.raises(HoneError, match="Permission denied"):
        store.create(RunConfig())


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([], "new"),
        ([started()], "interrupted"),
        ([started(), Warned(message="x")], "interrupted"),
        *[([started(), Finished(reason=word, step=3)], word) for word in ("done", "stopped", "early", "diverged")],
        ([Failed(message="No.")], "failed"),
        ([started(), Finished(reason="stopped", step=3), started()], "interrupted"),
        ([started(), Failed(message="No."), started(), Finished(reason="done", step=9)], "done"),
    ],
)  # fmt: skip
def test_the_last_event_tells_the_state(run: Run, events, state):
    say(run, *events)
    assert run.state() == state
    assert run.state(run.events()) == state


def test_states_that_can_go_on():
    assert {"stopped", "interrupted", "failed", "diverged"} == RESUMABLE


def test_a_held_lock_means_live_whatever_the_events_say(run: Run, holder):
    assert run.is_live() and run.state() == "live"
    say(run, started(), Finished(reason="done", step=3))
    assert run.state() == "live"


@posix
def test_a_killed_worker_is_not_live_a_moment_later(run: Run, holder):
    say(run, started())
    assert run.state() == "live"
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert not run.is_live()
    assert run.state() == "interrupted"
    with run.lock().acquire(timeout=0):
        assert run.is_live()


def test_asking_makes_no_lock_file_and_leaves_the_lock_free(run: Run):
    assert not run.is_live()
    assert not (run.folder / "lock").exists()
    with run.lock().acquire(timeout=0):
        pass
    assert not run.is_live()
    with run.lock().acquire(timeout=0):
        pass


def test_two_workers_cannot_hold_one_run(run: Run, holder):
    with pytest.raises(filelock.Timeout):
        run.lock().acquire(timeout=0.2)


def test_many_who_ask_never_take_each_other_for_a_worker_nor_keep_one_out(run: Run):
    run.lock().acquire().lock.release()
    wrong: list[bool] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            if run.is_live():
                wrong.append(True)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    over.set()
    for thread in threads:
        thread.join()
    assert not wrong

    over.clear()
    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        lock = run.lock()
        lock.acquire()
        lock.release()
    over.set()
    for thread in threads:
        thread.join()


@posix
def test_a_store_that_can_only_be_read_still_tells_what_is_live(run: Run, holder):
    (run.folder / "lock").chmod(0o400)
    assert run.is_live()


def test_requests_are_heard_once(run: Run):
    assert not run.take_request("stop")
    for what in ("stop", "save", "sample", "stop"):
        run.request(what)
    assert sorted(path.name for path in (run.folder / "control").iterdir()) == ["sample", "save", "stop"]
    assert run.take_request("stop")
    assert not run.take_request("stop")
    assert run.take_request("save") and run.take_request("sample")


def test_a_request_to_a_run_that_is_gone_is_one_sentence(store: RunStore, run: Run):
    store.delete(run)
    with pytest.raises(HoneError, match="cannot be told to stop"):
        run.request("stop")


def checkpoint(run: Run, step: int, content: str = "weights") -> Path:
    folder = run.checkpoints_folder / f"step-{step:06d}"
    durable.write_folder(folder, lambda staged: (staged / "w").write_text(content))
    return folder


def test_only_whole_checkpoints_count_and_the_newest_is_computed(run: Run):
    assert run.checkpoints() == [] and run.latest_checkpoint() is None
    for step in (50, 100, 1_000_000, 150):
        checkpoint(run, step)
    assert [c.step for c in run.checkpoints()] == [50, 100, 150, 1_000_000]
    (run.checkpoints_folder / "step-1000000" / "w").write_bytes(b"weighte")
    (run.checkpoints_folder / "step-000150" / durable.MANIFEST).unlink()
    (run.checkpoints_folder / "step-none").mkdir()
    (run.checkpoints_folder / "step-000200").mkdir()
    assert [c.step for c in run.checkpoints()] == [50, 100]
    latest = run.latest_checkpoint()
    assert latest is not None and latest.step == 100


def test_a_run_is_found_by_id_name_beginning_and_folder(store: RunStore, run: Run):
    for text in (run.id, run.name, run.id[:14], str(run.folder)):
        assert store.find(text).folder.resolve() == run.folder.resolve()


def test_of_equal_names_the_newest_is_found(store: RunStore):
    for stamp in ("20260101-000000", "20260301-000000", "20260201-000000"):
        (store.root / f"{stamp}-poet").mkdir(parents=True)
        (store.root / f"{stamp}-poet" / "config.yaml").touch()
    assert store.find("poet").id == "20260301-000000-poet"
    assert store.find("202602").id == "20260201-000000-poet"
    with pytest.raises(HoneError, match="fits 3 runs"):
        store.find("2026")


@pytest.mark.parametrize("text", ["nothing", "", "../poet", "\0"])
def test_what_is_not_there_is_one_sentence(store: RunStore, run: Run, text):
    with pytest.raises(HoneError, match="There is no run"):
        store.find(text)


def test_renaming_keeps_the_time_and_the_content(store: RunStore, run: Run):
    say(run, started())
    renamed = store.rename(run, "better / name")
    assert renamed.name == "better-name"
    assert renamed.id[:16] == run.id[:16]
    assert store.runs() == [renamed] and len(renamed.events()) == 1
    other = store.create(RunConfig(), "other")
    twin = store.root / f"{other.id[:16]}taken"
    twin.mkdir()
    with pytest.raises(HoneError, match="already a run"):
        store.rename(other, "taken")


def test_the_trash_gives_back_what_it_took(store: RunStore, run: Run):
    say(run, started())
    discarded = store.discard(run)
    assert store.runs() == [] and discarded.folder.parent.name == TRASH
    assert store.restore(discarded) == run
    assert store.runs() == [run] and len(run.events()) == 1


def test_the_trash_never_overwrites(store: RunStore, run: Run):
    discarded = store.discard(run)
    run.folder.mkdir()
    (run.folder / "mine").touch()
    with pytest.raises(HoneError, match="again"):
        store.restore(discarded)
    assert (run.folder / "mine").exists() and discarded.folder.exists()


def test_the_trash_is_emptied_by_age(store: RunStore, run: Run):
    discarded = store.discard(run)
    store.empty_trash(older_than_seconds=60)
    assert discarded.folder.exists()
    os.utime(discarded.folder, (time.time() - 120, time.time() - 120))
    store.empty_trash(older_than_seconds=60)
    assert not discarded.folder.exists()


def test_an_old_run_is_not_lost_the_moment_it_is_discarded(store: RunStore, run: Run):
    os.utime(run.folder, (0, 0))
    discarded = store.discard(run)
    store.empty_trash(older_than_seconds=60)
    assert discarded.folder.exists()


def test_a_live_run_cannot_be_deleted_discarded_or_renamed(store: RunStore, run: Run, holder):
    for attempt in (store.delete, store.discard, lambda one: store.rename(one, "x")):
        with pytest.raises(HoneError, match="still running"):
            attempt(run)
    assert run.folder.exists()


def test_deleting_is_for_good(store: RunStore, run: Run):
    store.delete(run)
    assert store.runs() == [] and not run.folder.exists()
    with pytest.raises(HoneError):
        store.delete(run)


@given(st.text(max_size=80))
@example("../../etc/passwd")
@example("..")
@example("CON")
@example("ünïcode ✓")
def test_any_text_gives_a_name_that_is_safe_as_a_folder(text):
    name = clean_name(text)
    assert 1 <= len(name) <= 48
    assert name == Path(name).name and name not in (".", "..")
    assert clean_name(name) == name
    assert all(char.isascii() and (char.isalnum() or char in "._-") for char in name)


@pytest.mark.parametrize(
    ("source", "name"),
    [("sample:poems", "poems"), ("/home/me/tickets.jsonl", "tickets"), ("org/data-set", "data-set"), ("", "")],
)
def test_a_run_is_named_after_its_data(source, name):
    assert default_name(RunConfig().with_value("data.source", source)) == name
