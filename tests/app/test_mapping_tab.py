"""Columns and what they are for; template and trained roles: edited in the window, written into the run."""

from __future__ import annotations

import json

import pytest
from PySide6.QtCore import Qt

from app.pages.new_run.mapping_tab import MappingTab
from app.pages.new_run.shapes import SHAPES, mapping_of, shape_of, sureness
from app.pages.new_run.sight_choosers import SightChoosers
from app.state.chosen_data import ChosenData
from app.state.data_columns import DataColumns
from app.state.draft import Draft
from core.config import RunConfig
from core.data.detection import detect, layout_for
from core.data.formats import read_row
from core.data.mapping import SETS, Meaning

WAIT_MS = 60_000
ROWS = [
    {"frage": f"Was ist {n}?", "antwort": f"Die Zahl {n}.", "quelle": "Buch\nSeite 3", "stufe": n}
    for n in range(8)
]


@pytest.fixture
def open_tab(tmp_path, background, theme, qtbot):
    def open_(rows: list[dict], values: dict | None = None) -> MappingTab:
        path = tmp_path / "rows.jsonl"
        path.write_text("\n".join(map(json.dumps, rows)))
        draft = Draft(RunConfig().with_values({"data.source": str(path), **(values or {})}))
        data = ChosenData(draft, background)
        tab = MappingTab(draft, data, DataColumns(data, background), theme)
        qtbot.addWidget(tab)
        tab.resize(600, 270)
        tab.show()
        settled(tab, qtbot)
        return tab

    return open_


def settled(tab: MappingTab, qtbot) -> None:
    qtbot.waitUntil(lambda: tab._columns.columns is not None and not tab._data.is_reading, timeout=WAIT_MS)


def typed(tab: MappingTab, role: str, text: str) -> None:
    line = tab.fields[role]._line
    line.setText(text)
    line.editingFinished.emit()


def test_columns_of_no_known_name_are_told_apart_by_hand(open_tab, qtbot):
    tab = open_tab(ROWS)
    assert "fit no format" in tab._data.error
    assert [row.option.name for row in tab.columns.rows] == ["frage", "antwort", "quelle", "stufe"]
    assert tab.columns.rows[2].option.words == "Buch Seite 3"
    tab.columns.rows[0].click()
    assert tab._draft.config.data.mapping == {} and "answer" in tab.error.text(), "half a mapping is none"
    tab.fields["completion"].entered.emit("completion")
    tab.columns.rows[1].click()
    assert tab._draft.config.data.mapping == {"prompt": "frage", "completion": "antwort"}
    settled(tab, qtbot)
    assert tab._data.error == "" and len(tab._data.rows) == 8
    assert tab._data.rows[3].messages[1].content == "Die Zahl 3."
    assert tab.found.text() == "Set by hand" and not tab.reset.isHidden()


def test_two_columns_of_text_are_offered_as_prompt_and_answer_and_never_taken_by_themselves(open_tab, qtbot):
    tab = open_tab([{"frage": f"Was ist {n}?", "antwort": f"Die Zahl {n}."} for n in range(8)])
    assert "fit no format" in tab._data.error and tab._draft.config.data.mapping == {}
    assert tab.guess.text() == "Take frage as the prompt and antwort as the answer" and not tab.guess.isHidden()
    tab.guess.click()
    assert tab._draft.config.data.mapping == {"prompt": "frage", "completion": "antwort"}
    settled(tab, qtbot)
    assert len(tab._data.rows) == 8 and tab.guess.isHidden()


def test_fields_are_empty_for_other_data_of_which_nothing_is_known(open_tab, qtbot, tmp_path):
    tab = open_tab([{"chosen": "Good.", "rejected": "Bad."}] * 4)
    assert tab.fields["chosen"].text == "chosen"
    assert tab.fields["prompt"].remark.text() == "The turns that both begin with."
    (tmp_path / "other.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    tab._draft.set("data.source", str(tmp_path / "other.jsonl"))
    qtbot.waitUntil(lambda: "fit no format" in tab._data.error, timeout=WAIT_MS)
    settled(tab, qtbot)
    qtbot.waitUntil(lambda: list(tab.fields) == ["system", "prompt", "completion"], timeout=WAIT_MS)
    assert not any(field.text for field in tab.fields.values()) and tab.guess.isHidden(), "three texts are no pair"


def test_a_template_over_columns_is_previewed_with_the_row_in_sight(open_tab, qtbot):
    tab = open_tab(ROWS, {"data.mapping": {"prompt": "frage", "completion": "antwort"}})
    typed(tab, "completion", r"{antwort}\n({quelle}, {stufe})")
    assert tab._draft.config.data.mapping["completion"] == "{antwort}\n({quelle}, {stufe})"
    settled(tab, qtbot)
    assert tab._data.rows[2].messages[1].content == "Die Zahl 2.\n(Buch\nSeite 3, 2)"
    tab._columns.show(5)
    remark = tab.fields["completion"].remark
    qtbot.waitUntil(lambda: remark.text() == "Die Zahl 5. (Buch Seite 3, 5)", timeout=WAIT_MS)
    assert remark.textFormat() == Qt.TextFormat.PlainText


def test_a_mistake_stands_beside_its_field_and_changes_nothing(open_tab):
    tab = open_tab(ROWS, {"data.mapping": {"prompt": "frage", "completion": "antwort"}})
    for text, words in (("fragen", "no column fragen"), ("{frage", "brace"), ("{frage} {x}", "no column x")):
        typed(tab, "prompt", text)
        assert words in tab.fields["prompt"].remark.text(), text
        assert tab.fields["prompt"].combo.property("state") == "wrong"
        assert tab._draft.config.data.mapping["prompt"] == "frage"
    typed(tab, "prompt", "{frage}")
    assert tab._draft.config.data.mapping["prompt"] == "{frage}" and tab.fields["prompt"].mistake == ""


def test_what_was_detected_is_shown_with_how_sure_it_is_and_can_be_gone_back_to(open_tab, qtbot):
    rows = [{"instruction": f"Add {n}", "input": "to 1", "output": str(n + 1)} for n in range(4)]
    tab = open_tab(rows)
    assert tab.found.text().startswith("Sure · 4 of the first 4 rows") and tab.reset.isHidden()
    assert tab.fields["prompt"].combo.currentText() == r"{instruction}\n\n{input}"
    assert tab.fields["prompt"].remark.text() == "Add 0 to 1"
    typed(tab, "prompt", "instruction")
    assert tab._draft.config.data.mapping == {"prompt": "instruction", "completion": "output"}
    settled(tab, qtbot)
    tab.reset.click()
    assert tab._draft.config.data.mapping == {}
    settled(tab, qtbot)
    qtbot.waitUntil(lambda: tab.fields["prompt"].combo.currentText().startswith("{instruction}"), timeout=WAIT_MS)
    tab._draft.undo()
    assert tab._draft.config.data.mapping["prompt"] == "instruction"


def test_another_format_keeps_what_fits_and_waits_for_the_rest(open_tab, qtbot):
    rows = [{"prompt": f"Ask {n}", "completion": "ok", "good": n % 2 == 0} for n in range(6)]
    tab = open_tab(rows)
    tab.shape.setCurrentIndex(tab.shape.findText("Answers with a verdict"))
    tab.shape.activated.emit(tab.shape.currentIndex())
    assert tab._draft.config.data.mapping == {} and "verdict" in tab.error.text()
    typed(tab, "label", "good")
    assert tab._draft.config.data.mapping == {"prompt": "prompt", "completion": "completion", "label": "good"}
    settled(tab, qtbot)
    assert tab._data.rows.format == "kto" and tab._data.rows[1].label is False


def test_plain_text_has_no_columns_and_says_so(tmp_path, background, theme, qtbot):
    path = tmp_path / "words.txt"
    path.write_text("Only words.")
    draft = Draft(RunConfig().with_value("data.source", str(path)))
    data = ChosenData(draft, background)
    tab = MappingTab(draft, data, DataColumns(data, background), theme)
    qtbot.addWidget(tab)
    tab.show()
    qtbot.waitUntil(lambda: "no columns" in tab.nothing.text(), timeout=WAIT_MS)
    assert tab._both.isHidden()


def test_every_format_that_a_mapping_can_say_can_be_chosen():
    assert set(SHAPES) == {name for name, _, _ in SETS}
    for name, needed, allowed in SETS:
        if (name, needed) != ("kto", {"messages", "label"}):
            assert set(SHAPES[name].needed) == needed and set(SHAPES[name].optional) == allowed
            assert shape_of(needed) == name


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
        {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}], "system": "s"},
        {"question": "a", "answer": "b", "system": "s"},
        {"instruction": "a", "input": "more", "output": "b"},
        {"instruction": "a", "input": "", "output": "b"},
        {"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": "\n\nHuman: a\n\nAssistant: c"},
        {"prompt": "a", "chosen": "b", "rejected": "c"},
        {"prompt": "a", "completion": "b", "label": True},
        {"text": "all of it"},
    ],
)
def test_a_mapping_that_says_what_was_detected_reads_the_same(row):
    layout = detect([row] * 4)
    assert layout is not None
    meaning = Meaning(tuple(mapping_of(layout, list(row)).items()))
    assert meaning.format is not None
    mapped = layout_for([row] * 4, meaning, "rows.jsonl")
    assert mapped is not None and read_row(row, mapped, 1) == read_row(row, layout, 1)


def test_sureness_is_said_in_words():
    assert [sureness(value) for value in (1.0, 0.9, 0.6)] == ["sure", "likely", "perhaps: please check"]


@pytest.fixture
def choosers(qtbot) -> SightChoosers:
    choosers = SightChoosers(Draft())
    qtbot.addWidget(choosers)
    choosers.resize(400, 80)
    choosers.show()
    return choosers


def pick(combo, text: str) -> None:
    combo.setCurrentIndex(combo.findText(text))
    combo.activated.emit(combo.currentIndex())


def test_template_and_trained_roles_are_chosen_above_what_they_change(choosers, qtbot):
    draft = choosers._draft
    pick(choosers.template, "ChatML")
    pick(choosers.train_on, "Chosen roles")
    assert (draft.config.data.template, draft.config.data.train_on) == ("chatml", "roles")
    assert not choosers._role_row.isHidden() and choosers.roles["assistant"].isChecked()
    choosers.roles["user"].click()
    assert set(draft.config.data.roles) == {"user", "assistant"}
    draft.undo()
    assert not choosers.roles["user"].isChecked()
    pick(choosers.train_on, "Answers")
    assert choosers._role_row.isHidden()


def test_a_template_of_ones_own_is_listed_by_its_file(choosers, tmp_path, monkeypatch):
    path = tmp_path / "mine.jinja"
    path.write_text("{{ messages }}")
    monkeypatch.setattr("app.pages.new_run.sight_choosers.QFileDialog.getOpenFileName", lambda *_: (str(path), ""))
    pick(choosers.template, "Your own file …")
    assert choosers._draft.config.data.template == str(path) and choosers.template.currentText() == "mine.jinja"
    monkeypatch.setattr("app.pages.new_run.sight_choosers.QFileDialog.getOpenFileName", lambda *_: ("", ""))
    pick(choosers.template, "Your own file …")
    assert choosers.template.currentText() == "mine.jinja", "a closed dialog changes nothing"


def test_raw_text_has_neither_template_nor_roles(choosers):
    choosers.show_facts(has_template=False, has_turns=False)
    assert not choosers.template.isEnabled() and not choosers.train_on.isEnabled()
    assert choosers.train_on.currentText() == "Everything"
    assert choosers.template.currentText() == "None: plain headings"
