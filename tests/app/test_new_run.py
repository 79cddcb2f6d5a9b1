"""New run: what is chosen shows, what is wrong stands beside its field, and the plan follows every change."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QApplication, QWidget

from app.pages.new_run.data_tabs import PROBLEMS
from app.pages.new_run_page import NewRunPage
from app.state.draft import Draft
from app.state.memory_watch import MemoryWatch
from app.state.preferences import Preferences
from core.config import RunConfig
from core.places import RESOURCES
from core.runs import RunStore
from core.settings import Settings

WAIT_MS = 60_000  # a busy machine is no failure


@pytest.fixture
def watch(background, device) -> MemoryWatch:
    """A watch that has seen the device and looks no more."""
    watch = MemoryWatch(background)
    watch.device = device
    watch.look = lambda: None  # type: ignore[method-assign]
    return watch


@pytest.fixture
def open_page(background, watch, theme, qtbot, tmp_path):
    """Opens the page on a config and waits until everything on disk has been read."""

    def open_(config: RunConfig) -> NewRunPage:
        preferences = Preferences(Settings())
        page = NewRunPage(Draft(config), RunStore(tmp_path / "runs"), watch, preferences, background, theme)
        qtbot.addWidget(page)
        page.resize(1072, 800)
        page.show()
        qtbot.waitUntil(
            lambda: background.is_idle and not page.model.is_reading and not page.data.is_reading, timeout=WAIT_MS
        )
        return page

    return open_


@pytest.fixture
def page(open_page, make_llama) -> NewRunPage:
    """An 8B model over 4 bits on a card with 12 GiB."""
    values = {"model.source": str(make_llama()), "model.quantization": "nf4", "data.max_length": 1024}
    return open_page(RunConfig().with_values({**values, "optim.batch_size": 1}))


def settled(page: NewRunPage, qtbot) -> None:
    qtbot.waitUntil(lambda: not page.model.is_reading and not page.data.is_reading, timeout=WAIT_MS)


def drop(page: QWidget, path: Path) -> None:
    """What a file manager does when a file is dropped on the page, or on a card of it."""
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path))])
    buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(QPoint(200, 200), Qt.DropAction.CopyAction, mime, buttons, keys)
    QApplication.sendEvent(page, enter)
    assert enter.isAccepted()
    QApplication.sendEvent(page, QDropEvent(QPointF(200, 200), Qt.DropAction.CopyAction, mime, buttons, keys))


def test_the_plan_shows_peak_steps_and_what_is_learnt(page):
    plan, estimate = page.planner.plan, page.planner.plan.estimate
    assert page.plan.verdict.text().startswith(
        {"fits": "Fits", "tight": "Tight"}.get(estimate.verdict, "Does not")
    )
    assert f"{estimate.peak_bytes / 2**30:.1f} ± " in page.plan.peak.text()
    assert page.plan.bar.picture.peak == estimate.peak_bytes
    assert "8.83 B" in page.plan.trainable._words.text() or "B parameters" in page.plan.trainable._words.text()
    assert page.plan.steps._words.text().startswith(f"{plan.total_steps:,}")
    assert page.plan.start.isEnabled() and page.obstacle == ""


def test_every_edit_moves_the_bar_at_once(page):
    edits = {
        "method.rank": 64, "data.max_length": 8192, "optim.batch_size": 16, "optim.optimizer": "adamw_8bit",
        "memory.activation_checkpointing": False, "model.quantization": "int8",
    }  # fmt: skip
    before = page.plan.bar.picture
    for path, value in edits.items():
        page._draft.set(path, value)
        assert page.plan.bar.picture != before, path
        assert page.planner.plan.estimate.peak_bytes == page.plan.bar.picture.peak
        page._draft.undo()
        assert page.plan.bar.picture == before, path


def test_a_suggestion_changes_the_draft_by_one_undoable_press(page, qtbot):
    page._draft.set("model.quantization", "none")
    assert page.planner.plan.estimate.verdict == "does not fit" and "short" in page.plan.verdict.text()
    best = page.planner.plan.estimate.suggestions[0]
    before = page._draft.config
    qtbot.mouseClick(page.plan._chip_pool[0], Qt.MouseButton.LeftButton)
    assert page._draft.config == before.with_values(best.changes)
    page._draft.undo()
    assert page._draft.config == before


def test_presets_are_chips_that_show_which_one_is_in_force(page, qtbot):
    qtbot.mouseClick(page.preset_chips["memory"], Qt.MouseButton.LeftButton)
    checked = [name for name, chip in page.preset_chips.items() if chip.isChecked()]
    assert checked == ["memory"] and page._draft.config.optim.optimizer == "adamw_8bit"
    page._draft.set("method.rank", 5)
    assert not any(chip.isChecked() for chip in page.preset_chips.values())
    page._draft.undo()
    assert page.preset_chips["memory"].isChecked()
    qtbot.mouseClick(page.preset_chips["memory"], Qt.MouseButton.LeftButton)
    assert page.preset_chips["memory"].isChecked(), "pressing the one in force does not switch it off"


def test_the_method_is_chosen_by_its_usual_name(page, qtbot):
    combo = page.method_card.method.combo
    assert combo.currentText() == "QLoRA"
    combo.setCurrentIndex(combo.findText("Full fine-tuning"))
    combo.activated.emit(combo.currentIndex())
    assert page._draft.config.method.kind == "full" and page._draft.config.model.quantization == "none"
    assert "learns all" in page.method_card.summary.text()
    page._draft.set("method.kind", "lora")
    assert combo.currentText() == "LoRA"


def test_a_wrong_number_keeps_the_run_from_starting_and_says_why(page, qtbot):
    [field] = [field for field in page.method_card.form.fields if field.paths == ("optim.epochs",)]
    line = field.editor.lineEdit()
    line.setText("0")
    qtbot.keyClick(line, Qt.Key.Key_Return)
    assert not page.plan.start.isEnabled() and "Epochs" in page.plan.note.text()
    line.setText("2")
    qtbot.keyClick(line, Qt.Key.Key_Return)
    assert page.plan.start.isEnabled() and page.plan.note.text() == ""


def test_a_model_that_is_not_here_says_so_and_offers_to_fetch_it(page, qtbot):
    page._draft.set("model.source", "Qwen/Qwen3-0.6B")
    settled(page, qtbot)
    assert "Not on this machine" in page.model_card.error.text()
    assert page.model_card.property("state") != "wrong", "it can be planned with, and is no mistake"
    assert not page.plan.start.isEnabled()
    assert page.planner.plan.num_parameters == 596_049_920, "planned from the catalogue"
    assert page.plan.bar.picture.peak == page.planner.plan.estimate.peak_bytes
    assert not page.model_card._get.isHidden()
    page._draft.undo()
    settled(page, qtbot)
    assert page.model_card.error.isHidden() and page.plan.start.isEnabled()
    page._draft.set("model.source", "nobody/unheard-of")
    settled(page, qtbot)
    assert page.planner.plan is None and page.plan.bar.picture is None
    assert "estimate" in page.plan.verdict.text()


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "config.json"),
        ({"config.json": "{}", "pytorch_model.bin": "x"}, "pickle"),
        ({"adapter_config.json": "{}"}, "adapter"),
    ],
)
def test_a_folder_that_is_no_model_is_refused_beside_the_model(files, said, page, qtbot, tmp_path):
    folder = tmp_path / "no model"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_text(content)
    drop(page, folder)
    settled(page, qtbot)
    assert said in page.model_card.error.text() and not page.plan.start.isEnabled()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.jsonl", "", "empty"),
        ("columns.jsonl", '{"a": 1, "b": 2}\n', "columns"),
        ("broken.jsonl", '{"prompt": \n', "line 1"),
    ],
)
def test_bad_data_is_refused_beside_the_data(name, content, said, page, qtbot, tmp_path):
    path = tmp_path / name
    path.write_text(content)
    drop(page, path)
    settled(page, qtbot)
    assert said in page.data_card.error.text() and not page.plan.start.isEnabled()
    assert page.planner.plan is not None, "memory does not hang on the data"


def test_a_dropped_file_is_shown_row_by_row_with_its_problems(page, qtbot, tmp_path):
    path = tmp_path / "mine.jsonl"
    rows = [{"prompt": f"Ask {n}", "completion": f"Answer {n}"} for n in range(5)]
    lines = [json.dumps(row) for row in rows]
    lines.insert(2, '{"prompt": "no answer"}')
    path.write_text("\n".join(lines))
    drop(page, path)
    settled(page, qtbot)
    assert page.name.text() == "mine"
    assert "5 rows used of 6" in page.data_card.summary.text()
    assert page.data_card.contents.tabs.buttons[PROBLEMS].text().endswith("1")
    rows = page.data_card.contents.rows
    assert rows.browser.count.text() == "of 6"
    rows.browser.list.setFocus()
    qtbot.keyClick(rows.browser.list, Qt.Key.Key_Down)
    qtbot.waitUntil(lambda: rows.sight.number == 1, timeout=WAIT_MS)
    shown = [block._text.text() for block in rows.sight.row_view._blocks if not block.isHidden()]
    assert shown == ["Ask 1", "Answer 1"]
    assert page.planner.plan.total_steps == 3


def test_a_folder_of_rows_dropped_on_the_card_is_data_and_a_models_is_not(page, qtbot, tmp_path, make_llama):
    folder = tmp_path / "rows"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / f"{name}.jsonl").write_text(json.dumps({"prompt": name, "completion": "ok"}))
    drop(page.data_card, folder)
    settled(page, qtbot)
    assert page._draft.config.data.source == str(folder) and len(page.data.rows) == 2
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(make_llama("other")))])
    buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(QPoint(9, 9), Qt.DropAction.CopyAction, mime, buttons, keys)
    page.data_card.dragEnterEvent(enter)
    assert not enter.isAccepted(), "the page takes it for the model"


def test_what_is_trained_is_tinted(page, qtbot):
    qtbot.waitUntil(lambda: page.data_card.contents.rows.sight.number == 0, timeout=WAIT_MS)
    blocks = page.data_card.contents.rows.sight.row_view._blocks
    assert [block.property("state") for block in blocks[:2]] == ["", "trained"]
    page._draft.set("data.train_on", "all")
    assert [block.property("state") for block in blocks[:2]] == ["trained", "trained"]


def test_the_broken_sample_teaches_every_problem_with_its_line(open_page, make_llama):
    page = open_page(RunConfig().with_values({"model.source": str(make_llama()), "data.source": "sample:broken"}))
    report = page.data.report
    assert report.num_rows - report.num_used == len(report.problems) > 0
    page.data_card.contents.tabs.choose(PROBLEMS)
    assert page.data_card.contents.stack.currentWidget() is page.data_card.contents.problems


def test_a_row_with_markup_is_shown_as_it_is_written(page, qtbot, tmp_path):
    path = tmp_path / "markup.jsonl"
    evil = "<img src='file:///etc/passwd'><b>bold</b>"
    path.write_text(json.dumps({"prompt": evil, "completion": evil}))
    drop(page, path)
    settled(page, qtbot)
    sight = page.data_card.contents.rows.sight
    qtbot.waitUntil(lambda: sight.number == 0 and len(sight.row_view._blocks) > 0, timeout=WAIT_MS)
    block = sight.row_view._blocks[0]
    qtbot.waitUntil(lambda: block._text.text() == evil, timeout=WAIT_MS)
    assert block._text.text() == evil and block._text.textFormat() == Qt.TextFormat.PlainText


def test_all_settings_hold_every_setting_and_are_searched(page, qtbot):
    page.method_card._toggle_all()
    everything = page.method_card._all
    shown = {field.path for group in everything._groups for field in group._fields}
    config = page._draft.config
    every = {f"{section}.{name}" for section in type(config).model_fields if section != "version"
             for name in type(getattr(config, section)).model_fields}  # fmt: skip
    elsewhere = {"model.source", "model.revision", "data.source", "method.kind"}
    assert every - shown == elsewhere | {"runtime.processes", "runtime.sharding"}, "these are for several GPUs"
    everything.search.setText("gradient")
    found = [f.path for g in everything._groups for f in g._fields if not f.isHidden() and not g.isHidden()]
    assert "optim.grad_clip" in found and "method.rank" not in found
    everything.search.setText("no such thing")
    assert not everything._nothing.isHidden()
    everything.search.setText("")
    page._draft.set_many({"method.kind": "full", "model.quantization": "none"})
    assert not any(f.path == "method.rank" for g in everything._groups for f in g._fields)


def test_choosers_offer_what_is_on_this_machine(page, qtbot, background, tmp_path, make_llama):
    make_llama("inside", hidden=256, layers=2, vocab=512)
    page.model_card.chooser._preferences.set("model_folders", (str(tmp_path),))
    page.model_card._toggle()
    page.data_card._toggle()
    qtbot.waitUntil(
        lambda: bool(page.model_card.chooser.options.rows and page.data_card.chooser.options.rows), timeout=WAIT_MS
    )
    names = [row.option.name for row in page.model_card.chooser.options.rows]
    assert "inside" in names
    samples = {row.option.value: row for row in page.data_card.chooser.options.rows}
    assert {"sample:poems", "sample:facts", "sample:notes"} <= set(samples)
    assert not any("heldout" in value for value in samples) and "rhyming" in samples["sample:poems"].option.words
    qtbot.mouseClick(samples["sample:facts"], Qt.MouseButton.LeftButton)
    assert page._draft.config.data.source == "sample:facts" and page.data_card.chooser.isHidden()


def test_the_focus_stays_on_a_card_whose_chooser_closes(page, qtbot, tmp_path) -> None:
    (tmp_path / "mine.jsonl").write_text('{"prompt": "a", "completion": "b"}\n' * 4)
    card = page.data_card
    card._expand()
    card.chooser.path.setFocus()
    qtbot.keyClicks(card.chooser.path, str(tmp_path / "mine.jsonl"))
    qtbot.keyClick(card.chooser.path, Qt.Key.Key_Return)
    assert card.chooser.isHidden()
    assert page.window().focusWidget() is card._change


def test_a_run_that_cannot_be_made_says_so_above_start(page, qtbot, tmp_path):
    (tmp_path / "runs").write_text("a file where the runs folder should be")
    page.start()
    qtbot.waitUntil(lambda: "cannot be made" in page.plan.note.text(), timeout=WAIT_MS)
    assert page.plan.start.isEnabled(), "it can be tried again"


def test_keys_undo_and_redo(page, qtbot):
    page._draft.set("method.rank", 99)
    page.setFocus()
    qtbot.keyClick(page, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert page._draft.config.value("method.rank") == 16
    both = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    qtbot.keyClick(page, Qt.Key.Key_Z, both)
    assert page._draft.config.value("method.rank") == 99


def test_nothing_is_wider_than_its_place(page, theme, qtbot):
    for appearance in ("light", "dark"):
        theme.set_appearance(appearance)
        for size in ((920, 680), (1072, 800), (1712, 1080)):
            page.resize(*size)
            qtbot.wait(1)
            for card in (page.model_card, page.data_card, page.method_card):
                assert card.geometry().right() <= page.width() - page.plan.width(), size
            assert page.plan.start.geometry().bottom() < page.height()
            assert page.plan.bar.height() >= 240
            assert not page.grab().isNull()


def test_the_samples_readme_describes_every_training_sample():
    text = (RESOURCES / "samples" / "README.md").read_text()
    for path in (RESOURCES / "samples").iterdir():
        if path.suffix in (".jsonl", ".txt"):
            assert f"`{path.name}`" in text


def test_processes_are_asked_for_only_where_there_are_several_gpus(open_page, make_llama, watch, device, qtbot):
    page = open_page(RunConfig().with_value("model.source", str(make_llama())))
    watch.alike = [device]
    page.method_card._toggle.click()
    names = [field.path for group in page.method_card._all._groups for field in group._fields]
    assert "runtime.seed" in names and "runtime.processes" not in names
    page._draft.set("runtime.processes", 2)
    assert not page.plan.start.isEnabled() and "as many GPUs" in page.planner.obstacle
    watch.alike = [device, replace(device, index=1, free_bytes=device.free_bytes // 2)]
    watch.changed.emit()
    names = [field.path for group in page.method_card._all._groups for field in group._fields]
    assert {"runtime.processes", "runtime.sharding"} <= set(names) and page.planner.obstacle == ""
    assert page.planner.plan.estimate.free_bytes == device.free_bytes // 2, "the one with least room decides"
    assert page.plan.evidence.text().startswith("On each of 2 GPUs. ")
    whole = page.planner.plan.estimate
    page._draft.set("runtime.sharding", "layers")
    split = page.planner.plan.estimate
    assert split.parts["weights"] < whole.parts["weights"] and any(
        "each GPU keeps" in note for note in split.notes
    )
    page._draft.set("method.kind", "full")
    page._draft.set("runtime.processes", 1)
    assert page._draft.config.method.kind == "lora" and page._draft.config.runtime.processes == 2
    page._draft.set("runtime.sharding", "none")
    page._draft.set("runtime.processes", 1)
    assert page.planner.plan.estimate.free_bytes == device.free_bytes
    names = [field.path for group in page.method_card._all._groups for field in group._fields]
    assert "runtime.sharding" not in names


def test_a_paged_optimizer_off_a_gpu_is_an_obstacle(open_page, make_llama, watch, device):
    page = open_page(RunConfig().with_value("model.source", str(make_llama())))
    watch.device = replace(device, kind="cpu", name="a processor")
    watch.alike = [watch.device]
    page._draft.set("optim.optimizer", "paged_adamw_8bit")
    assert "needs an NVIDIA GPU" in page.planner.obstacle and not page.plan.start.isEnabled()
    page._draft.set("optim.optimizer", "adamw_8bit")
    assert page.planner.obstacle == ""
