"""The page of all runs: find, sort, open, compare, duplicate, delete and undo, by mouse and by keyboard."""

from __future__ import annotations

import time

import pytest
from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QColor, QImage, QPainter
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QInputDialog
from run_folders import begin, done, failed, hold, write

from app.pages.runs_page import RunsPage
from app.state.run_list import RunList
from app.widgets.run_table import COLUMNS, NAME, RunModel, day
from app.widgets.sparkline import draw_sparkline
from core.config import RunConfig
from core.runs import Run, RunStore


@pytest.fixture
def page(theme, background, qtbot, store):
    run_list = RunList(store, background)
    page = RunsPage(run_list, theme)
    page.resize(1072, 800)
    qtbot.addWidget(page)
    yield page
    run_list.pause()


def named(store: RunStore, stamp: str, name: str, events, config: RunConfig | None = None) -> Run:
    run = write(store, name, events, config)
    return Run(run.folder.rename(run.folder.with_name(f"{stamp}-{name}")))


@pytest.fixture
def three(store) -> list[Run]:
    """Newest first: beta, gamma, alpha."""
    tickets = RunConfig().with_values({"data.source": "tickets.jsonl", "model.source": "org/Big"})
    return [
        named(
            store, "20260103-000000", "beta", [*begin(50, 50, began=3e8, every=10), done(50, 3e8 + 90)], tickets
        ),
        named(store, "20260102-000000", "gamma", [*begin(50, 20, began=2e8), failed(time=2e8 + 20)]),
        named(store, "20260101-000000", "alpha", [*begin(200, 200, began=1e8), done(200, 1e8 + 500)]),
    ]


def show(page: RunsPage, qtbot) -> None:
    page.show()
    qtbot.waitUntil(lambda: page._list.has_looked, timeout=5000)


def names(page: RunsPage) -> list[str]:
    table = page.table.filter
    return [table.index(row, NAME).data() for row in range(table.rowCount())]


def choose(page: RunsPage, *wanted: str) -> None:
    page.table.clearSelection()
    for name in wanted:
        index = page.table.filter.index(names(page).index(name), NAME)
        flags = page.table.selectionModel().SelectionFlag
        page.table.selectionModel().select(index, flags.Select | flags.Rows)


def test_no_runs_teach_what_a_run_is(page, qtbot):
    assert page.stack.currentIndex() == 0, "before the first look neither is said"
    show(page, qtbot)
    assert page.stack.currentWidget() is page.empty
    with qtbot.waitSignal(page.new_run_requested):
        page.empty.pressed.emit()


def test_runs_are_listed_newest_first_with_all_their_figures(page, three, qtbot):
    show(page, qtbot)
    assert names(page) == ["beta", "gamma", "alpha"]
    words = [page.table.filter.index(0, column).data() for column in range(len(COLUMNS))]
    assert words[:5] == ["done", "beta", "Big", "tickets.jsonl", "LoRA r16"]
    assert words[6].endswith("MiB") and words[7] == "1 min 30 s"
    assert page.summary.text() == "3"


def test_a_live_run_is_counted_and_shows_its_share(page, store, three, qtbot):
    lock = hold(three[1])
    show(page, qtbot)
    assert page.summary.text() == "3 · 1 learning"
    assert page.table.filter.index(1, 0).data() == "learning 40%"
    lock.release()


def test_search_takes_every_word_into_account(page, three, qtbot):
    show(page, qtbot)
    QTest.keyClicks(page.search, "storyteller done")
    assert names(page) == ["alpha"]
    page.search.setText("BIG")
    assert names(page) == ["beta"]
    page.search.setText("nowhere")
    assert names(page) == [] and page.found.currentWidget() is page.nothing_found
    page.search.clear()
    assert len(names(page)) == 3 and page.found.currentWidget() is page.table


@pytest.mark.parametrize(
    ("title", "order"),
    [
        ("Name", ["alpha", "beta", "gamma"]),
        ("Time", ["gamma", "beta", "alpha"]),
        ("Begun", ["alpha", "gamma", "beta"]),
        ("Held out", ["beta", "alpha", "gamma"]),
        ("Model", ["beta", "gamma", "alpha"]),
    ],
)
def test_a_heading_sorts(page, three, qtbot, title, order):
    show(page, qtbot)
    column = next(number for number, column in enumerate(COLUMNS) if column.title == title)
    page.table.sortByColumn(column, Qt.SortOrder.AscendingOrder)
    assert names(page) == order
    page.table.sortByColumn(column, Qt.SortOrder.DescendingOrder)
    assert names(page)[-1] == order[0]


def test_actions_fit_what_is_chosen(page, three, qtbot):
    show(page, qtbot)
    assert [w.isVisible() for w in (page.open, page.compare, page.duplicate, page.delete)] == [False] * 4
    choose(page, "alpha")
    assert [w.isVisible() for w in (page.open, page.compare, page.duplicate, page.delete)] == [True] * 4
    choose(page, "alpha", "beta")
    assert [w.isVisible() for w in (page.open, page.compare, page.duplicate, page.delete)] == [
        False,
        True,
        False,
        True,
    ]


def test_opening_by_button_double_click_and_key(page, three, qtbot):
    show(page, qtbot)
    choose(page, "gamma")
    for act in (
        page.open.click,
        lambda: page.table.doubleClicked.emit(page.table.filter.index(1, 0)),
        lambda: QTest.keyClick(page.table, Qt.Key.Key_Return),
    ):
        page.table.setFocus()
        with qtbot.waitSignal(page.run_opened) as heard:
            act()
        assert heard.args[0] == three[1]


def test_comparing_and_duplicating(page, three, qtbot):
    show(page, qtbot)
    choose(page, "beta", "alpha")
    with qtbot.waitSignal(page.compare_requested) as heard:
        page.compare.click()
    assert heard.args[0] == [three[0], three[2]]
    choose(page, "beta")
    with qtbot.waitSignal(page.duplicated) as heard:
        page.duplicate.click()
    assert heard.args[0] == three[0].config


def test_deleting_can_be_undone(page, three, qtbot):
    show(page, qtbot)
    choose(page, "beta", "gamma")
    page.table.setFocus()
    QTest.keyClick(page.table, Qt.Key.Key_Delete)
    qtbot.waitUntil(lambda: names(page) == ["alpha"], timeout=3000)
    assert page.undo.isVisible() and page.undo.headline.text() == "Deleted 2 runs"
    page.undo_button.click()
    qtbot.waitUntil(lambda: names(page) == ["beta", "gamma", "alpha"], timeout=3000)
    assert not page.undo.isVisible()


def test_deleting_the_last_run_still_offers_undo(page, store, qtbot):
    write(store, "only", [*begin(50, 50), done(50)])
    show(page, qtbot)
    choose(page, "only")
    page.delete.click()
    qtbot.waitUntil(lambda: page.stack.currentWidget() is page.empty, timeout=3000)
    assert page.undo.isVisible() and page.undo.headline.text() == "Deleted only"
    page.undo_button.click()
    qtbot.waitUntil(lambda: names(page) == ["only"], timeout=3000)


def test_a_live_run_cannot_be_deleted(page, three, qtbot):
    lock = hold(three[0])
    show(page, qtbot)
    choose(page, "beta")
    assert page.delete.isVisible() and not page.delete.isEnabled()
    page.delete_chosen()
    QTest.qWait(100)
    assert three[0].folder.exists()
    lock.release()


def test_renaming(page, three, qtbot, monkeypatch):
    show(page, qtbot)
    choose(page, "gamma")
    monkeypatch.setattr(QInputDialog, "getText", lambda *args, **kwargs: ("better", True))
    page.ask_name()
    qtbot.waitUntil(lambda: "better" in names(page), timeout=3000)
    assert "gamma" not in names(page)


def test_a_refusal_is_told(page, three, qtbot, monkeypatch):
    show(page, qtbot)
    choose(page, "gamma")
    monkeypatch.setattr(QInputDialog, "getText", lambda *args, **kwargs: ("x", True))
    (three[1].folder.with_name(three[1].id.replace("gamma", "x"))).mkdir()
    page.ask_name()
    qtbot.waitUntil(lambda: "already a run" in page.toast.text, timeout=3000)


def test_what_is_chosen_stays_chosen_when_the_list_changes(page, store, three, qtbot):
    show(page, qtbot)
    choose(page, "gamma")
    named(store, "20260105-000000", "newest", begin(50, 5, began=5e8))
    page._list.look()
    qtbot.waitUntil(lambda: len(names(page)) == 4, timeout=3000)
    assert [row.run for row in page.table.chosen()] == [three[1]]


def test_in_sight_it_follows_and_out_of_sight_it_rests(page, three, qtbot):
    show(page, qtbot)
    assert page._list._timer.isActive()
    page.hide()
    assert not page._list._timer.isActive()


def test_it_paints_in_light_and_dark(page, three, theme, qtbot):
    show(page, qtbot)
    choose(page, "beta")
    light = page.grab().toImage()
    theme.set_appearance("dark")
    dark = page.grab().toImage()
    assert light.pixelColor(4, 4).lightness() > 200 > 60 > dark.pixelColor(4, 4).lightness()
    middle = page.table.mapTo(page, page.table.rect().center())
    assert dark.pixelColor(middle).lightness() < 60


def test_rows_that_change_places_are_shown_anew():
    model = RunModel()
    model.show_rows([])
    assert model.rowCount() == 0


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        (0.0, ""),
        (time.mktime((2025, 3, 3, 14, 30, 0, 0, 0, -1)), "3 Mar 2025"),
        (time.mktime((*time.localtime()[:3], 0, 5, 0, 0, 0, -1)), "today 00:05"),
    ],
)
def test_a_day_is_as_short_as_it_is_near(moment, words):
    assert day(moment) == words


def test_a_sparkline_goes_from_its_highest_to_its_lowest():
    image = QImage(100, 40, QImage.Format.Format_RGB32)
    image.fill(QColor("white"))
    painter = QPainter(image)
    draw_sparkline(painter, QRect(5, 5, 90, 30).toRectF(), [3.0, float("nan"), 2.0, 1.0], QColor("blue"))
    painter.end()
    dark = [(x, y) for x in range(100) for y in range(40) if image.pixelColor(x, y).red() < 128]
    assert min(dark)[1] < 10 and max(dark)[1] > 30


@pytest.mark.parametrize("values", [[], [float("nan")], [1.0], [2.0, 2.0]])
def test_a_sparkline_of_little_or_nothing(values):
    image = QImage(100, 40, QImage.Format.Format_RGB32)
    painter = QPainter(image)
    draw_sparkline(painter, QRect(5, 5, 90, 30).toRectF(), values, QColor("blue"))
    painter.end()
