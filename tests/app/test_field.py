"""Fields: made from the declarations, exact with numbers, and honest about what was typed wrongly."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication, QLineEdit, QVBoxLayout, QWidget

from app.state.draft import Draft
from app.widgets import words
from app.widgets.combo import Combo
from app.widgets.field import Field, range_of
from app.widgets.form import Form
from app.widgets.names_box import NamesBox
from app.widgets.number_box import NumberBox, Range
from app.widgets.switch import Switch
from core.config import SECTION_NAMES, RunConfig, field_at, fields


def all_paths() -> list[str]:
    config = RunConfig()
    return [f"{name}.{key}" for name in SECTION_NAMES for key, _ in fields(getattr(config, name))]


@pytest.fixture
def draft(qapp) -> Draft:
    return Draft(RunConfig())


@pytest.fixture
def form(draft, theme, qtbot) -> Form:
    return Form(draft, theme, draft)


@pytest.fixture
def show(qtbot) -> Callable[..., None]:
    """Puts widgets into a window of their own."""
    windows = []

    def put(*shown: QWidget) -> None:
        window = QWidget()
        column = QVBoxLayout(window)
        for widget in shown:
            column.addWidget(widget)
        qtbot.addWidget(window)
        windows.append(window)
        window.show()

    return put


@pytest.mark.parametrize("path", all_paths())
def test_every_setting_has_an_editor_that_shows_it_and_its_help(path, form, draft, qtbot, show):
    field = form.add(path)
    show(field)
    info, value = field_at(draft.config, path), draft.config.value(path)
    assert field.editor.objectName() == path
    assert field.editor.accessibleName()
    assert field.editor.accessibleDescription() == info.description
    assert field.editor.height() == 32
    kinds = {bool: Switch, int: NumberBox, float: NumberBox, str: QLineEdit, dict[str, str]: QLineEdit}
    listed = NamesBox if path == "method.targets" else QLineEdit
    expected = kinds.get(info.annotation, listed if isinstance(value, tuple) else Combo)
    assert type(field.editor) is expected
    if isinstance(field.editor, NumberBox):
        shown = field.editor.text()
        assert field.editor.limits.parse(shown) == value, f"{value} is shown as {shown}"
    elif type(field.editor) is Combo:
        assert field.editor.currentData() == value


def test_a_mapping_and_a_list_are_typed_and_shown_on_one_line(form, draft, qtbot, show):
    columns, roles = form.add("data.mapping"), form.add("data.roles")
    show(columns, roles)
    assert (columns.editor.text(), roles.editor.text()) == ("", "assistant")
    qtbot.keyClicks(columns.editor, 'prompt: "{a}: {b}", completion: c')
    qtbot.keyClick(columns.editor, Qt.Key.Key_Return)
    assert draft.config.data.mapping == {"prompt": "{a}: {b}", "completion": "c"}
    assert not columns.remark
    draft.set("data.roles", ("user", "tool"))
    assert roles.editor.text() == "user, tool"
    columns.editor.setText("promt: a")
    qtbot.keyClick(columns.editor, Qt.Key.Key_Return)
    assert "Did you mean prompt?" in columns.remark


def test_a_small_learning_rate_is_never_shown_as_zero(form, draft, qtbot, show):
    field = form.add("optim.learning_rate")
    show(field)
    assert field.editor.text() == "2 × 10⁻⁴"
    draft.set("optim.learning_rate", 3.7e-6)
    assert field.editor.text() == "3.7 × 10⁻⁶"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("2e-4", 2e-4), ("0.0002", 2e-4), ("2 × 10⁻⁴", 2e-4), ("2x10^-4", 2e-4), ("5E-5", 5e-5), ("1", 1.0)],
)
def test_a_learning_rate_can_be_typed_as_people_write_it(typed, meant, form, draft, qtbot, show):
    field = form.add("optim.learning_rate")
    show(field)
    field.editor.lineEdit().selectAll()
    field.editor.lineEdit().insert(typed)  # qtbot types ASCII only
    qtbot.keyClick(field.editor.lineEdit(), Qt.Key.Key_Return)
    assert draft.config.optim.learning_rate == pytest.approx(meant, rel=1e-12)
    assert not field.remark


def test_what_is_out_of_range_stays_with_its_error_until_it_is_mended(form, draft, qtbot, show):
    field, other = form.add("optim.epochs"), form.add("method.rank")
    show(field, other)
    line = field.editor.lineEdit()
    line.selectAll()
    qtbot.keyClicks(line, "5000")
    qtbot.keyClick(line, Qt.Key.Key_Return)
    assert "at most 1" in field.remark and field.is_wrong and form.wrong == [field]
    assert draft.config.optim.epochs == 500, "what was typed on the way was in range and was taken"
    draft.set("method.rank", 64)
    assert field.is_wrong and line.text() == "5000", "an edit elsewhere must not hide the mistake"
    line.selectAll()
    qtbot.keyClicks(line, "4")
    qtbot.keyClick(line, Qt.Key.Key_Return)
    assert draft.config.optim.epochs == 4 and not field.remark and not form.wrong


def test_words_in_a_number_are_refused_in_one_sentence(form, draft, qtbot, show):
    field = form.add("data.max_length")
    show(field)
    line = field.editor.lineEdit()
    line.selectAll()
    qtbot.keyClicks(line, "long")
    qtbot.keyClick(line, Qt.Key.Key_Return)
    assert field.is_wrong and "long" in field.remark
    qtbot.keyClick(line, Qt.Key.Key_Escape)
    assert not field.is_wrong and field.editor.text() == "512 tokens"


def test_thousands_and_units_are_understood(form, draft, qtbot, show):
    field = form.add("data.max_length")
    show(field)
    field.editor.lineEdit().selectAll()
    qtbot.keyClicks(field.editor.lineEdit(), "16,384 tokens")
    assert draft.config.data.max_length == 16_384


def test_arrows_double_lengths_and_walk_learning_rates(form, draft, qtbot, show):
    length, rate = form.add("data.max_length"), form.add("optim.learning_rate")
    show(length, rate)
    length.editor.stepBy(2)
    assert draft.config.data.max_length == 2048
    length.editor.stepBy(-1)
    assert draft.config.data.max_length == 1024
    seen = []
    for _ in range(4):
        rate.editor.stepBy(1)
        seen.append(draft.config.optim.learning_rate)
    assert seen == [5e-4, 1e-3, 2e-3, 5e-3]
    for _ in range(5):
        rate.editor.stepBy(-1)
    assert draft.config.optim.learning_rate == pytest.approx(1e-4)


@pytest.mark.parametrize("path", [path for path in all_paths() if "." in path])
def test_no_number_of_steps_leaves_the_declared_range(path, form, draft, qtbot, show):
    info = field_at(draft.config, path)
    if info.annotation not in (int, float):
        return
    limits = range_of(path, info)
    for start in (draft.config.value(path), limits.high):
        for steps in (1, 7, -1, -40, 60):
            number = limits.stepped(start, steps)
            assert not limits.holds(start) or limits.holds(number) or limits.low_is_open
            if limits.holds(number):
                draft.set(path, number)
                assert draft.config.value(path) == number


@given(
    st.floats(min_value=1e-12, max_value=1, allow_nan=False),
    st.sampled_from(["linear", "log"]),
)
def test_a_shown_number_reads_back_to_itself_within_what_is_shown(number, scale):
    limits = Range(0, 1, is_whole=False, scale=scale)
    assert limits.parse(limits.text(number)) == pytest.approx(number, rel=6e-3)


def test_a_rounded_display_never_changes_the_value(form, draft, qtbot, show):
    draft.set("optim.learning_rate", 0.00012345678)
    field = form.add("optim.learning_rate")
    show(field)
    field.editor.setFocus()
    qtbot.keyClick(field.editor.lineEdit(), Qt.Key.Key_Return)
    assert draft.config.optim.learning_rate == 0.00012345678


def wheel(widget: QWidget) -> bool:
    event = QWheelEvent(
        QPointF(5, 5), QPointF(widget.mapToGlobal(QPoint(5, 5))), QPoint(0, 120), QPoint(0, 120),
        Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(widget, event)
    return event.isAccepted()


@pytest.mark.parametrize("path", ["optim.epochs", "optim.optimizer", "method.targets"])
def test_scrolling_past_a_field_leaves_it_alone(path, form, draft, qtbot, show):
    field = form.add(path)
    show(field)
    field.editor.clearFocus()
    before = draft.config
    assert not wheel(field.editor), "the page must get the wheel instead"
    assert draft.config == before


def test_layer_names_can_be_chosen_or_typed(form, draft, qtbot, show):
    field = form.add("method.targets")
    show(field)
    assert field.editor.currentText() == "All linear"
    field.editor.lineEdit().selectAll()
    qtbot.keyClicks(field.editor.lineEdit(), "q_proj, v_proj")
    qtbot.keyClick(field.editor.lineEdit(), Qt.Key.Key_Return)
    assert draft.config.value("method.targets") == ("q_proj", "v_proj")
    assert field.editor.currentText() == "Query and value"


def test_a_changed_field_is_marked_and_reset_by_its_button(form, draft, qtbot, show):
    field = form.add("method.rank")
    show(field)
    assert field._changed.isHidden()
    draft.set("method.rank", 64)
    assert field._changed.isVisible()
    qtbot.mouseClick(field._reset, Qt.MouseButton.LeftButton)
    assert draft.config.value("method.rank") == 16 and field._changed.isHidden()


def test_a_pair_edits_both_its_settings(form, draft, qtbot, show):
    field = form.add_pair("optim.batch_size", "optim.accumulation", "Batch × accumulation")
    show(field)
    editors = field.editors()
    editors["optim.batch_size"].stepBy(1)
    editors["optim.accumulation"].stepBy(-1)
    assert (draft.config.optim.batch_size, draft.config.optim.accumulation) == (8, 2)
    qtbot.mouseClick(field._reset, Qt.MouseButton.LeftButton)
    assert (draft.config.optim.batch_size, draft.config.optim.accumulation) == (4, 4)


def test_a_setting_the_method_lacks_is_greyed_and_comes_back(form, draft, qtbot, show):
    field = form.add("method.rank")
    show(field)
    draft.set("method.kind", "full")
    assert not field.isEnabled()
    draft.undo()
    assert field.isEnabled() and field.editor.value() == 16


def test_advice_stands_beneath_the_field_and_is_no_error(form, draft, qtbot, show):
    field = form.add("optim.learning_rate")
    show(field)
    draft.set("method.kind", "full")
    assert "High for full fine-tuning" in field.remark and not field.is_wrong and not form.wrong


def test_editors_never_answer_when_they_are_shown_a_value(form, draft, qtbot, show):
    edits = []
    for path in all_paths():
        form.add(path).edited.connect(lambda path, value: edits.append(path))
    draft.replace(RunConfig().with_values({"method.rank": 3, "optim.optimizer": "sgd", "data.packing": True}))
    assert not edits


def test_untrusted_words_are_never_taken_for_markup(theme, qtbot, show):
    field = Field("model.source", field_at(RunConfig(), "model.source"), theme)
    show(field)
    field.show_error("<b>not bold</b>")
    assert field._remark.textFormat() == Qt.TextFormat.PlainText
    assert field.remark == "<b>not bold</b>"


@given(st.floats(min_value=0, max_value=1, allow_nan=False))
def test_a_share_shown_in_percent_reads_back_to_the_very_same_number(share):
    limits = Range(0, 1, is_whole=False, scale="share")
    assert limits.parse(limits.text(share)) == share


def test_a_share_is_shown_typed_and_refused_in_percent(form, draft, qtbot, show):
    field = form.add("data.holdout")
    show(field)
    assert field.editor.text() == "5%"
    for typed, share, shown in (("12.5", 0.125, "12.5%"), ("7 %", 0.07, "7%"), ("0.1%", 0.001, "0.1%")):
        retype(field, typed, qtbot)
        assert draft.config.data.holdout == share and field.editor.text() == shown
    field.editor.stepBy(1)
    assert draft.config.data.holdout == 0.011 and field.editor.text() == "1.1%"
    retype(field, "70", qtbot)
    assert field.remark == "70% is out of range; it must be at most 50%."
    retype(field, "some", qtbot)
    assert field.remark == "some is no percentage."


def retype(field: Field, text: str, qtbot) -> None:
    assert isinstance(field.editor, NumberBox)
    line = field.editor.lineEdit()
    field.editor.setFocus()
    line.selectAll()
    qtbot.keyClicks(line, text)
    qtbot.keyClick(line, Qt.Key.Key_Return)


def test_an_error_names_controls_and_not_paths(form, draft, qtbot, show):
    processes = form.add("runtime.processes")
    show(processes)
    draft.set_many({"runtime.sharding": "layers"})
    assert processes.remark.endswith("raise it, or set “Frozen layers” to “Whole”.")


@pytest.mark.parametrize(
    ("sentence", "shown"),
    [
        ("Raise data.holdout.", "Raise “Held out”."),
        ("Set data.mapping.prompt=Frage and data.mapping.text={a}.", "Set “Prompt” to Frage and “Text” to {a}."),
        ("Take it and choose model.quantization instead.", "Take it and choose “Base weights” instead."),
        (
            "/home/me/data.source/data.csv and data.more.jsonl.",
            "/home/me/data.source/data.csv and data.more.jsonl.",
        ),
    ],
)
def test_only_paths_of_settings_are_named_by_their_labels(sentence, shown):
    assert words.in_labels(sentence) == shown
