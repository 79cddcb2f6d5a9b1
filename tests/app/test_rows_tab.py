"""The list of rows: any number of them, read on a thread where they are in sight, and searched."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt

from app.pages.new_run.row_browser import RowBrowser
from app.pages.new_run.row_view import _blocks_of
from app.state.chosen_data import ChosenData
from app.state.draft import Draft
from app.state.row_reader import RowReader
from app.state.row_search import RowSearch
from app.widgets.row_list import LINE_HEIGHT, Line, RowList
from core.config import RunConfig
from core.data.row import Message, Row

WAIT_MS = 60_000
NUM_ROWS = 5000


@pytest.fixture
def data(tmp_path: Path, background) -> ChosenData:
    path = tmp_path / "rows.jsonl"
    rows = [
        {"prompt": f"Ask {n}", "completion": "a rare Gem" if n % 1000 == 7 else "common"} for n in range(NUM_ROWS)
    ]
    lines = [json.dumps(row) for row in rows]
    lines[3] = "{broken"
    path.write_text("\n".join(lines))
    return ChosenData(Draft(RunConfig().with_value("data.source", str(path))), background)


@pytest.fixture
def reader(data, background, qtbot) -> RowReader:
    reader = RowReader(data, background)
    qtbot.waitUntil(lambda: len(reader) == NUM_ROWS, timeout=WAIT_MS)
    return reader


@pytest.fixture
def browser(reader, data, background, theme, qtbot) -> RowBrowser:
    browser = RowBrowser(reader, RowSearch(data, background), theme)
    qtbot.addWidget(browser)
    browser.resize(260, 300)
    browser.show()
    return browser


def words(browser: RowBrowser, number: int) -> str:
    line = browser._line(number)
    return line.words if line else ""


def test_only_rows_in_sight_are_read_and_never_on_the_windows_thread(browser, reader, qtbot, monkeypatch):
    threads = set()
    rows = reader._rows
    read = type(rows).__getitem__
    monkeypatch.setattr(
        type(rows), "__getitem__", lambda *args: (threads.add(threading.current_thread()), read(*args))[1]
    )
    browser.list.verticalScrollBar().setValue(2500 * LINE_HEIGHT)
    qtbot.waitUntil(lambda: words(browser, 2500) == "Ask 2500", timeout=WAIT_MS)
    assert threads and threading.main_thread() not in threads
    assert reader.row(1500) is None and reader.row(4000) is None
    assert len(reader._kept) < 200


def test_keys_the_box_and_the_mouse_move_through_the_rows(browser, reader, qtbot):
    moved = []
    browser.chosen.connect(moved.append)
    browser.list.setFocus()
    qtbot.keyClick(browser.list, Qt.Key.Key_Down)
    qtbot.keyClick(browser.list, Qt.Key.Key_End)
    qtbot.keyClick(browser.list, Qt.Key.Key_PageUp)
    page = browser.list.viewport().height() // LINE_HEIGHT - 1
    assert moved == [1, NUM_ROWS - 1, NUM_ROWS - 1 - page]
    browser.box.lineEdit().setText("1,235")
    browser.box.lineEdit().textEdited.emit("1,235")
    assert moved[-1] == 1234 and browser.list.number == 1234
    browser.box.stepBy(1)
    assert moved[-1] == 1235, "one by one, however many there are"
    qtbot.keyClick(browser.list, Qt.Key.Key_Home)
    qtbot.mouseClick(
        browser.list.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(50, 2 * LINE_HEIGHT + LINE_HEIGHT // 2)
    )
    assert moved[-1] == 2 and browser.box.value() == 3


def test_words_are_found_in_any_case_and_the_list_holds_only_those_rows(browser, qtbot):
    qtbot.keyClicks(browser.query, "rare gem")
    qtbot.waitUntil(lambda: browser.count.text() == "5 found", timeout=WAIT_MS)
    assert list(browser.list.numbers) == [7, 1007, 2007, 3007, 4007]
    qtbot.keyClick(browser.list, Qt.Key.Key_Down)
    assert browser.number == 7
    qtbot.keyClick(browser.list, Qt.Key.Key_Down)
    assert browser.number == 1007
    browser.query.clear()
    assert len(browser.list.numbers) == NUM_ROWS and browser.list.number == 1007
    browser.query.setText("invalid JSON")
    qtbot.keyClick(browser.query, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: browser.count.text() == "1 found", timeout=WAIT_MS)
    assert list(browser.list.numbers) == [3], "a row's problem is found too"


def test_a_row_that_cannot_be_used_stands_out(browser, qtbot):
    qtbot.waitUntil(lambda: browser._line(3) is not None, timeout=WAIT_MS)
    assert browser._line(3).tone == "no" and "JSON" in browser._line(3).words


def test_the_data_changing_forgets_every_row(browser, reader, data, qtbot, tmp_path):
    browser.go_to(4000)
    (tmp_path / "rows.jsonl").write_text('{"prompt": "one", "completion": "two"}\n' * 3)
    data.look_again()
    qtbot.waitUntil(lambda: len(reader) == 3, timeout=WAIT_MS)
    assert browser.number == 2 and len(browser.list.numbers) == 3, "the nearest row that is left"


def test_more_rows_than_qt_can_count_pixels_of(theme, qtbot):
    shown = RowList(theme, lambda number: Line(str(number)))
    qtbot.addWidget(shown)
    shown.resize(200, 260)
    shown.show()
    shown.show_numbers(range(400_000_000))
    bar = shown.verticalScrollBar()
    bar.setValue(bar.maximum())
    sighted = []
    shown.sighted.connect(sighted.append)
    qtbot.keyClick(shown, Qt.Key.Key_End)
    assert shown.number == 399_999_999 and not shown.grab().isNull()
    bar.setValue(bar.maximum() // 2)
    assert 150_000_000 < min(sighted[-1]) < 250_000_000 and len(sighted[-1]) < 60


def test_pairs_and_verdicts_show_both_answers_as_good_or_bad():
    prompt, good, bad = Message("user", "Ask"), Message("assistant", "Yes"), Message("assistant", "No")
    pair = Row(1, (prompt,), chosen=(good,), rejected=(bad,))
    assert _blocks_of(pair, "answers") == [
        ("prompt", "Ask", ""), ("chosen", "Yes", "trained"), ("rejected", "No", "rejected"),
    ]  # fmt: skip
    assert _blocks_of(Row(1, (prompt, good), label=True), "answers")[1] == ("good answer", "Yes", "trained")
    assert _blocks_of(Row(1, (prompt, bad), label=False), "answers")[1] == ("bad answer", "No", "rejected")
