"""The split in the window: each way of holding rows out, how many they are, and which."""

from __future__ import annotations

import json

import pytest

from app.pages.new_run.split_tab import SplitTab
from app.state.chosen_data import ChosenData
from app.state.chosen_model import ChosenModel
from app.state.data_columns import DataColumns
from app.state.draft import Draft
from app.state.preview import Preview
from app.state.row_reader import RowReader
from app.state.split_sides import SplitSides
from core.config import RunConfig

WAIT_MS = 60_000


@pytest.fixture
def tab(tmp_path, background, theme, qtbot) -> SplitTab:
    rows = [
        {"prompt": f"Ask {n % 95}", "completion": f"Answer {n}", "split": "test" if n < 7 else "train"}
        for n in range(100)
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    draft = Draft(RunConfig().with_values({"data.source": str(path), "data.holdout": 0.2}))
    data = ChosenData(draft, background)
    preview = Preview(draft, ChosenModel(draft, background), data)
    reader, sides = RowReader(data, background), SplitSides(data, preview)
    tab = SplitTab(draft, data, DataColumns(data, background), sides, reader, theme)
    qtbot.addWidget(tab)
    tab.resize(600, 270)
    tab.show()
    qtbot.waitUntil(lambda: sides.split is not None and data.report is not None, timeout=WAIT_MS)
    qtbot.waitUntil(lambda: tab.column.count() == 4, timeout=WAIT_MS)
    return tab


def take(tab: SplitTab, way: str) -> None:
    tab.way.setCurrentIndex(tab.way.findData(way))
    tab.way.activated.emit(tab.way.currentIndex())


def counted(tab: SplitTab, qtbot, words: str) -> None:
    qtbot.waitUntil(lambda: words in tab.counts.text(), timeout=WAIT_MS)


def test_both_sides_are_counted_and_follow_the_share(tab, qtbot):
    split = tab._sides.split
    assert f"{split.num_trained} rows are trained, {split.num_held} are held out" in tab.counts.text()
    assert tab.bar.share == split.num_held / 100 and list(tab.list.numbers) == sorted(split.asked)
    qtbot.waitUntil(lambda: tab._line(tab.list.numbers[0]) is not None, timeout=WAIT_MS)
    tab._draft.set("data.holdout", 0.5)
    qtbot.waitUntil(lambda: tab._sides.split is not None and tab._sides.split.num_held > 30, timeout=WAIT_MS)


def test_only_rows_that_are_used_are_on_a_side_and_the_others_lead_to_their_reasons(tab, qtbot):
    draft = tab._draft
    before = tab._sides.split
    assert (before.num_left, tab.left.isHidden()) == (0, True)
    draft.set("data.on_conflict", "skip")  # five prompts are there twice, with other answers
    qtbot.waitUntil(lambda: tab._sides.split.num_left == 5, timeout=WAIT_MS)
    split = tab._sides.split
    assert split.num_trained + split.num_held == 95 and tab.left.text() == "5 rows are left out: see why"
    assert f"{split.num_trained} rows are trained" in tab.counts.text()
    with qtbot.waitSignal(tab.reasons_wanted):
        tab.left.click()
    assert "is counted once the model's tokenizer is here" in tab.doubt.text(), "no model is chosen in this test"


def test_leaks_are_stated(tab, qtbot):
    num_leaks = tab._data.report.remark_counts.get("trained and held out", 0)
    assert num_leaks > 0, "five prompts are there twice"
    assert tab.leak.text().startswith(f"{num_leaks} held-out rows") and not tab.leak.isHidden()


def test_a_column_or_a_file_holds_rows_out_and_none_says_what_that_means(tab, qtbot, tmp_path):
    draft = tab._draft
    take(tab, "column")
    assert draft.config.data.split_column == "split"
    counted(tab, qtbot, "93 rows are trained, 7 are held out")
    assert list(tab.list.numbers) == list(range(7))
    take(tab, "file")
    assert draft.config.data.split_column == "" and not tab.path.isHidden(), "the file is not named yet"
    apart = tmp_path / "apart.jsonl"
    apart.write_text('{"prompt": "Ask", "completion": "Answer"}\n' * 3)
    tab.path.setText(str(apart))
    tab.path.editingFinished.emit()
    counted(tab, qtbot, "100 rows are trained, 3 are held out")
    draft.set("data.holdout_source", str(tmp_path / "missing.jsonl"))
    qtbot.waitUntil(lambda: "does not exist" in tab.error.text() and not tab.error.isHidden(), timeout=WAIT_MS)
    take(tab, "none")
    assert (draft.config.data.holdout, draft.config.data.holdout_source) == (0, "")
    counted(tab, qtbot, "none is held out")
    take(tab, "share")
    assert draft.config.data.holdout == 0.05
    draft.undo()
    assert tab.way.currentData() == "none"


def test_columns_to_stratify_and_group_by_are_those_of_the_data(tab):
    assert [tab.group.itemText(place) for place in range(4)] == ["none", "prompt", "completion", "split"]
    tab.group.setCurrentIndex(1)
    tab.group.activated.emit(1)
    assert tab._draft.config.data.group_by == "prompt"
