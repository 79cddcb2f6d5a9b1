"""The plan beside New run: other cards, the stock stack, evidence, and a rehearsal that is really done."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from PySide6.QtCore import Qt

from app.pages.new_run.known_models import known_models
from app.pages.new_run.plan_panel import NO_EVIDENCE, TONES, PlanPanel
from app.pages.new_run_page import NewRunPage
from app.state.draft import Draft
from app.state.memory_watch import MemoryWatch
from app.state.preferences import Preferences
from core.config import RunConfig
from core.figures import size
from core.gpus import find_gpu
from core.hardware import Device
from core.memory.calibration import PastPeak
from core.methods.presets import first_config
from core.runs import RunStore
from core.settings import Settings

WAIT_MS = 90_000  # a busy machine is no failure


@pytest.fixture
def page(background, device, theme, qtbot, tmp_path) -> Iterator[NewRunPage]:
    """The bundled model on a card with 12 GiB."""
    watch = MemoryWatch(background)
    watch.device = device
    watch.look = lambda: None  # type: ignore[method-assign]
    config = RunConfig().with_values({"data.max_length": 64, "optim.batch_size": 2})
    page = NewRunPage(
        Draft(config), RunStore(tmp_path / "runs"), watch, Preferences(Settings()), background, theme
    )
    qtbot.addWidget(page)
    page.resize(1072, 800)
    page.show()
    qtbot.waitUntil(lambda: background.is_idle and page.planner.plan is not None, timeout=WAIT_MS)
    yield page
    page.rehearsing.close()
    page.preview.close()


def figure(panel: PlanPanel, name: str) -> str:
    return getattr(panel, name)._words.text()


def test_the_plan_can_be_for_a_card_that_is_not_here(page, qtbot):
    chooser = page.plan.chooser
    assert chooser.count() == 1 and page.plan.evidence.text() == NO_EVIDENCE
    chooser.fill()
    assert chooser.count() > 60
    index = chooser.findText("RTX 4090", Qt.MatchFlag.MatchStartsWith)
    chooser.setCurrentIndex(index)
    chooser.activated.emit(index)
    assert page.planner.plan.estimate.total_bytes == chooser.itemData(index).memory_bytes
    assert "RTX 4090" in page.plan.evidence.text() and "Start trains on this machine" in page.plan.evidence.text()
    assert page.plan.start.isEnabled()
    chooser.setCurrentIndex(0)
    chooser.activated.emit(0)
    assert page.planner.plan.estimate.total_bytes == page.planner.device.total_bytes == 12 * 2**30
    assert page.plan.evidence.text() == NO_EVIDENCE


def test_the_peak_of_every_moment_is_shown_and_the_largest_stands_out(page):
    found = page.planner.plan.estimate
    assert page.plan.moment.text() == found.moment
    page.plan.moment.click()
    shown = page.plan._moments.bars.amounts
    assert {one.name: one.num_bytes for one in shown} == found.moments and len(shown) > 4
    assert [one.name for one in shown if one.is_strong] == [found.moment]
    assert max(one.num_bytes for one in shown) == found.peak_bytes
    page.plan._moments.close()


def test_past_runs_adjust_the_plan_and_it_says_so(page):
    plain = page.planner.plan.estimate.peak_bytes
    peak = PastPeak(page.planner.device.name, "lora", "none", plain, round(0.9 * plain))
    page.paces.peaks = (peak,) * 5
    page.paces.changed.emit()
    assert page.planner.plan.estimate.peak_bytes == pytest.approx(0.9 * plain, rel=1e-6)
    assert page.plan.evidence.text() == "Adjusted by −10% from 5 runs on this machine."


def test_the_stock_stack_stands_beside_ours(page):
    page._draft.set("memory.loss", "chunked")
    page._draft.set("data.max_length", 512)
    stock, ours = page.planner.plan.stock_peak_bytes, page.planner.plan.estimate.peak_bytes
    words = figure(page.plan, "stock")
    assert ("about the same" in words) == (stock < 1.02 * ours)
    page._draft.set("optim.batch_size", 64)
    assert "%" in figure(page.plan, "stock") or "times as much" in figure(page.plan, "stock")


def test_a_rehearsal_is_exact_and_goes_stale_in_sight(page, qtbot):
    row = page.plan.rehearsal
    assert row.isHidden() and row.button.text() == "Rehearse"
    qtbot.mouseClick(row.button, Qt.MouseButton.LeftButton)
    assert row.button.text() == "Cancel" and not row.isHidden()
    qtbot.waitUntil(lambda: not page.rehearsing.is_running, timeout=WAIT_MS)
    found = page.rehearsing.found
    assert page.rehearsing.error == "" and found is not None
    assert row.is_current and "of tensors" in row.words.text() and not row.more.isHidden()
    assert (found.device, found.rows, found.length) == ("cuda", 2, min(64, page.planner.longest_row or 64))
    assert page.planner.plan.estimate.tensor_bytes == pytest.approx(found.peak_bytes, rel=0.05)
    row.popup.show_found(found, page.planner.plan.estimate.tensor_bytes, is_current=True)
    assert row.popup.stale.isHidden() and "the estimate says" in row.popup.detail.text()
    assert [name for name, *_ in row.popup.timeline.stretches][:3] == ["forward", "head", "backward"]
    page._draft.set("optim.learning_rate", 1e-4)
    assert row.is_current, "what takes no memory changes nothing"
    page._draft.set("method.rank", 64)
    assert not row.is_current and "for other settings" in row.words.text()
    page._draft.undo()
    assert row.is_current


def test_a_rehearsal_can_be_ended_and_a_wrong_one_says_why(page, qtbot):
    row = page.plan.rehearsal
    qtbot.mouseClick(row.button, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(row.button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not page.rehearsing.is_running, timeout=WAIT_MS)
    assert page.rehearsing.found is None and page.rehearsing.error == ""
    page.rehearsing.start(RunConfig().with_value("model.source", "nobody/no-such-model"), "cuda")
    qtbot.waitUntil(lambda: not page.rehearsing.is_running, timeout=WAIT_MS)
    assert "nobody/no-such-model" in page.rehearsing.error and row.words.text() == page.rehearsing.error


def test_known_models_have_dots_by_what_the_plan_is_for(page, qtbot):
    page.model_card._expand()
    known, here = page.model_card.chooser.known, page.model_card.chooser.options
    qtbot.waitUntil(lambda: bool(here.rows), timeout=WAIT_MS)
    assert {row.option.name: row.option.tone for row in here.rows}["storyteller"] == "fits"
    qtbot.waitUntil(lambda: len(known.options.rows) >= 40, timeout=WAIT_MS)
    tones = {row.option.name: row.option.tone for row in known.options.rows}
    assert tones["Qwen/Qwen2.5-0.5B"] == "fits" and tones["meta-llama/Llama-3.1-70B"] == "no"
    order = [["fits", "tight", "no"].index(row.option.tone) for row in known.options.rows]
    assert order == sorted(order)
    assert f"{list(tones.values()).count('fits')} of {len(tones)} fit this machine" in known._about.text()
    page.planner.plan_for(find_gpu("B200"))
    qtbot.waitUntil(lambda: "fit B200" in known._about.text(), timeout=WAIT_MS)
    tones = {row.option.name: row.option.tone for row in known.options.rows}
    assert tones["meta-llama/Llama-3.1-70B"] == "fits"
    page.planner.plan_for(None)
    known.options.rows[0].click()
    assert page._draft.config.model.source == known.options.rows[0].option.value


def test_where_no_single_change_helps_one_press_makes_it_fit(page, qtbot, make_llama):
    values = {"model.source": str(make_llama()), "data.max_length": 4096, "optim.batch_size": 16}
    page._draft.set_many({**values, "data.packing": True})
    qtbot.waitUntil(lambda: page.remedy.found is not None, timeout=WAIT_MS)
    assert page.planner.plan.estimate.verdict == "does not fit"
    chip = page.plan._chip_pool[0]
    assert chip.text() == "Make it fit" and not chip.isHidden()
    qtbot.mouseClick(chip, Qt.MouseButton.LeftButton)
    assert page.planner.plan.estimate.verdict == "fits" and page.remedy.found is None
    assert chip.text() != "Make it fit"
    page._draft.undo()
    assert page._draft.config.optim.batch_size == 16, "one press is one step to undo"


def test_where_nothing_makes_it_fit_the_plan_says_so(page, qtbot):
    page._draft.choose_model("meta-llama/Llama-3.1-70B")
    qtbot.waitUntil(lambda: page.remedy.is_in_vain, timeout=WAIT_MS)
    assert page.plan._chips_title.text() == "WHAT HELPS, BUT NOT ENOUGH"
    page._draft.choose_model("Qwen/Qwen3-0.6B")
    qtbot.waitUntil(
        lambda: page.planner.plan is not None and page.planner.plan.estimate.verdict == "fits", timeout=WAIT_MS
    )
    assert page.plan._chips_title.text() == "ROOM FOR MORE" and not page.remedy.is_in_vain


def test_a_model_of_the_catalogue_is_planned_before_it_is_downloaded(page, qtbot):
    page._draft.choose_model("meta-llama/Llama-3.1-8B")
    qtbot.waitUntil(lambda: bool(page.model.error), timeout=WAIT_MS)
    plan = page.planner.plan
    assert plan is not None and plan.num_parameters == 8_030_261_248
    assert page.plan.bar.picture.peak == plan.estimate.peak_bytes
    assert not page.plan.start.isEnabled() and "not on this machine" in page.plan.note.text()
    page._draft.choose_model("nobody/no-such-model")
    qtbot.waitUntil(lambda: not page.model.is_reading, timeout=WAIT_MS)
    assert page.planner.plan is None


def test_the_list_says_of_a_model_what_the_plan_says_once_it_is_chosen(page, qtbot, device):
    page._draft.replace(first_config(), as_origin=True)
    page._draft.set("method.rank", 64)
    listed = known_models(page._draft.config, page._draft.origin, device, ())
    page._draft.choose_model("Qwen/Qwen3-4B")
    qtbot.waitUntil(lambda: page.model.known is not None, timeout=WAIT_MS)
    found = page.planner.plan.estimate
    option = next(one for one in listed if one.value == "Qwen/Qwen3-4B")
    assert (option.note, option.tone) == (f"{size(found.peak_bytes)} of memory", TONES[found.verdict])


def test_little_free_memory_more_or_less_moves_the_line_and_tries_no_change_anew(page, qtbot):
    watch, planner = page.planner._watch, page.planner
    page._draft.set_many({"data.max_length": 4096, "optim.batch_size": 4096, "data.packing": True})
    before, made, moved = planner.plan.estimate, [], []
    assert before.verdict == "does not fit" and before.suggestions
    planner.changed.connect(lambda: made.append(True))
    planner.free_changed.connect(lambda: moved.append(True))

    def free(num_bytes: int) -> None:
        watch.device = replace(watch.device, free_bytes=num_bytes, others_bytes=12 * 2**30 - num_bytes)
        watch.changed.emit()

    free(before.free_bytes - 2**26)
    assert (made, moved) == ([], [True])
    assert planner.plan.estimate == replace(
        before, free_bytes=before.free_bytes - 2**26, others_bytes=before.others_bytes + 2**26
    )
    assert page.plan.bar.picture.free == before.free_bytes - 2**26
    free(before.free_bytes - 2**27)
    assert (made, moved) == ([True], [True]), "it adds up: measured from what the changes were tried with"
    page._draft.set_many({"data.max_length": 64, "optim.batch_size": 2})
    peak = planner.plan.estimate.peak_bytes
    free(2 * peak)
    made.clear()
    free(peak - 1)
    assert made and planner.plan.estimate.verdict == "does not fit", (
        "a little is much where the verdict hangs on it"
    )


def test_an_estimate_that_is_a_guess_says_why_in_sight(page, qtbot, make_llama):
    folder = make_llama(hidden=64, layers=2, vocab=512)
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"llama"', '"zebra"'))
    page._draft.choose_model(str(folder))
    qtbot.waitUntil(lambda: page.model.facts is not None, timeout=WAIT_MS)
    assert page.plan.verdict.text().startswith("Tight · likely")
    assert "does not know how zebra computes" in page.plan.evidence.text()


def test_a_guess_with_room_to_spare_is_not_told_that_nothing_is_enough(page, qtbot):
    page._draft.set("model.dtype", "fp16")
    page._draft.set("memory.adapter_dtype", "bf16")
    page.planner.plan_for(find_gpu("T4"))
    qtbot.waitUntil(lambda: page.remedy.is_in_vain, timeout=WAIT_MS)
    estimate = page.planner.plan.estimate
    assert estimate.verdict == "tight" and estimate.peak_bytes < estimate.free_bytes / 10
    assert page.plan._chips_title.text() == "WHAT WOULD SAVE MEMORY"


def test_of_a_shared_device_the_bar_shows_the_part_of_one_process(page, qtbot):
    gib = 2**30
    page.planner._watch.device = Device("cpu", 0, "CPU", 16 * gib, 12 * gib, 3 * gib, used_by_us_bytes=gib)
    page._draft.set_many({"runtime.device": "cpu", "runtime.processes": 2, "optim.accumulation": 2})
    picture = page.plan.bar.picture
    assert (picture.total, picture.free, picture.others, picture.ours) == (10 * gib, 6 * gib, 3 * gib, gib)
