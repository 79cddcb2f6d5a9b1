"""What the chosen data holds, in tabs: its rows, what its columns are for, its problems, lengths and split."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QSizePolicy, QStackedWidget, QVBoxLayout, QWidget

from app.pages.new_run.mapping_tab import MappingTab
from app.pages.new_run.problems_tab import ProblemsTab
from app.pages.new_run.rows_tab import RowsTab
from app.pages.new_run.split_tab import SplitTab
from app.state.background import Background
from app.state.chosen_data import ChosenData
from app.state.data_columns import DataColumns
from app.state.data_edits import DataEdits
from app.state.data_statistics import DataStatistics
from app.state.data_survey import DataSurvey
from app.state.draft import Draft
from app.state.preview import Preview
from app.state.problem_export import ProblemExport
from app.state.row_lengths import RowLengths
from app.state.row_reader import RowReader
from app.state.row_search import RowSearch
from app.state.split_sides import SplitSides
from app.theme import Theme
from app.widgets.label import hairline
from app.widgets.tabs import Tabs
from core.data.kinds import LEAKED

if TYPE_CHECKING:
    from app.pages.new_run.lengths_tab import LengthsTab

HEIGHT = 272
ROWS, COLUMNS, PROBLEMS, LENGTHS, SPLIT = range(5)


class DataTabs(QWidget):
    """Hidden while there is nothing to show. The tabs that are opened seldom are built when first opened."""

    def __init__(
        self,
        draft: Draft,
        data: ChosenData,
        preview: Preview,
        lengths: RowLengths,
        background: Background,
        theme: Theme,
    ) -> None:
        super().__init__()
        self._data, self._preview, self._row_lengths = data, preview, lengths
        self.tabs = Tabs(["As the model sees it", "Columns", "Problems", "Lengths", "Split"])
        reader, search = RowReader(data, background), RowSearch(data, background)
        self.rows = RowsTab(draft, data, reader, search, DataEdits(data, background), preview, theme)
        self.problems = ProblemsTab(draft, theme)
        self.problems.opened.connect(self._show_found)
        self.problems.lengths_wanted.connect(lambda: self.tabs.choose(LENGTHS))
        self._export = ProblemExport(draft, preview, background)
        self._export.said.connect(self.problems.say)
        self.problems.export_wanted.connect(self._export.start)
        self.columns = DataColumns(data, background)
        self.columns.changed.connect(self.show_data)
        self.rows.moved.connect(self.columns.show)
        self.stack = QStackedWidget()
        self.stack.setFixedHeight(HEIGHT)
        self._add(self.rows)
        self._add(self.problems)
        self._make_mapping = lambda: MappingTab(draft, data, self.columns, theme)
        self._mapping: MappingTab | None = None
        survey = DataSurvey(draft, data, background)
        sides = SplitSides(data, preview)
        self._make_split = lambda: SplitTab(draft, data, self.columns, sides, reader, theme)
        self._split: SplitTab | None = None
        statistics = DataStatistics(draft, survey, lengths, background)
        self._make_lengths = lambda: _lengths_tab(draft, preview, statistics, theme)
        self._lengths: LengthsTab | None = None
        self.tabs.chosen.connect(self._open)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.tabs, 0, Qt.AlignmentFlag.AlignLeft)
        column.addWidget(hairline())
        column.addSpacing(10)
        column.addWidget(self.stack)
        self._source = data.source
        lengths.changed.connect(self._show_problems)
        preview.judged.connect(self._show_problems)

    @property
    def lengths(self) -> LengthsTab:
        """Numpy, which it needs, is no wait before the first paint."""
        if self._lengths is None:
            self._lengths = self._make_lengths()
            self._add(self._lengths)
        return self._lengths

    @property
    def mapping(self) -> MappingTab:
        if self._mapping is None:
            self._mapping = self._make_mapping()
            self._add(self._mapping)
        return self._mapping

    @property
    def split(self) -> SplitTab:
        if self._split is None:
            self._split = self._make_split()
            self._split.opened.connect(self.show_row)
            self._split.leaks_wanted.connect(self._show_leaks)
            self._split.reasons_wanted.connect(lambda: self.tabs.choose(PROBLEMS))
            self._add(self._split)
        return self._split

    def _add(self, page: QWidget) -> None:
        """A page takes the width there is: none, seen or not, keeps the card from getting narrower."""
        page.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.stack.addWidget(page)

    def show_row(self, number: int) -> None:
        """Open a row, counted from 0, as the model sees it."""
        self.tabs.choose(ROWS)
        self.rows.go_to(number)

    def show_data(self) -> None:
        """Show what is known of the data; columns can be told what they are for without any row."""
        data = self._data
        if data.source != self._source:
            self._source = data.source
            self.tabs.choose(ROWS)
        if data.error and data.rows is None:
            self.columns.look()
            found = self.columns.columns
            can_be_mapped = found is not None and bool(found.columns)
            self.setVisible(can_be_mapped)
            if can_be_mapped:
                self.tabs.enable_only(COLUMNS, "First say what the columns are for.")
                self.tabs.choose(COLUMNS)
        else:
            self.tabs.enable_only(None)
            self.setVisible(data.rows is not None)
        self._show_problems()

    def _open(self, index: int) -> None:
        name = {ROWS: "rows", COLUMNS: "mapping", PROBLEMS: "problems", LENGTHS: "lengths", SPLIT: "split"}[index]
        self.stack.setCurrentWidget(getattr(self, name))
        if index == PROBLEMS:
            self._preview.want_findings()

    def _show_found(self, number: int) -> None:
        """Open a row by its number in Problems. The check counts rows once that a weight repeats; those of a file
        to evaluate on come after all others, and cannot be opened."""
        rows = self._data.rows
        if rows is None:
            return
        if self._preview.findings is None:
            number = rows.seen_at(number) if number < len(rows.once()) else len(rows)
        if number < len(rows):
            self.show_row(number)

    def _show_leaks(self) -> None:
        self.tabs.choose(PROBLEMS)
        self.problems.kinds.choose(LEAKED)

    def _show_problems(self) -> None:
        """What the preview has found, once it has judged every row; until then what the check has, and counts."""
        judged, measured = self._preview.findings, self._preview.measurement
        lengths = self._row_lengths.lengths if measured is not None else None
        if judged is not None:
            self.problems.show_report(judged, None, lengths)
        else:
            self.problems.show_report(self._data.report, measured, lengths)
        num_found = sum(one.num_rows for one in self.problems.findings if one.tone == "no")
        self.tabs.set_count(PROBLEMS, num_found)


def _lengths_tab(draft: Draft, preview: Preview, statistics: DataStatistics, theme: Theme) -> LengthsTab:
    from app.pages.new_run.lengths_tab import LengthsTab

    return LengthsTab(draft, preview, statistics, theme)
