"""A live run: everything a worker said is there, once, in order, and what is asked for reaches the worker."""

from __future__ import annotations

import time

import numpy as np
import pytest
import run_folders
from run_folders import MIB, a_step, append, begin, done, failed, hold, learning, opening, warned, write

from app.state.live_run import LiveRun
from core.config import RunConfig
from core.events import EventWriter, Progress, encode


def test_a_finished_run_is_all_there_at_once(store, follow, qtbot):
    run = write(store, "poet", [*begin(200, 200), done(200)])
    live = follow(run)
    with qtbot.waitSignal(live.loaded, timeout=2000):
        live.start()
    assert live.state == "done" and live.is_loaded
    assert live.steps.values.tolist() == list(range(1, 201))
    assert all(len(series) == 200 for series in live.series.values())
    assert len(live.smooth(0.9)) == 200
    assert live.scores.positions.values.tolist() == [25, 50, 75, 100, 125, 150, 175, 200]
    assert [sample.step for sample in live.samples][:4] == [0, 0, 25, 25]
    assert {event.type for event in live.told} == {
        "started",
        "loaded",
        "evaluated",
        "sampled",
        "saved",
        "finished",
    }
    assert live.series["memory_bytes"].values.max() == pytest.approx(316 * MIB, rel=0.01)
    assert np.all(np.diff(live.seconds.values) > 0)


def test_an_empty_folder_is_a_run_that_has_not_begun(store, follow, qtbot):
    live = follow(store.create(RunConfig(), "new"))
    with qtbot.waitSignal(live.loaded):
        live.start()
    assert live.state == "new" and len(live.steps) == 0
    assert live.can_resume and not live.is_starting and not live.has_failed_to_start


def test_what_is_appended_arrives_in_one_signal_a_tick(store, follow, qtbot):
    run = write(store, "poet", begin(200, 10))
    lock = hold(run)
    live = follow(run)
    live.start()
    assert live.state == "live" and len(live.steps) == 10
    live.pause()
    heard: list[int] = []
    live.advanced.connect(lambda: heard.append(len(live.steps)))
    append(run, learning(11, 100, time.time(), 200))
    live.tick()
    assert heard == [100], "ninety steps and their evaluations are one signal"
    live.tick()
    assert heard == [100], "nothing new, nothing said"
    lock.release()
    live.tick()
    assert live.state == "interrupted" and heard == [100, 100]


def test_the_timer_follows_by_itself(store, follow, qtbot):
    run = write(store, "poet", begin(200, 10))
    lock = hold(run)
    live = follow(run)
    live.start()
    append(run, learning(11, 20, time.time(), 200))
    qtbot.waitUntil(lambda: len(live.steps) == 20, timeout=2000)
    append(run, [done(20)])
    lock.release()
    qtbot.waitUntil(lambda: live.state == "done", timeout=2000)


def test_a_run_is_never_shown_as_interrupted_on_its_way_to_done(store, follow, qtbot):
    """Liveness is asked before the events are read: a worker may end between the two."""
    run = write(store, "poet", begin(200, 10))
    lock = hold(run)
    live = follow(run)
    live.start()
    live.pause()
    seen: list[str] = []
    live.advanced.connect(lambda: seen.append(live.state))
    unread = live._reader.num_unread_bytes

    def end_now() -> int:
        append(run, [done(10)])
        lock.release()
        live._reader.num_unread_bytes = unread
        return unread()

    live._reader.num_unread_bytes = end_now
    live.tick()
    live.tick()
    assert "interrupted" not in seen and seen[-1] == "done"


def test_a_resumed_run_shows_every_step_once(store, follow, qtbot):
    now = time.time() - 500
    run = write(store, "poet", begin(200, 57, now))
    live = follow(run)
    live.smooth(0.9)
    live.start()
    assert live.state == "interrupted" and live.can_resume
    assert live.scores.positions.values.tolist() == [25, 50]
    append(run, [*opening(now + 300, 200, resumed_from=50), *learning(51, 80, now + 301, 200)])
    live.tick()
    assert live.steps.values.tolist() == list(range(1, 81))
    assert len(live.smooth(0.9)) == len(live.seconds) == 80
    assert np.all(np.diff(live.seconds.values) >= 0)
    assert live.seconds.values[-1] < 60, "the pause between the processes does not count"
    fresh = follow(run)
    fresh.start()
    np.testing.assert_allclose(fresh.smooth(0.9).values, live.smooth(0.9).values)
    np.testing.assert_allclose(fresh.seconds.values, live.seconds.values)


def test_a_resume_before_an_evaluation_drops_it(store, follow):
    run = write(store, "poet", [*begin(200, 57), *opening(time.time(), 200, resumed_from=40)])
    live = follow(run)
    live.start()
    assert live.scores.positions.values.tolist() == [25]
    assert max(sample.step for sample in live.samples) == 25
    assert len(live.steps) == 40


def test_losses_that_are_no_numbers_become_gaps(store, follow):
    run = write(store, "poet", [a_step(1), a_step(2, loss=float("nan")), a_step(3, loss=float("inf")), a_step(4)])
    live = follow(run)
    live.start()
    assert np.isnan(live.series["loss"].values).tolist() == [False, True, True, False]


def test_positions_never_fall_whatever_the_file_says(store, follow):
    steps = [a_step(5, 100.0), a_step(3, 50.0), a_step(9, 400.0), a_step(9, 10.0)]
    live = follow(write(store, "odd", [*opening(1.0, 10), *steps]))
    live.start()
    assert live.steps.values.tolist() == [5, 5, 9, 9]
    assert np.all(np.diff(live.seconds.values) >= 0)


def test_a_long_run_is_read_in_parts_and_shown_on_the_way(store, follow, qtbot):
    run = run_folders.write_long(store, "long", 30_000)
    live = follow(run)
    partial: list[int] = []
    live.advanced.connect(lambda: partial.append(len(live.steps)))
    with qtbot.waitSignal(live.loaded, timeout=30_000):
        live.start()
        assert not live.is_loaded
    assert live.state == "done" and live.history.step == 30_000
    assert np.array_equal(live.steps.values, np.arange(1, 30_001))
    assert np.all(np.diff(live.seconds.values) > 0)
    assert partial == sorted(partial) and partial[-1] == 30_000


def test_a_window_that_closes_while_reading_hears_nothing_more(store, background, qtbot):
    live = LiveRun(run_folders.write_long(store, "long", 20_000), background)
    live.start()
    live.deleteLater()
    del live
    qtbot.wait(50)
    qtbot.waitUntil(lambda: background.is_idle, timeout=5000)


def test_the_log_tail_is_short_and_without_progress_bars(store, follow):
    run = store.create(RunConfig(), "poet")
    live = follow(run)
    assert live.log_tail() == ""
    run.log_file.write_bytes(b"x" * 90_000 + b"\n  0%\r 50%\r100%\n\nlast words \xff\n")
    tail = live.log_tail()
    assert len(tail) < 6001 and tail.endswith("last words \ufffd") and "50%" not in tail and "100%" in tail


def test_a_failure_and_its_warnings_are_told(store, follow):
    run = write(store, "poet", [*begin(100, 17), warned("The disk is nearly full."), failed("The disk is full.")])
    live = follow(run)
    live.start()
    assert live.state == "failed" and live.history.failure == "The disk is full."
    assert [event.type for event in live.told][-2:] == ["warned", "failed"]


def test_progress_before_the_first_step_is_known(store, follow):
    run = store.create(RunConfig(), "poet")
    lock = hold(run)
    live = follow(run)
    live.start()
    append(run, [Progress(label="Loading model", done=3, total=10)])
    live.tick()
    assert live.history.progress is not None and live.history.progress.done == 3
    lock.release()


def test_a_half_written_line_is_waited_for(store, follow):
    run = write(store, "poet", begin(200, 10))
    live = follow(run)
    live.start()
    line = encode(a_step(11))
    with run.events_file.open("ab", buffering=0) as file:
        file.write(line[:50])
        live.tick()
        assert len(live.steps) == 10
        file.write(line[50:])
    live.tick()
    assert len(live.steps) == 11


def test_a_run_whose_folder_is_gone_stays_as_it_was(store, follow):
    run = write(store, "poet", [*begin(200, 10), done(10)])
    live = follow(run)
    live.start()
    store.delete(run)
    live.tick()
    assert live.state == "done" and len(live.steps) == 10


def test_a_torn_tail_from_a_kill_is_healed_by_the_next_worker(store, follow):
    run = write(store, "poet", begin(200, 10))
    live = follow(run)
    live.start()
    with run.events_file.open("ab") as file:
        file.write(encode(a_step(11))[:70])
    live.tick()
    writer = EventWriter(run.events_file)
    for event in [*opening(time.time(), 200, resumed_from=10), *learning(11, 15, time.time(), 200)]:
        writer.write(event)
    writer.close()
    live.tick()
    assert live.steps.values.tolist() == list(range(1, 16))


@pytest.mark.parametrize("name", ["poet", "resumed"])
def test_a_real_run_shows_every_step_once(store, follow, name):
    live = follow(run_folders.recorded(store, name))
    live.start()
    assert live.state == "done" and live.can_compare
    assert live.steps.values.tolist() == list(range(1, 49))
    assert live.scores.positions.values.tolist() == [12, 24, 36, 48]
    assert np.isfinite(live.series["loss"].values).all() and np.isfinite(live.smooth(0.9).values).all()
    assert live.smooth(0.9).values[-1] < live.series["loss"].values[0]
    assert live.history.peak_bytes > 0 and live.history.predicted_peak_bytes > 0
    assert live.samples and live.history.saved_step == 48


def test_a_real_run_that_was_killed_and_went_on_has_the_curve_of_one_that_was_not(store, follow):
    whole, resumed = (follow(run_folders.recorded(store, name)) for name in ("poet", "resumed"))
    for live in (whole, resumed):
        live.start()
    assert len(resumed.run.events()) > len(whole.run.events())
    assert resumed.series["loss"].values.tolist() == whole.series["loss"].values.tolist()
    assert resumed.scores.values.tolist() == whole.scores.values.tolist()


def test_a_real_run_that_was_killed_and_one_that_was_refused(store, follow):
    killed, refused = (follow(run_folders.recorded(store, name)) for name in ("interrupted", "refused"))
    for live in (killed, refused):
        live.start()
    assert killed.state == "interrupted" and killed.can_resume and killed.history.saved_step == 16
    assert refused.state == "failed" and "sample:nothing" in refused.history.failure
    assert "sample:nothing" in refused.log_tail()
