"""History: a run's events add up to the right figures, whatever happened to the run on its way."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import history
from core.config import RunConfig
from core.events import (
    Evaluated,
    EventReader,
    EventWriter,
    Failed,
    Finished,
    Loaded,
    Progress,
    Started,
    Step,
    Warned,
    encode,
)
from core.history import STEP_COLUMNS, History, parse
from core.runs import Run, RunStore

BEGAN = 1_790_000_000.0


def a_step(number: int, when: float | None = None, loss: float = 2.0, **changes: Any) -> Step:
    values: dict[str, Any] = {
        "step": number, "epoch": 0.5, "loss": loss, "learning_rate": 1e-4, "grad_norm": 1.0, "num_tokens": 512,
        "tokens_per_second": 900.0, "memory_bytes": 10, "peak_bytes": 20,
        "time": BEGAN + number if when is None else when,
    }  # fmt: skip
    return Step(**{**values, **changes})


def begun(total: int = 100, resumed_from: int = 0, when: float = BEGAN, **changes: Any) -> Started:
    return Started(pid=1, device="cpu", total_steps=total, resumed_from=resumed_from, time=when, **changes)


def told(*events: Any) -> History:
    found = History()
    found.add_all(parse([encode(event) for event in events]))
    return found


def test_steps_come_as_rows_and_all_else_as_events():
    one, two, three = begun(), a_step(1), Evaluated(step=1, loss=1.5)
    items = parse([encode(one), encode(two), encode(three)])
    assert items[0] == one and items[2] == three
    assert items[1] == [tuple(getattr(two, name) for name in STEP_COLUMNS)]
    assert [len(rows) for rows in parse([encode(a_step(n)) for n in range(5)])] == [5]


def test_torn_and_foreign_lines_are_passed_over():
    good = encode(a_step(1))
    lines = [good, good[:40], b"", b'{"type":"new kind"}', b"[1", b"2]", b"1,2", b'{"type":"step"}', good]
    (rows,) = parse(lines)
    assert [row[history.STEP] for row in rows] == [1, 1]  # type: ignore[union-attr]
    assert parse([]) == []


@pytest.mark.parametrize("odd", ['"1"', "null", "[]", "{}", "1.5", "NaN", "1e999", "9" * 400])
@pytest.mark.parametrize("key", ["step", "memory_bytes", "loss"])
def test_a_step_with_an_odd_value_never_breaks_the_sum(key, odd):
    whole = json.loads(encode(a_step(1)))
    line = json.dumps(whole).replace(f'"{key}": {json.dumps(whole[key])}', f'"{key}": {odd}').encode()
    assert line.count(odd.encode()) >= 1
    found = History()
    found.add_all(parse([encode(begun()), line, encode(a_step(2))]))
    assert found.step == 2


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_no_lines_make_it_fall(lines):
    found = History()
    found.add_all(parse([encode(a_step(1)), *lines]))
    assert found.step >= 1


def test_an_empty_run_is_new_and_knows_nothing():
    found = told()
    assert found.state(is_live=False) == "new" and found.state(is_live=True) == "live"
    assert (found.step, found.total_steps, found.loss, found.best, found.seconds_left) == (0, 0, None, None, None)
    assert found.curve == [] and found.tokens_per_second is None and found.failure == ""


def test_what_was_predicted_is_what_past_runs_made_of_it():
    found = told(begun(predicted_peak_bytes=99, planned_peak_bytes=90, evidence="Adjusted by −9% from 3 runs"))
    assert (found.predicted_peak_bytes, found.evidence) == (90, "Adjusted by −9% from 3 runs")
    assert told(begun(predicted_peak_bytes=99)).evidence == ""


def test_the_figures_of_a_run_under_way():
    found = told(
        begun(predicted_peak_bytes=99),
        Loaded(num_parameters=8, num_trainable=2, seconds=1, memory_bytes=5),
        *[a_step(n, loss=3 - n / 10, peak_bytes=20 + n) for n in range(1, 11)],
        Evaluated(step=5, loss=2.5, time=BEGAN + 10),
        Evaluated(step=10, loss=2.2, time=BEGAN + 10),
        Warned(message="x", time=BEGAN + 10),
    )
    assert (found.step, found.total_steps, found.predicted_peak_bytes) == (10, 100, 99)
    assert found.loss == pytest.approx(2.0)
    assert found.best == (10, 2.2)
    assert found.peak_bytes == 30 and found.memory_bytes == 10
    assert found.num_warnings == 1
    assert found.seconds_per_step == pytest.approx(1.0)
    assert found.seconds_left == pytest.approx(90.0)
    assert found.tokens_per_second == 900
    assert found.seconds == pytest.approx(10.0)
    assert found.state(is_live=True) == "live" and found.state(is_live=False) == "interrupted"


def test_the_best_is_the_first_lowest_and_never_nan():
    assert told(*[Evaluated(step=n, loss=x) for n, x in ((1, math.nan), (2, 1.5), (3, 1.2), (4, 1.2))]).best == (
        3,
        1.2,
    )
    assert told(Evaluated(step=1, loss=math.nan)).best is None


@pytest.mark.parametrize("reason", ["done", "stopped", "early", "diverged"])
def test_how_it_ended(reason):
    found = told(begun(), a_step(3), Finished(reason=reason, step=4, peak_bytes=77, time=BEGAN + 9))
    assert found.state(is_live=False) == reason
    assert (found.step, found.peak_bytes, found.seconds) == (4, 77, 9)


def test_a_failure_keeps_its_sentence_until_the_run_goes_on():
    found = told(begun(), a_step(3), Failed(message="The disk is full."))
    assert found.state(is_live=False) == "failed" and found.failure == "The disk is full."
    found.add(begun(resumed_from=0))
    assert found.state(is_live=False) == "interrupted" and found.failure == ""
    found.add_all(parse([encode(a_step(4))]))
    assert found.state(is_live=False) == "interrupted"


def test_what_is_done_again_after_a_resume_counts_once():
    found = told(
        begun(),
        *[a_step(n, loss=5.0) for n in range(1, 58)],
        Evaluated(step=25, loss=2.0, time=BEGAN + 57),
        Evaluated(step=55, loss=0.1, time=BEGAN + 57),
        begun(resumed_from=50, when=BEGAN + 10_000),
    )
    assert found.step == 50
    assert found.best == (25, 2.0)
    assert found.seconds_left is None, "the pace of the new process is not known yet"
    found.add_all(parse([encode(a_step(n, BEGAN + 10_000 + n)) for n in range(51, 61)]))
    assert found.step == 60
    assert found.seconds_per_step == pytest.approx(1.0), "the pause between the processes is no step"
    assert found.seconds == pytest.approx(57 + 60)


def test_one_long_pause_does_not_spoil_the_time_left():
    times = [float(n) for n in range(40)]
    times = times[:20] + [t + 36_000 for t in times[20:]]
    found = told(begun(total=40), *[a_step(n, BEGAN + t) for n, t in enumerate(times)])
    assert found.seconds_per_step is not None and 1.0 <= found.seconds_per_step < 1.5


def test_regular_evaluations_count_into_the_time_left():
    times, now = [], 0.0
    for number in range(60):
        now += 1.0 + (5.0 if number % 10 == 0 else 0.0)
        times.append(now)
    found = told(begun(), *[a_step(n, BEGAN + t) for n, t in enumerate(times)])
    assert found.seconds_per_step == pytest.approx(1.5, abs=0.1)


def test_a_clock_that_goes_back_gives_no_negative_time():
    found = told(begun(), a_step(1, BEGAN + 5), a_step(2, BEGAN - 500), a_step(3, BEGAN - 499))
    assert found.seconds >= 0
    assert found.seconds_left is not None and found.seconds_left >= 0


def test_progress_shows_until_the_work_has_begun():
    found = told(begun(), Progress(label="Loading model", done=1, total=2))
    assert found.progress is not None and found.progress.label == "Loading model"
    assert told(begun(), Progress(label="x", done=1), a_step(1)).progress is None
    assert told(begun(), Progress(label="x", done=1), Failed(message="No.")).progress is None


@pytest.mark.parametrize("num", [1, 5, 127, 128, 129, 1000, 10_000])
def test_the_small_curve_stays_small_and_keeps_its_shape(num):
    found = told(*[a_step(n, loss=1000.0 - n / 10) for n in range(1, num + 1)])
    assert min(num, 64) <= len(found.curve) <= 128
    assert found.curve == sorted(found.curve, reverse=True)
    assert found.curve[-1] == pytest.approx(1000.0 - num / 10, rel=0.02, abs=20)


def test_losses_that_are_no_numbers_do_not_enter_the_small_curve():
    found = told(a_step(1), a_step(2, loss=math.nan), a_step(3, loss=math.inf), a_step(4))
    assert found.curve == [2.0, 2.0]


def test_however_it_is_fed_the_sum_is_the_same():
    dice = random.Random(3)
    events = [begun(), *[a_step(n, loss=dice.random()) for n in range(1, 500)]]
    events.insert(300, begun(resumed_from=250, when=BEGAN + 999))
    lines = [encode(event) for event in events]
    whole, single = History(), History()
    whole.add_all(parse(lines))
    for line in lines:
        single.add_all(parse([line]))
    assert vars(whole) == vars(single)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = RunStore(tmp_path / "runs").create(RunConfig(), "poet")
    writer = EventWriter(run.events_file)
    for event in (
        begun(),
        *[a_step(n) for n in range(1, 2001)],
        Finished(reason="done", step=2000, time=BEGAN + 2000),
    ):
        writer.write(event)
    writer.close()
    return run


def test_reading_in_parts_gives_the_same_as_at_once(run: Run):
    whole, parts = history.read(run), history.read(run, most_bytes=5_000)
    assert vars(whole) == vars(parts)
    assert whole.state(is_live=False) == "done"


def test_a_summary_is_flat_and_fit_for_json(run: Run):
    found = history.summarise(run)
    assert json.loads(json.dumps(found)) == found
    assert (found["state"], found["step"], found["name"], found["method"]) == ("done", 2000, "poet", "lora")
    assert found["seconds"] == pytest.approx(2000)
    assert found["best_eval_loss"] is None and found["adapter"] is None and found["failure"] is None


def test_a_reader_that_goes_on_adds_only_what_is_new(run: Run):
    reader, found = EventReader(run.events_file), History()
    for items in history.read_parts(reader, 10_000):
        found.add_all(items)
    assert list(history.read_parts(reader, 10_000)) == []
    assert vars(found) == vars(history.read(run))


def test_the_sum_needs_neither_qt_nor_torch():
    code = "import sys, core.history; assert not {'torch', 'PySide6', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
