"""Edits of rows in the window: left out, mended, added, taken back, in a file beside data that stays as it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PySide6.QtCore import Qt

from app.pages.new_run.row_places import as_text, new_places, new_row, places_of
from app.pages.new_run.rows_tab import RowsTab
from app.state.chosen_data import ChosenData
from app.state.chosen_model import ChosenModel
from app.state.data_edits import DataEdits
from app.state.draft import Draft
from app.state.preview import Preview
from app.state.row_reader import RowReader
from app.state.row_search import RowSearch
from core.config import RunConfig
from core.data.detection import detect
from core.data.formats import Layout, read_row
from core.data.mapping import Meaning

WAIT_MS = 60_000


@pytest.fixture
def source(tmp_path) -> Path:
    path = tmp_path / "mine.jsonl"
    rows = [{"frage": f"Ask {n}", "antwort": f"Answer {n}"} for n in range(8)]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


@pytest.fixture
def tab(source, background, theme, qtbot, hone_home):
    values = {"data.source": str(source), "data.mapping": {"prompt": "frage", "completion": "antwort"}}
    draft = Draft(RunConfig().with_values(values))
    data = ChosenData(draft, background)
    reader, edits = RowReader(data, background), DataEdits(data, background)
    preview = Preview(draft, ChosenModel(draft, background), data)
    tab = RowsTab(draft, data, reader, RowSearch(data, background), edits, preview, theme)
    qtbot.addWidget(tab)
    tab.resize(600, 270)
    tab.show()
    qtbot.waitUntil(lambda: tab.sight.number == 0, timeout=WAIT_MS)
    yield tab
    preview.close()


def read(tab: RowsTab, number: int, qtbot) -> str:
    tab._reader.want(range(len(tab._reader)))
    qtbot.waitUntil(lambda: tab.browser._line(number) is not None, timeout=WAIT_MS)
    line = tab.browser._line(number)
    return line.words if line else ""


def changed(tab: RowsTab, number: int, qtbot) -> None:
    qtbot.waitUntil(lambda: tab._edits.num_changed == number and not tab._data.is_reading, timeout=WAIT_MS)


def actions(tab: RowsTab, number: int) -> dict:
    return {action.text(): action for action in tab.menu_for(number).actions() if action.text()}


def test_a_row_is_left_out_struck_through_and_taken_back(tab, source, qtbot):
    before = source.read_bytes()
    tab.browser.list.setFocus()
    qtbot.keyClick(tab.browser.list, Qt.Key.Key_Down)
    read(tab, 1, qtbot)
    qtbot.keyClick(tab.browser.list, Qt.Key.Key_Delete)
    changed(tab, 1, qtbot)
    assert read(tab, 1, qtbot) == "Ask 1" and tab.browser._line(1).tone == "excluded"
    assert tab.number == 1, "the row stays in sight"
    qtbot.waitUntil(lambda: "1 row changed in mine.jsonl.hone.jsonl" in tab.told.text(), timeout=WAIT_MS)
    assert "untouched" in tab.told.text() and source.read_bytes() == before
    assert (
        not actions(tab, 1)["Leave this row out"].isEnabled()
        and not actions(tab, 1)["Edit this row …"].isEnabled()
    )
    tab.undo.click()
    changed(tab, 0, qtbot)
    assert read(tab, 1, qtbot) == "Ask 1" and tab.browser._line(1).tone == ""
    assert tab._foot.isHidden() and not (source.parent / "mine.jsonl.hone.jsonl").exists()


def test_a_field_is_mended_in_place(tab, source, qtbot):
    read(tab, 0, qtbot)
    actions(tab, 0)["Edit this row …"].trigger()
    qtbot.waitUntil(lambda: tab._right.currentWidget() is tab.editor, timeout=WAIT_MS)
    editor = tab.editor
    assert [editor.place.itemText(place) for place in range(editor.place.count())] == ["frage", "antwort"]
    assert editor.text.toPlainText() == "Ask 0" and not editor.save.isEnabled()
    editor._show_place("antwort")
    editor.text.setPlainText("<b>Mended</b> “🦊”")
    editor._show_place("frage")
    editor._show_place("antwort")
    assert editor.text.toPlainText() == "<b>Mended</b> “🦊”", "what was typed is kept between places"
    editor.save.click()
    changed(tab, 1, qtbot)
    assert tab._right.currentWidget() is tab.sight
    assert tab._data.rows[0].messages[1].content == "<b>Mended</b> “🦊”"
    read(tab, 0, qtbot)
    assert tab.browser._line(0).tone == "changed"


def test_a_row_is_added_once_all_of_it_is_there(tab, qtbot):
    read(tab, 0, qtbot)
    actions(tab, 0)["Add a row …"].trigger()
    editor = tab.editor
    assert editor.title.text() == "A new row"
    editor.text.setPlainText("New?")
    assert not editor.save.isEnabled(), "its answer is missing"
    editor._show_place("antwort")
    editor.text.setPlainText("Yes.")
    editor.save.click()
    changed(tab, 1, qtbot)
    assert len(tab._data.rows) == 9 and tab._data.rows[8].messages[1].content == "Yes."


def test_what_cannot_be_edited_says_why_and_escape_closes(tab, source, qtbot):
    tab._edits.undo()
    qtbot.waitUntil(lambda: "nothing to undo" in tab.told.text(), timeout=WAIT_MS)
    tab._edits.open(2)
    qtbot.waitUntil(lambda: tab._right.currentWidget() is tab.editor, timeout=WAIT_MS)
    qtbot.keyClick(tab.editor.text, Qt.Key.Key_Escape)
    assert tab._right.currentWidget() is tab.sight


def test_a_row_of_a_mixture_is_edited_beside_its_own_source(tab, source, qtbot):
    apart = source.with_name("more.jsonl")
    apart.write_text(source.read_text().replace("Answer", "Reply"))
    tab.sight._draft.set("data.more", (str(apart),))
    qtbot.waitUntil(lambda: len(tab._reader) == 16, timeout=WAIT_MS)
    read(tab, 9, qtbot)
    tab._exclude(9)
    changed(tab, 1, qtbot)
    assert (source.parent / "more.jsonl.hone.jsonl").exists()
    read(tab, 9, qtbot)
    assert [tab.browser._line(number).tone for number in (1, 9)] == ["", "excluded"]
    tab.undo.click()
    changed(tab, 0, qtbot)


def test_places_of_a_conversation_are_its_messages():
    talk = [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]
    found = places_of({"conversations": talk, "id": 7, "note": None, "a.b": "x", "tags": ["p", "q"]})
    assert [(one.path, one.name, one.text) for one in found] == [
        ("conversations.0.value", "conversations 1 · human", "Hi"),
        ("conversations.1.value", "conversations 2 · gpt", "Hello"),
        ("id", "id", "7"), ("note", "note", ""), ("tags", "tags", as_text(["p", "q"])),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
        {"question": "a", "answer": "b"},
        {"instruction": "a", "output": "b"},
        {"prompt": "a", "chosen": "b", "rejected": "c"},
        {"prompt": "a", "completion": "b", "label": True},
        {"text": "all of it"},
    ],
)
def test_a_new_row_reads_like_the_others(row):
    layout = detect([row] * 4)
    assert layout is not None
    texts = {place.path: ("true" if place.path == "label" else f"words {n}")
             for n, place in enumerate(new_places(layout))}  # fmt: skip
    assert read_row(new_row(layout, texts), layout, 1)


def test_a_new_row_of_mapped_columns_has_those_columns():
    layout = Layout("prompt", (), Meaning((("prompt", "{a}: {b}"), ("completion", "c"))))
    assert [place.path for place in new_places(layout)] == ["a", "b", "c"]
    row = read_row(new_row(layout, {"a": "x", "b": "y", "c": "z"}), layout, 1)
    assert row.messages[0].content == "x: y"
