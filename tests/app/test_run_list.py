"""The list of runs: right for every run, cheap for those that have not changed, and off the window's thread."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from run_folders import append, begin, done, failed, hold, learning, write

from app.state.run_list import RunList
from core.config import RunConfig
from core.events import EventReader, Finished
from core.runs import Run


@pytest.fixture
def run_list(qapp, background, store):
    run_list = RunList(store, background)
    yield run_list
    run_list.pause()


def look(run_list: RunList, qtbot) -> None:
    run_list.look()
    qtbot.waitUntil(lambda: run_list.has_looked and not run_list._is_looking, timeout=5000)


def test_every_state_is_told(run_list, store, qtbot):
    made = {
        "new": store.create(RunConfig(), "new"),
        "done": write(store, "done", [*begin(50, 50), done(50)]),
        "failed": write(store, "failed", [*begin(50, 20), failed()]),
        "interrupted": write(store, "interrupted", begin(50, 20)),
        "diverged": write(store, "diverged", [*begin(50, 20), Finished(reason="diverged", step=20)]),
        "stopped": write(store, "stopped", [*begin(50, 20), Finished(reason="stopped", step=20)]),
        "live": write(store, "live", begin(50, 20)),
    }
    lock = hold(made["live"])
    look(run_list, qtbot)
    assert {row.run.name: row.state for row in run_list.rows} == {state: state for state in made}
    assert run_list.num_live == 1
    lock.release()


def test_a_row_has_the_figures_of_its_run(run_list, store, qtbot):
    write(store, "poet", [*begin(200, 120, began=1_790_000_000.0), done(120, 1_790_000_070.0)])
    look(run_list, qtbot)
    (row,) = run_list.rows
    assert (row.step, row.total_steps, row.seconds, row.began) == (120, 200, 70, 1_790_000_000)
    assert row.best_loss == pytest.approx(1.317, abs=0.01) and row.peak_bytes > 0
    assert row.pid == 4242 and row.config == RunConfig() and len(row.curve) == 120 and row.problem == ""


def test_an_empty_or_missing_store_is_an_empty_list_and_said_once(run_list, qtbot):
    heard = []
    run_list.changed.connect(lambda: heard.append(len(run_list.rows)))
    look(run_list, qtbot)
    look(run_list, qtbot)
    assert heard == [0]


def test_what_has_not_changed_is_not_read_again(run_list, store, qtbot, monkeypatch):
    for number in range(5):
        write(store, f"run-{number}", [*begin(50, 50), done(50)])
    live = write(store, "live", begin(50, 20))
    look(run_list, qtbot)
    read: list[Path] = []
    lines = EventReader.lines

    def counted(self: EventReader, most_bytes: int = -1) -> list[bytes]:
        read.append(self.path)
        return lines(self, most_bytes)

    monkeypatch.setattr(EventReader, "lines", counted)
    before = list(run_list.rows)
    look(run_list, qtbot)
    assert read == [] and all(one is other for one, other in zip(before, run_list.rows, strict=True))
    append(live, learning(21, 30, time.time(), 50))
    look(run_list, qtbot)
    assert set(read) == {live.events_file}
    assert next(row for row in run_list.rows if row.run == live).step == 30


def test_it_says_nothing_when_nothing_has_changed_and_something_when_it_has(run_list, store, qtbot):
    run = write(store, "poet", begin(50, 20))
    look(run_list, qtbot)
    heard = []
    run_list.changed.connect(lambda: heard.append(run_list.rows[0].state))
    look(run_list, qtbot)
    assert heard == []
    lock = hold(run)
    look(run_list, qtbot)
    lock.release()
    look(run_list, qtbot)
    append(run, [done(20)])
    look(run_list, qtbot)
    assert heard == ["live", "interrupted", "done"]


def test_it_reads_on_a_thread(run_list, store, qtbot, monkeypatch):
    threads = []
    monkeypatch.setattr(store, "runs", lambda: threads.append(threading.current_thread()) or [])
    look(run_list, qtbot)
    assert threads and threading.main_thread() not in threads


def test_a_run_that_cannot_be_read_hides_no_other(run_list, store, qtbot):
    broken = write(store, "broken", begin(50, 20))
    broken.config_file.write_text("optim: {epochs: 0}")
    write(store, "whole", [*begin(50, 50), done(50)])
    look(run_list, qtbot)
    rows = {row.run.name: row for row in run_list.rows}
    assert "optim.epochs" in rows["broken"].problem and rows["broken"].config is None
    assert rows["whole"].problem == ""


def test_discarding_and_bringing_back(run_list, store, qtbot):
    run = write(store, "poet", [*begin(50, 50), done(50)])
    look(run_list, qtbot)
    with qtbot.waitSignal(run_list.discarded) as heard:
        run_list.discard([run])
    qtbot.waitUntil(lambda: run_list.rows == [], timeout=3000)
    run_list.restore(heard.args[0])
    qtbot.waitUntil(lambda: [row.run for row in run_list.rows] == [run], timeout=3000)
    assert run_list.rows[0].state == "done"


def test_a_live_run_is_not_discarded_but_the_others_are(run_list, store, qtbot):
    live, other = write(store, "live", begin(50, 20)), write(store, "other", begin(50, 20))
    lock = hold(live)
    look(run_list, qtbot)
    with qtbot.waitSignals([run_list.refused, run_list.discarded]):
        run_list.discard([live, other])
    qtbot.waitUntil(lambda: [row.run for row in run_list.rows] == [live], timeout=3000)
    lock.release()


def test_renaming(run_list, store, qtbot):
    run = write(store, "poet", [*begin(50, 50), done(50)])
    look(run_list, qtbot)
    run_list.rename(run, "better")
    qtbot.waitUntil(lambda: run_list.rows[0].run.name == "better", timeout=3000)
    assert run_list.rows[0].step == 50


def test_two_thousand_runs(run_list, store, qtbot):
    text = RunConfig().to_yaml()
    for number in range(2000):
        folder = store.root / f"20260101-{number:06d}-run"
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(text)
    run_list.look()
    qtbot.waitUntil(lambda: len(run_list.rows) == 2000, timeout=60_000)
    assert [row.run.id for row in run_list.rows] == sorted((row.run.id for row in run_list.rows), reverse=True)


def test_the_timer_looks_again(run_list, store, qtbot, monkeypatch):
    run_list._timer.setInterval(50)
    run_list.start()
    run = write(store, "poet", begin(50, 20))
    qtbot.waitUntil(lambda: [row.run for row in run_list.rows] == [run], timeout=3000)


def test_the_old_trash_is_emptied(run_list, store, qtbot):
    import os

    old, young = (store.discard(write(store, name, [])) for name in ("old", "young"))
    os.utime(old.folder, (0, 0))
    look(run_list, qtbot)
    qtbot.waitUntil(lambda: not old.folder.exists(), timeout=3000)
    assert young.folder.exists()


def test_a_run_equals_itself_however_it_is_found(store):
    run = write(store, "poet", [])
    assert Run(run.folder) == run and hash(Run(run.folder)) == hash(run)
