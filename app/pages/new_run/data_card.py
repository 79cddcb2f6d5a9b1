"""The data card: what the chosen file holds, row by row, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from app.pages.new_run.data_chooser import DataChooser
from app.pages.new_run.mapping_tab import MappingTab
from app.pages.new_run.problems_tab import ProblemsTab
from app.pages.new_run.rows_tab import RowsTab
from app.pages.new_run.shapes import TITLES, sureness
from app.pages.new_run.split_tab import LEAK, SplitTab
from app.state.background import Background
from app.state.chosen_data import ChosenData
from app.state.data_columns import DataColumns
from app.state.data_edits import DataEdits
from app.state.data_statistics import DataStatistics
from app.state.draft import Draft
from app.state.preview import Preview
from app.state.problem_export import ProblemExport
from app.state.row_lengths import RowLengths
from app.state.row_reader import RowReader
from app.state.row_search import RowSearch
from app.state.split_sides import SplitSides
from app.theme import Theme, restyle
from app.widgets.button import Button
from app.widgets.card import Card
from app.widgets.label import Label, hairline
from app.widgets.tabs import Tabs
from core.figures import whole

if TYPE_CHECKING:
    from app.pages.new_run.lengths_tab import LengthsTab

HUB = "hub:"
TAB_HEIGHT = 272
ROWS, COLUMNS, PROBLEMS, LENGTHS, SPLIT = range(5)


class DataCard(Card):
    """Shows the rows as soon as the file is open, and the counts once all of it has been checked."""

    def __init__(
        self,
        draft: Draft,
        data: ChosenData,
        preview: Preview,
        lengths: RowLengths,
        background: Background,
        theme: Theme,
    ) -> None:
        super().__init__("Data", " ")
        self.setAcceptDrops(True)
        self._draft, self._data, self._preview_state, self._row_lengths = draft, data, preview, lengths
        self._name = Label("", "strong")
        self.header.insertWidget(1, self._name)
        self._change = Button("Change")
        self._change.clicked.connect(self._toggle)
        self.add_to_header(self._change)
        self.error = Label("", "error", wrap=True)
        self.error.setObjectName("data-error")
        self._make_chooser = lambda: DataChooser(draft, background, theme)
        self._chooser: DataChooser | None = None
        self.tabs = Tabs(["As the model sees it", "Columns", "Problems", "Lengths", "Split"])
        reader, search = RowReader(data, background), RowSearch(data, background)
        edits = DataEdits(data, background)
        self.rows, self.problems = (
            RowsTab(draft, data, reader, search, edits, preview, theme),
            ProblemsTab(draft, theme),
        )
        self.problems.opened.connect(self._show_found)
        self.problems.lengths_wanted.connect(lambda: self.tabs.choose(LENGTHS))
        self._export = ProblemExport(draft, background)
        self._export.said.connect(self.problems.say)
        self.problems.export_wanted.connect(self._export.start)
        self.columns = DataColumns(data, background)
        self.columns.changed.connect(self._show_preview)
        self.rows.moved.connect(self.columns.show)
        self._stack = QStackedWidget()
        self._stack.setFixedHeight(TAB_HEIGHT)
        self._stack.addWidget(self.rows)
        self._stack.addWidget(self.problems)
        self._make_mapping = lambda: MappingTab(draft, data, self.columns, theme)
        self._mapping: MappingTab | None = None
        sides = SplitSides(draft, data, background)
        self._make_split = lambda: SplitTab(draft, data, self.columns, sides, reader, theme)
        self._split: SplitTab | None = None
        statistics = DataStatistics(draft, data, lengths, background)
        self._make_lengths = lambda: _lengths_tab(draft, preview, statistics, theme)
        self._lengths: LengthsTab | None = None
        self.tabs.chosen.connect(self._open_tab)
        self._preview = self._lay_out_preview()
        self._get = Button("Download").set_icon(theme, "download")
        self._get.clicked.connect(self._download)
        beside = QHBoxLayout()
        beside.addWidget(self.error, 1)
        beside.addWidget(self._get, 0, Qt.AlignmentFlag.AlignTop)
        self.body.addLayout(beside)
        self.body.addWidget(self._preview)
        data.changed.connect(self._show)
        lengths.changed.connect(self._show_problems)
        draft.rejected.connect(self._reject)
        self._source = data.source
        self._show()

    def _lay_out_preview(self) -> QWidget:
        preview = QWidget()
        column = QVBoxLayout(preview)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.tabs, 0, Qt.AlignmentFlag.AlignLeft)
        column.addWidget(hairline())
        column.addSpacing(10)
        column.addWidget(self._stack)
        return preview

    @property
    def lengths(self) -> LengthsTab:
        """The fourth tab, built when first opened: numpy, which it needs, is no wait before the first paint."""
        if self._lengths is None:
            self._lengths = self._make_lengths()
            self._stack.addWidget(self._lengths)
        return self._lengths

    @property
    def mapping(self) -> MappingTab:
        """The second tab, built when first opened."""
        if self._mapping is None:
            self._mapping = self._make_mapping()
            self._stack.addWidget(self._mapping)
        return self._mapping

    @property
    def split(self) -> SplitTab:
        """The last tab, built when first opened."""
        if self._split is None:
            self._split = self._make_split()
            self._split.opened.connect(self.show_row)
            self._split.leaks_wanted.connect(self._show_leaks)
            self._stack.addWidget(self._split)
        return self._split

    def _show_leaks(self) -> None:
        self.tabs.choose(PROBLEMS)
        self.problems.kinds.choose(LEAK)

    def _open_tab(self, index: int) -> None:
        name = {ROWS: "rows", COLUMNS: "mapping", PROBLEMS: "problems", LENGTHS: "lengths", SPLIT: "split"}[index]
        self._stack.setCurrentWidget(getattr(self, name))

    def _show_found(self, number: int) -> None:
        """Open a row by its number in the report, which counts rows once that a weight repeats."""
        if self._data.rows is not None:
            self.show_row(self._data.rows.seen_at(number))

    def show_row(self, number: int) -> None:
        """Open a row, counted from 0, as the model sees it."""
        self.tabs.choose(0)
        self.rows.go_to(number)

    @property
    def chooser(self) -> DataChooser:
        """The ways to choose, built when first asked for."""
        if self._chooser is None:
            self._chooser = self._make_chooser()
            self._chooser.hide()
            self._chooser.chose.connect(self._collapse)
            self._chooser.hub.chose.connect(self._look_again)
            self.body.insertWidget(1, self._chooser)
        return self._chooser

    def _look_again(self, source: str) -> None:
        """Data that was missing has been downloaded."""
        if source == self._data.source and self._data.error:
            self._data.look_again()

    def _toggle(self) -> None:
        if self.chooser.isHidden():
            self.chooser.look()
            self.chooser.show()
            self._change.setText("Close")
        else:
            self._collapse()

    def _download(self) -> None:
        """The remedy beside the error: fetch the data that the draft already names."""
        if self.chooser.isHidden():
            self._toggle()
        self.chooser.hub.fetch(self._data.source)

    def _collapse(self) -> None:
        self.chooser.hide()
        self._change.setText("Change")

    def _reject(self, path: str, message: str) -> None:
        if path == "data.source":
            self._show_error(message)

    def _show_error(self, sentence: str) -> None:
        self.error.setText(sentence)
        self.error.setVisible(bool(sentence))
        self._get.setVisible(bool(sentence) and self._data.source.startswith(HUB))
        restyle(self, state="wrong" if sentence else "")

    def _show(self) -> None:
        data = self._data
        if data.source != self._source:
            self._source = data.source
            self.tabs.choose(0)
        self._show_error(data.error)
        num_more = len(self._draft.config.data.more)
        self._name.setText(_short(data.source) + (f" + {num_more} more" if num_more else ""))
        self._show_preview()
        if data.error:
            self.set_summary("cannot be used")
        elif data.rows is None:
            self.set_summary("reading …")
        elif data.report is None:
            share = f" {data.checked_share:.0%}" if data.checked_share else ""
            self.set_summary(f"{_format(data)} · {whole(len(data.rows))} rows, checking{share} …")
        else:
            self.set_summary(_in_words(data))
        self._show_problems()

    def _show_preview(self) -> None:
        """The tabs, once there is something to show; columns can be told what they are for without any row."""
        data = self._data
        if data.error and data.rows is None:
            self.columns.look()
            found = self.columns.columns
            can_be_mapped = found is not None and bool(found.columns)
            self._preview.setVisible(can_be_mapped)
            if can_be_mapped:
                self.tabs.choose(COLUMNS)
        else:
            self._preview.setVisible(data.rows is not None)

    # A file or folder dropped on the card is the data; a folder that holds a model is left to the page.

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if _dropped(event):
            event.acceptProposedAction()
            restyle(self, state="drop")
        else:
            event.ignore()

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        restyle(self, state="wrong" if self._data.error else "")

    def dropEvent(self, event: QDropEvent) -> None:
        restyle(self, state="wrong" if self._data.error else "")
        if path := _dropped(event):
            event.acceptProposedAction()
            self._draft.set("data.source", str(path))

    def _show_problems(self) -> None:
        measured = self._preview_state.measurement
        lengths = self._row_lengths.lengths if measured is not None else None
        self.problems.show_report(self._data.report, measured, lengths)
        num_found = sum(one.num_rows for one in self.problems.findings if one.tone == "no")
        self.tabs.set_count(PROBLEMS, num_found)


def _dropped(event: QDropEvent) -> Path | None:
    urls = event.mimeData().urls()
    path = Path(urls[0].toLocalFile()) if len(urls) == 1 and urls[0].isLocalFile() else None
    return None if path is None or (path / "config.json").is_file() else path


def _lengths_tab(draft: Draft, preview: Preview, statistics: DataStatistics, theme: Theme) -> LengthsTab:
    from app.pages.new_run.lengths_tab import LengthsTab

    return LengthsTab(draft, preview, statistics, theme)


def _in_words(data: ChosenData) -> str:
    report = data.report
    assert report is not None
    used = f"{whole(report.num_used)} rows"
    if report.num_used != report.num_rows:
        used = f"{whole(report.num_used)} rows used of {whole(report.num_rows)}"
    return f"{_format(data)} · {used}"


def _format(data: ChosenData) -> str:
    """What the rows are, with a doubt where there is one."""
    assert data.rows is not None
    layout = data.rows.layout
    sure = sureness(layout.confidence)
    return TITLES.get(layout.format, layout.format) + (f" ({sure})" if sure != "sure" else "")


def _short(source: str) -> str:
    name = source.replace("\\", "/").rpartition("/")[2].removeprefix("sample:").removeprefix(HUB)
    return name if len(name) <= 36 else f"{name[:17]}…{name[-18:]}"
