"""The problems of the data: counted by kind, each row opened by a press, and what a run does with them chosen."""

from __future__ import annotations

import json

import pytest
from PySide6.QtCore import QPoint, Qt

from app.pages.new_run.data_tabs import PROBLEMS, SPLIT, DataTabs
from app.pages.new_run.findings import findings
from app.pages.new_run.problems_tab import ProblemsTab
from app.state.chosen_data import ChosenData
from app.state.chosen_model import ChosenModel
from app.state.draft import Draft
from app.state.preview import Preview
from app.state.problem_export import ProblemExport
from app.state.row_lengths import RowLengths
from app.widgets.row_list import LINE_HEIGHT
from core.config import DataSection, RunConfig
from core.data.check import check
from core.data.kinds import LONG
from core.data.lengths import Lengths
from core.data.rows import open_rows
from core.preview import Measured

WAIT_MS = 60_000  # a busy machine is no failure


@pytest.fixture
def report(tmp_path):
    rows = [{"prompt": f"Ask {n}", "completion": f"Answer {n}"} for n in range(200)]
    rows[5]["completion"] = ""
    rows[9]["completion"] = ""
    rows[20] = rows[21]
    del rows[7]["completion"]
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return check(DataSection(source=str(path)))


@pytest.fixture
def tab(report, theme, qtbot):
    tab = ProblemsTab(Draft(), theme)
    qtbot.addWidget(tab)
    tab.resize(600, 270)
    tab.show()
    tab.show_report(report)
    return tab


def measured(**values) -> Measured:
    known = {"num_rows": 200, "num_measured": 100, "num_refused": 2, "lengths": {40: 90, 600: 10}, "width": 1}
    return Measured(**{**known, "trained_at": (0,) * 600, "reasons": {}, "is_split": False, **values})


def test_kinds_are_counted_and_their_rows_listed_with_line_and_reason(tab):
    kinds = {line.count.key: line.count.number for line in tab.kinds.lines if not line.isHidden()}
    assert kinds == {"empty answer": "2", "missing field": "1", "repeats another row": "1"}
    assert list(tab.list.numbers) == [5, 9]
    assert tab.list._name_of(5) == "Line 6" and tab.list._line_of(5).words == "completion is empty"
    tab.kinds.choose("missing field")
    assert list(tab.list.numbers) == [7] and "has no completion" in tab.list._line_of(7).words


def test_a_press_or_enter_opens_the_row(tab, qtbot):
    opened = []
    tab.opened.connect(opened.append)
    place = QPoint(100, LINE_HEIGHT + 5)
    qtbot.mouseClick(tab.list.viewport(), Qt.MouseButton.LeftButton, pos=place)
    qtbot.keyClick(tab.list, Qt.Key.Key_Up)
    qtbot.keyClick(tab.list, Qt.Key.Key_Return)
    assert opened == [9, 5]


def test_what_a_run_does_with_them_is_chosen_where_they_are_counted(tab):
    draft = tab._draft
    policies = {}
    for line in tab.kinds.lines:
        tab.kinds.choose(line.count.key)
        policies[line.count.key] = tab.policy.objectName()
        assert tab.policy.currentData() == draft.config.value(tab.policy.objectName())
    assert policies == {
        "empty answer": "data.on_no_answer", "missing field": "data.on_invalid",
        "repeats another row": "data.on_duplicate",
    }  # fmt: skip
    tab.policy.setCurrentIndex(tab.policy.findText("Stop the run"))
    tab.policy.activated.emit(tab.policy.currentIndex())
    assert draft.config.data.on_duplicate == "stop"
    draft.undo()
    assert tab.policy.currentText() == "Use them"


def test_what_the_limit_cuts_and_the_template_refuses_is_counted_too(report):
    counted = measured(reasons={"empty answer": 2, "unclear where the answer begins": 3})
    found = {one.kind: one for one in findings(report, counted, Lengths.of(counted), 512)}
    assert found["unclear where the answer begins"].num_rows == 6, "of a sample of half"
    assert found["unclear where the answer begins"].is_about and not found["empty answer"].is_about
    assert found[LONG].num_rows == 20 and "1,760 tokens" in found[LONG].words
    assert LONG not in {one.kind for one in findings(report, counted, Lengths.of(counted), 600)}


def test_all_problems_are_written_to_a_file(report, background, qtbot, tmp_path):
    draft = Draft(RunConfig().with_value("data.source", report.source))
    preview = Preview(draft, ChosenModel(draft, background), ChosenData(draft, background))
    export, said = ProblemExport(draft, preview, background), []
    export.said.connect(lambda words, failed: said.append((words, failed)))
    export.start(tmp_path / "all.jsonl")
    qtbot.waitUntil(lambda: any("lines are in all.jsonl" in words for words, _ in said), timeout=60_000)
    written = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert [(one["row"], one["kind"]) for one in written if not one["is_used"]] == [
        (6, "empty answer"), (8, "missing field"), (10, "empty answer"),
    ]  # fmt: skip
    export.start(tmp_path / "all.txt")
    qtbot.waitUntil(lambda: said[-1][1], timeout=60_000)
    assert "neither .csv nor .jsonl" in said[-1][0]


def test_a_report_counts_rows_once_and_finds_them_where_they_are_seen(tmp_path):
    for name, count in (("a", 3), ("b", 4)):
        rows = [{"prompt": f"{name} {n}", "completion": "" if n == 2 else "ok"} for n in range(count)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    first, then = str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")
    for more in ((), (then,), (f"3*{then}",), (f"0.5*{then}", f"2*{then}")):
        rows, report = open_rows(first, more), check(DataSection(source=first, more=more))
        assert report.problems
        for problem in report.problems:
            row = rows[rows.seen_at(problem.row)]
            name = f"{problem.file}: " if problem.file else ""
            assert (row.line, row.reason) == (problem.line, name + problem.reason), more


def test_data_without_a_problem_says_so(theme, qtbot):
    tab = ProblemsTab(Draft(RunConfig()), theme)
    qtbot.addWidget(tab)
    assert tab.nothing.text() == "Checking …"
    tab.show_report(
        check(DataSection(source="sample:poems")).model_copy(update={"remark_counts": {}, "remarks": []})
    )
    assert tab.nothing.text().startswith("Every row can be used") and tab._stack.currentIndex() == 0


def test_what_only_the_model_tells_has_lines_a_policy_and_stands_in_the_plan(background, theme, qtbot, tmp_path):
    rows = [
        {"prompt": f"Ask {n}", "completion": "A fox had a hat. " * (30 if n % 10 == 0 else 1)} for n in range(60)
    ]
    path, target = tmp_path / "a.jsonl", tmp_path / "all.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    draft = Draft(RunConfig().with_values({"data.source": str(path), "data.max_length": 64}))
    model, data = ChosenModel(draft, background), ChosenData(draft, background)
    preview = Preview(draft, model, data)
    try:
        lengths = RowLengths(model, data, preview, background)
        tabs = DataTabs(draft, data, preview, lengths, background, theme)
        qtbot.addWidget(tabs)
        tabs.resize(900, 300)
        tabs.show()
        preview.want(0)
        tabs.tabs.choose(PROBLEMS)
        qtbot.waitUntil(lambda: preview.findings is not None, timeout=WAIT_MS)
        tabs.problems.kinds.choose(LONG)
        assert list(tabs.problems.list.numbers) == [0, 10, 20, 30, 40, 50]
        assert "over the limit" in tabs.problems._line(10).words
        assert tabs.problems.policy.objectName() == "data.on_long"
        draft.set("data.on_long", "skip")
        qtbot.waitUntil(lambda: preview.findings.skipped == {LONG: 6}, timeout=WAIT_MS)
        assert lengths.findings.num_used == 54
        tabs.tabs.choose(SPLIT)
        assert tabs.split._sides.split.num_left == 6 and "6 rows are left out" in tabs.split.left.text()
        assert not tabs.split.doubt.text(), "what the tokens tell is in these figures"
        export, said = ProblemExport(draft, preview, background), []
        export.said.connect(lambda words, failed: said.append((words, failed)))
        export.start(target)
        qtbot.waitUntil(lambda: bool(said), timeout=WAIT_MS)
        assert said == [("6 lines are in all.jsonl", False)]
        assert {json.loads(line)["kind"] for line in target.read_text().splitlines()} == {LONG}
        draft.set("data.on_long", "stop")
        qtbot.waitUntil(lambda: "line 1: has" in preview.findings.stop, timeout=WAIT_MS)
        draft.set("data.max_length", 512)
        qtbot.waitUntil(lambda: preview.findings.remark_counts == {}, timeout=WAIT_MS)
        draft.set("data.holdout_source", str(tmp_path / "missing.jsonl"))
        qtbot.waitUntil(lambda: "does not exist" in tabs.split.error.text(), timeout=WAIT_MS)
        assert tabs.split._sides.split == data.report.split and tabs.split.doubt.text(), (
            "not what was judged before"
        )
    finally:
        preview.close()
