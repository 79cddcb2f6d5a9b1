"""The whole way once, for real: choose, edit, start a worker, watch points arrive, compare in chat."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication

from app.main import Studio
from core.events import Finished
from core.methods.presets import first_config

WAIT_MS = 60_000  # a busy machine is no failure

START_MS = 120_000
"""Loading torch on a busy machine takes its time; nothing here is a measurement."""


@pytest.fixture
def studio(qapp: QApplication, hone_home, qtbot):
    studio = Studio(qapp)
    studio.preferences.set("has_said_runs_live_on", False)
    studio.open()
    yield studio
    for run in studio.store.runs():
        if run.is_live():
            run.request("stop")
            qtbot.waitUntil(lambda run=run: not run.is_live(), timeout=START_MS)
    if studio.window.has_page("compare"):
        studio.window.page("compare").comparison.close()
    studio.window.close()
    studio.window.deleteLater()


def type_into(qtbot, page, path: str, text: str) -> None:
    """Type a value into the field of a config path and press Enter."""
    [field] = [field for field in page.method_card.form.fields if path in field.paths and field.isVisible()]
    line = field.editors()[path].lineEdit()
    line.selectAll()
    qtbot.keyClicks(line, text)
    qtbot.keyClick(line, Qt.Key.Key_Return)
    assert not field.remark, field.remark


def test_from_the_first_window_to_two_answers_side_by_side(studio, qtbot):
    window = studio.window
    page = window.page("new-run")
    assert window.open_page is page
    assert page.model.source == "starter:storyteller" and page.data.source == "sample:poems"
    qtbot.waitUntil(lambda: page.plan.start.isEnabled() and page.planner.plan is not None, timeout=START_MS)

    before = page.plan.bar.picture
    type_into(qtbot, page, "method.rank", "8")
    type_into(qtbot, page, "data.max_length", "96")
    type_into(qtbot, page, "optim.learning_rate", "5e-3")
    assert page.plan.bar.picture != before, "the plan follows what is typed"
    page.method_card._toggle_all()
    type_into(qtbot, page, "optim.max_steps", "12")
    type_into(qtbot, page, "evaluation.every_steps", "6")
    type_into(qtbot, page, "evaluation.sample_tokens", "8")
    type_into(qtbot, page, "runtime.threads", "1")
    assert page.planner.plan.total_steps == 12

    page.name.setText("vertical")
    page.name.setModified(True)
    page.name.editingFinished.emit()
    qtbot.mouseClick(page.plan.start, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: window.has_page("run") and window.open_page is window.page("run"), timeout=START_MS)
    run_page = window.page("run")
    run = run_page.live.run
    assert run.name == "vertical" and run.config == studio.draft.config
    assert "goes on when you close" in window.toast.text

    qtbot.waitUntil(lambda: len(run_page.live.steps) >= 3, timeout=START_MS)
    qtbot.waitUntil(
        lambda: window.sidebar._buttons["runs"]._badge == "1 live" or not run.is_live(), timeout=START_MS
    )
    qtbot.waitUntil(lambda: run_page.live.state == "done", timeout=START_MS)
    assert list(run_page.live.steps.values) == list(range(1, 13))
    finished = run.events()[-1]
    assert (
        isinstance(finished, Finished)
        and finished.reason == "done"
        and (run.adapter / "adapter_config.json").exists()
    )

    window.show_page("runs")
    qtbot.waitUntil(lambda: [row.state for row in studio.run_list.rows] == ["done"], timeout=START_MS)
    studio.open_run(run)
    run_page.compare_requested.emit(run)
    compare = window.page("compare")
    assert window.open_page is compare
    qtbot.waitUntil(lambda: compare.comparison.state == "ready", timeout=START_MS)
    assert [column.kind for column in compare.comparison.columns] == ["base", "adapter"]
    compare.comparison.sampling = compare.comparison.sampling.model_copy(update={"max_tokens": 12})
    compare.composer.editor.setPlainText("Tell me about a fox who lost her hat.")
    qtbot.mouseClick(compare.composer.button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: all(one.last_answer for one in compare.comparison.conversations), timeout=START_MS)
    base, tuned = (one.last_answer for one in compare.comparison.conversations)
    assert base != tuned, "twelve steps at a high rate change what is said"


def test_a_new_window_finds_the_draft_and_the_live_run(qapp, hone_home, qtbot):
    first = Studio(qapp)
    first.open()
    first.draft.set("method.rank", 24)
    first.window.close()
    again = Studio(qapp)
    assert again.draft.config == first_config().with_value("method.rank", 24)
    run = again.store.create(again.draft.config, "held")
    with run.lock():
        again.open()
        assert again.window.open_page is again.window.page("run")
        assert again.window.page("run").live.run == run
        qtbot.waitUntil(lambda: again.window.sidebar._buttons["runs"]._badge == "1 live", timeout=WAIT_MS)
    again.window.close()


def test_a_mistake_of_ours_is_written_down_and_told(studio, hone_home, capsys):
    try:
        raise ValueError("not the user's fault")
    except ValueError as error:
        studio.tell_of(ValueError, error, error.__traceback__)
    assert "not the user's fault" in (hone_home / "window.log").read_text()
    assert "written down" in studio.window.toast.text and "fault" in capsys.readouterr().err
