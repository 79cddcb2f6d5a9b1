"""The page of a run: every state says what is so and offers what helps; untrusted text stays text."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import pytest
import run_folders
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel
from run_folders import (
    MIB,
    POEM,
    PROMPT,
    STORY,
    a_step,
    append,
    begin,
    done,
    failed,
    hold,
    learning,
    log,
    opening,
    write,
)

from app.pages.run_page import RunPage, reach_of
from app.widgets.run_words import data_name, method_name, model_name, told
from core.config import RunConfig
from core.events import Finished, Loaded, Progress, Sampled, Saved, Started, Warned
from core.runs import Run, RunStore


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs")


@pytest.fixture
def page(theme, background, qtbot, store):
    page = RunPage(theme, store, background)
    page.resize(1072, 800)
    qtbot.addWidget(page)
    page.show()
    yield page
    if page.live is not None:
        page.live.pause()


@pytest.fixture
def live_run(store):
    """A run whose lock is held until the test ends."""
    locks = []

    def make(events, name: str = "poet") -> Run:
        run = write(store, name, events)
        locks.append(hold(run))
        return run

    yield make
    for lock in locks:
        lock.release()


def open_run(page: RunPage, run: Run, qtbot) -> None:
    page.open(run)
    qtbot.waitUntil(lambda: page.live.is_loaded, timeout=5000)


def seen(*widgets) -> list[bool]:
    return [widget.isVisible() for widget in widgets]


def test_a_live_run_shows_where_it_stands(page, live_run, qtbot):
    open_run(page, live_run(begin(790, 412)), qtbot)
    header = page.header
    assert header.name.text() == "poet" and "learning" in header.pill.text()
    facts = header.facts.text()
    assert facts.startswith("step 412 of 790 · 3 min") and "tokens/s · storyteller · LoRA r16" in facts
    assert seen(header.sample, header.save, header.compare, header.stop) == [True] * 4
    assert seen(header.resume, page.trouble, page.waiting) == [False] * 3
    assert header.progress.value() == round(1000 * 412 / 790)
    assert "smoothed" in page.loss.summary.text() and "best at 400" in page.loss.summary.text()
    assert "now" in page.memory.summary.text() and page.memory.plot.marks.levels
    assert page.loss.plot.marks.now is not None


def test_a_finished_run_offers_what_comes_next(page, store, qtbot):
    open_run(page, write(store, "poet", [*begin(200, 200), done(200)]), qtbot)
    header = page.header
    assert "done" in header.pill.text() and header.compare.isVisible()
    assert header.compare.property("kind") == "primary"
    assert seen(header.stop, header.save, header.sample, header.resume, header.progress) == [False] * 5
    assert page.loss.plot.marks.now is None
    assert "under plan" in page.memory.summary.text()
    with qtbot.waitSignal(page.compare_requested) as heard:
        header.compare.click()
    assert heard.args[0].name == "poet"


def test_new_points_appear_by_themselves(page, live_run, qtbot):
    run = live_run(begin(200, 20))
    open_run(page, run, qtbot)
    append(run, learning(21, 60, time.time(), 200))
    qtbot.waitUntil(lambda: page.loss.plot.curves[0].item.getData()[0][-1] == 60, timeout=3000)
    assert "step 60 of 200" in page.header.facts.text()


def test_while_loading_it_says_what_is_loading(page, live_run, qtbot):
    start = next(iter(opening(time.time(), 200)))
    run = live_run([start, Progress(label="Loading model", done=2**30, total=4 * 2**30, unit="bytes")])
    open_run(page, run, qtbot)
    assert "loading" in page.header.pill.text()
    assert page.waiting.isVisible() and not page.loss.isVisible()
    assert page.waiting.headline.text() == "Loading model …"
    assert page.waiting.sentence.text() == "1 GiB of 4 GiB" and page.waiting.bar.value() == 250
    append(run, [Progress(label="Tokenising", done=10, total=40, unit="rows")])
    qtbot.waitUntil(lambda: page.waiting.sentence.text() == "10 of 40 rows", timeout=2000)
    append(run, [Loaded(num_parameters=1, num_trainable=1, seconds=1)])
    qtbot.waitUntil(lambda: "first step" in page.waiting.headline.text(), timeout=2000)
    append(run, [a_step(1, time.time())])
    qtbot.waitUntil(lambda: page.loss.isVisible() and not page.waiting.isVisible(), timeout=2000)


def test_an_interrupted_run_says_so_and_offers_to_go_on(page, store, qtbot):
    open_run(page, write(store, "poet", begin(200, 57)), qtbot)
    assert page.trouble.isVisible() and page.trouble.headline.text() == "Interrupted at step 57"
    assert "Resume goes on from step 50." in page.trouble.sentence.text()
    assert page.trouble.resume.isVisible() and not page.header.resume.isVisible()
    open_run(page, write(store, "early", begin(200, 7)), qtbot)
    assert "begins again" in page.trouble.sentence.text()


def test_a_failed_run_says_the_cause_and_shows_the_log(page, store, qtbot):
    run = write(
        store, "poet", [*begin(200, 57), failed("Row 3 has no answer: mend data.jsonl.", path="data.source")]
    )
    log(run, "Traceback\nValueError: no answer\n")
    open_run(page, run, qtbot)
    trouble = page.trouble
    assert trouble.headline.text() == "Failed at step 57"
    assert trouble.sentence.text() == "Row 3 has no answer: mend data.jsonl."
    assert not trouble.words.isVisible()
    trouble.log.click()
    assert trouble.words.isVisible() and "ValueError: no answer" in trouble.words.toPlainText()
    trouble.log.click()
    assert not trouble.words.isVisible()
    with qtbot.waitSignal(page.duplicated) as heard:
        trouble.mend.click()
    assert heard.args[0] == run.config


def test_a_diverged_run_offers_half_the_learning_rate(page, store, qtbot):
    run = write(store, "poet", [*begin(200, 57), Finished(reason="diverged", step=57)])
    open_run(page, run, qtbot)
    assert "Diverged" in page.trouble.headline.text() and not page.trouble.resume.isVisible()
    with qtbot.waitSignal(page.duplicated) as heard:
        page.trouble.mend.click()
    assert heard.args[0].optim.learning_rate == run.config.optim.learning_rate / 2


def test_a_stopped_run_is_no_trouble_and_can_go_on(page, store, qtbot):
    open_run(page, write(store, "poet", [*begin(200, 57), Finished(reason="stopped", step=57)]), qtbot)
    assert not page.trouble.isVisible() and page.header.resume.isVisible()
    assert page.header.resume.text() == "Resume"


def test_a_run_that_never_began_can_be_started(page, store, qtbot):
    open_run(page, store.create(RunConfig(), "new"), qtbot)
    assert page.waiting.isVisible() and page.header.resume.text() == "Start"
    assert seen(page.loss, page.told, page.samples, page.trouble) == [False] * 4
    assert "learning_rate: 0.0002" in page.settings.text.toPlainText()


def test_a_worker_that_died_at_once_is_told(page, store, qtbot, monkeypatch):
    monkeypatch.setattr("app.state.live_run.START_SECONDS", -1.0)
    run = store.create(RunConfig(), "new")
    log(run, "No module named torch")
    open_run(page, run, qtbot)
    assert page.trouble.headline.text() == "It did not start" and page.trouble.resume.text() == "Start again"
    page.trouble.log.click()
    assert "No module named torch" in page.trouble.words.toPlainText()


def test_the_buttons_reach_the_worker(page, live_run, qtbot):
    run = live_run(begin(200, 20))
    open_run(page, run, qtbot)
    page.header.save.click()
    page.header.sample.click()
    assert run.take_request("save") and run.take_request("sample")
    assert "samples" in page.toast.text
    page.header.stop.click()
    assert run.take_request("stop")
    assert page.header.stop.text() == "Stop at once" and "stopping" in page.header.pill.text()


def test_a_wish_that_fails_is_told(page, live_run, qtbot):
    run = live_run(begin(200, 20))
    (run.folder / "control").touch()
    open_run(page, run, qtbot)
    page.header.stop.click()
    assert "cannot be told to stop" in page.toast.text


def test_samples_stand_side_by_side(page, store, qtbot):
    open_run(page, write(store, "poet", [*begin(200, 200), done(200)]), qtbot)
    card = page.samples
    assert (card.first.head.text(), card.first.text.text()) == ("STEP 0", STORY)
    assert (card.latest.head.text(), card.latest.text.text()) == ("STEP 200", POEM)
    assert PROMPT in card.summary.text() and card.place.text() == "1 of 2"
    card.after.click()
    assert card.first.text.text() == "There was a bear in the wood." and card.place.text() == "2 of 2"
    card.after.click()
    assert card.place.text() == "1 of 2"
    index = next(i for i in range(card.steps.count()) if card.steps.itemData(i) == 25)
    card.steps.setCurrentIndex(index)
    card.steps.activated.emit(index)
    assert card.latest.head.text() == "STEP 25" and card.latest.text.text() == STORY


def test_a_chosen_step_stays_chosen_while_the_run_goes_on(page, live_run, qtbot):
    run = live_run(begin(200, 60))
    open_run(page, run, qtbot)
    card = page.samples
    index = next(i for i in range(card.steps.count()) if card.steps.itemData(i) == 25)
    card.steps.setCurrentIndex(index)
    card.steps.activated.emit(index)
    append(run, learning(61, 80, time.time(), 200))
    qtbot.waitUntil(lambda: len(page.live.steps) == 80, timeout=2000)
    assert card.latest.head.text() == "STEP 25" and card.steps.currentData() == 25
    assert card.steps.count() == 4


def test_markup_from_data_and_models_is_shown_and_never_obeyed(page, store, qtbot):
    trap = "<img src='http://127.0.0.1:9/x'><b>bold</b> <a href='file:///etc/passwd'>x</a>"
    events = [*begin(200, 60), Sampled(step=70, prompt=trap, text=trap), Warned(message=trap), failed(trap)]
    run = write(store, "poet", events)
    log(run, trap)
    open_run(page, run, qtbot)
    page.trouble.log.click()
    page.samples.after.click()
    page.samples.after.click()
    shown = [label for label in page.findChildren(QLabel) if trap in label.text()]
    assert len(shown) >= 2
    assert all(label.textFormat() == Qt.TextFormat.PlainText for label in page.findChildren(QLabel))
    assert trap in page.trouble.words.toPlainText()
    for widget in page.findChildren(QLabel):
        assert "<img" not in widget.toolTip()


def test_what_it_said_can_be_searched_and_grows(page, live_run, qtbot):
    run = live_run([*begin(200, 60), Warned(message="2 rows were cut.")])
    open_run(page, run, qtbot)
    view = page.told.view
    total = view.shown.rowCount()
    assert total == len(page.live.told)
    QTest.keyClicks(view.search, "ROWS WERE")
    assert view.shown.rowCount() == 1
    view.search.clear()
    append(run, [Saved(step=60, folder="checkpoints/step-000060", num_bytes=9)])
    qtbot.waitUntil(lambda: view.shown.rowCount() == total + 1, timeout=2000)
    assert page.told.summary.text() == "1 warning"


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (Started(pid=1, device="cpu", total_steps=200, num_rows=4212, num_eval_rows=20, num_skipped_rows=2),
         "Started on cpu: 4,212 rows, 2 skipped, 20 held out, 200 steps"),
        (Started(pid=1, device="cuda", total_steps=200, resumed_from=50), "Went on from step 50 on cuda"),
        (Saved(step=5, folder="checkpoints/step-000005", num_bytes=2**20), "Saved checkpoints/step-000005, 1 MiB"),
        (Finished(reason="early", step=5, seconds=61), "Done early at step 5 after 1 min 01 s"),
        (Sampled(step=5, prompt="p", text="two\n  lines"), "Step 5: two lines"),
    ],
)  # fmt: skip
def test_events_are_told_in_sentences(event, words):
    assert told(event)[0] == words


def test_names_of_models_data_and_methods():
    config = RunConfig().with_values({"model.source": "meta-llama/Llama-3.1-8B", "data.source": r"C:\me\t.jsonl"})
    assert (model_name(config), data_name(config), method_name(config)) == ("Llama-3.1-8B", "t.jsonl", "LoRA r16")
    config = config.with_values({"model.quantization": "nf4", "method.rank": 8})
    assert method_name(config) == "QLoRA r8"
    assert method_name(RunConfig().with_value("method.kind", "full")) == "Full"
    assert model_name(RunConfig()) == "storyteller"


def test_opening_another_run_leaves_nothing_of_the_first(page, store, live_run, qtbot):
    open_run(page, live_run(begin(790, 412)), qtbot)
    page.link.zoom(100, 200)
    first = page.live
    open_run(page, write(store, "short", [*begin(40, 40, every=0), done(40)]), qtbot)
    assert page.live is not first and not page.link.is_zoomed
    qtbot.waitUntil(lambda: len(page.loss.plot.curves[0].item.getData()[0]) == 40, timeout=2000)
    assert page.loss.plot.marks.best is None and page.samples.latest.text.text() == ""
    assert "short" in page.header.name.text() and "done" in page.header.pill.text()


def test_out_of_sight_nothing_is_read_and_nothing_is_missed(page, live_run, qtbot):
    run = live_run(begin(200, 20))
    open_run(page, run, qtbot)
    page.hide()
    append(run, learning(21, 50, time.time(), 200))
    QTest.qWait(250)
    assert len(page.live.steps) == 20
    page.show()
    assert len(page.live.steps) == 50


def test_smoothing_logarithm_and_unit_are_chosen_with_chips(page, store, qtbot):
    open_run(page, write(store, "poet", [*begin(200, 200), done(200)]), qtbot)
    loss = page.loss
    assert [curve.name for curve in loss.plot.curves] == ["loss", "smoothed", "held out"]
    loss.set_factor(0.0)
    assert [curve.name for curve in loss.plot.curves] == ["loss", "held out"]
    assert loss.smooth.text() == "not smoothed"
    loss.set_factor(0.99)
    assert loss.smooth.text() == "smooth 0.99"
    loss.unit.click()
    assert loss.unit.text() == "time"
    assert loss.plot.curves[0].item.getData()[0][-1] == pytest.approx(101, abs=2)
    loss.log.click()
    assert loss.plot.is_log
    page.link.zoom(10, 50)
    assert loss.whole.isVisible()
    loss.whole.click()
    assert not loss.whole.isVisible()


def test_curves_can_be_saved_as_a_picture_and_as_a_table(page, store, qtbot, tmp_path):
    open_run(page, write(store, "poet", [*begin(200, 200), done(200)]), qtbot)
    page.save_png(tmp_path / "loss.png")
    picture = QImage(str(tmp_path / "loss.png"))
    assert picture.width() == 2 * page.loss.width()
    page.save_csv(tmp_path / "loss.csv")
    qtbot.waitUntil(lambda: (tmp_path / "loss.csv").exists(), timeout=3000)
    rows = list(csv.DictReader((tmp_path / "loss.csv").read_text().splitlines()))
    assert len(rows) == 200 and float(rows[49]["loss"]) == page.live.series["loss"].values[49]
    assert rows[24]["held_out_loss"] and not rows[25]["held_out_loss"]


def test_a_table_that_cannot_be_written_is_one_sentence(page, store, qtbot, tmp_path):
    open_run(page, write(store, "poet", [*begin(200, 20), done(20)]), qtbot)
    page.save_csv(tmp_path / "missing" / "loss.csv")
    qtbot.waitUntil(lambda: "cannot be written" in page.toast.text, timeout=3000)
    page.save_png(tmp_path / "missing" / "loss.png")
    assert "cannot be written" in page.toast.text


def test_early_on_the_curve_is_not_a_speck(page, live_run, qtbot):
    open_run(page, live_run(begin(10_000, 12, every=0)), qtbot)
    steps, seconds = reach_of(page.live)
    assert 12 < steps <= 30 and seconds > 0
    open_run(page, live_run(begin(100, 80, every=0), "later"), qtbot)
    assert reach_of(page.live)[0] == 100


def test_everything_has_a_name_for_those_who_do_not_see_it(page, store, qtbot):
    open_run(page, write(store, "poet", begin(200, 57)), qtbot)
    header = page.header
    for widget in (header.back, header.compare, page.trouble.resume, *page.plots, page.told.view.search,
                   page.told.view.list, page.samples.steps, page.settings.text, header.progress):  # fmt: skip
        assert widget.accessibleName()


def test_escape_leads_back_to_all_runs(page, store, qtbot):
    open_run(page, write(store, "poet", begin(200, 57)), qtbot)
    page.loss.plot.setFocus()
    with qtbot.waitSignal(page.back_requested):
        QTest.keyClick(page, Qt.Key.Key_Escape)


def test_a_config_that_cannot_be_read_does_not_hide_the_run(page, store, qtbot):
    run = write(store, "poet", begin(200, 57))
    run.config_file.write_text("optim: {epochs: 0}")
    page.open(Run(run.folder))
    qtbot.waitUntil(lambda: page.live.is_loaded, timeout=5000)
    assert "step 57" in page.header.facts.text()
    page.settings.again.click()
    assert "optim.epochs" in page.toast.text


def test_a_long_run_shows_before_it_is_read_whole(page, store, qtbot):
    run = run_folders.write_long(store, "long", 40_000)
    page.open(run)
    assert not page.live.is_loaded and 0 < len(page.live.steps) < 40_000
    assert page.loss.isVisible() and not page.waiting.isVisible()
    qtbot.waitUntil(lambda: page.live.is_loaded, timeout=30_000)
    assert len(page.loss.plot.curves[0].item.getData()[0]) <= 4 * page.loss.plot.width()
    assert not page.waiting.isVisible()


@pytest.mark.parametrize("name", ["poet", "resumed", "interrupted", "refused"])
def test_real_runs_are_shown_in_light_and_dark(page, store, theme, qtbot, name):
    open_run(page, run_folders.recorded(store, name), qtbot)
    qtbot.waitUntil(lambda: not page._waiting)
    for appearance in ("light", "dark"):
        theme.set_appearance(appearance)
        picture = page.grab().toImage()
        assert (picture.pixelColor(2, 2).lightness() > 128) == (appearance == "light")
    if name == "refused":
        assert "sample:nothing" in page.trouble.sentence.text() and page.trouble.mend.isVisible()
    else:
        assert page.samples.first.text.text() and page.loss.isVisible()


def test_the_prediction_is_the_one_that_past_runs_corrected_and_says_so(page, store, qtbot):
    begun = Started(
        pid=1, device="cpu", total_steps=9, predicted_peak_bytes=400 * MIB, planned_peak_bytes=341 * MIB,
        evidence="Adjusted by −15% from 4 runs on this machine",
    )  # fmt: skip
    open_run(page, write(store, "corrected", [begun, *learning(1, 9, time.time() - 9, 9), done(9)]), qtbot)
    assert page.memory.plot.marks.levels["predicted"] == 341 * MIB
    assert "2% under plan" in page.memory.summary.text()
    assert "4 runs on this machine" in page.memory.toolTip()
    open_run(page, write(store, "first", [*begin(9, 9), done(9)]), qtbot)
    assert not page.memory.toolTip()
