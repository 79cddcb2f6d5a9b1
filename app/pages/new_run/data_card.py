"""The data card: one line about the chosen data, what it holds in tabs, and the ways to choose another."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent

from app.pages.new_run.choice_card import ChoiceCard
from app.pages.new_run.data_chooser import DataChooser
from app.pages.new_run.data_tabs import DataTabs
from app.pages.new_run.shapes import TITLES, sureness
from app.state.background import Background
from app.state.chosen_data import ChosenData
from app.state.draft import Draft
from app.state.preview import Preview
from app.state.row_lengths import RowLengths
from app.theme import Theme, restyle
from core.figures import whole

HUB = "hub:"


class DataCard(ChoiceCard[DataChooser]):
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
        super().__init__("Data", theme)
        self.setAcceptDrops(True)
        self._draft, self._data = draft, data
        self._new_chooser = lambda: DataChooser(draft, background, theme)
        self.contents = DataTabs(draft, data, preview, lengths, background, theme)
        self.body.addWidget(self.contents)
        data.changed.connect(self._show)
        data.progressed.connect(self._show_state)
        draft.rejected.connect(self._reject)
        self._show()

    def _make_chooser(self) -> DataChooser:
        chooser = self._new_chooser()
        chooser.chose.connect(self._collapse)
        chooser.hub.chose.connect(self._look_again)
        return chooser

    def _expand(self) -> None:
        super()._expand()
        self.chooser.look()

    def _look_again(self, source: str) -> None:
        """Data that was missing has been downloaded."""
        if source == self._data.source and self._data.error:
            self._data.look_again()

    def _download(self) -> None:
        self._expand()
        self.chooser.hub.fetch(self._data.source)

    def _reject(self, path: str, message: str) -> None:
        if path == "data.source":
            self._show_error(message, can_be_fetched=self._data.source.startswith(HUB))

    def _show(self) -> None:
        data = self._data
        self._show_error(data.error, can_be_fetched=data.source.startswith(HUB))
        num_more = len(self._draft.config.data.more)
        self._name_it(_short(data.source) + (f" + {num_more} more" if num_more else ""))
        self.contents.show_data()
        self._show_state()

    def _show_state(self) -> None:
        """How far it is, or what came of it."""
        data = self._data
        if data.error:
            self.set_summary("cannot be used")
        elif data.rows is None:
            share = f" {data.opened_share:.0%}" if data.opened_share else ""
            self.set_summary(f"{(data.opening or 'Reading').lower()}{share} …")
        elif data.report is None:
            share = f" {data.checked_share:.0%}" if data.checked_share else ""
            self.set_summary(f"{_format(data)} · {whole(len(data.rows))} rows, checking{share} …")
        else:
            self.set_summary(_in_words(data))

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


def _dropped(event: QDropEvent) -> Path | None:
    urls = event.mimeData().urls()
    path = Path(urls[0].toLocalFile()) if len(urls) == 1 and urls[0].isLocalFile() else None
    return None if path is None or (path / "config.json").is_file() else path


def _in_words(data: ChosenData) -> str:
    report = data.report
    assert report is not None
    used = f"{whole(report.num_used)} rows"
    if report.num_used != report.num_rows:
        used = f"{whole(report.num_used)} rows used of {whole(report.num_rows)}"
    passed = f" · {report.passed_in_words[:1].lower()}{report.passed_in_words[1:].rstrip('.')}"
    return f"{_format(data)} · {used}" + passed * bool(report.passed)


def _format(data: ChosenData) -> str:
    """What the rows are, with a doubt where there is one."""
    assert data.rows is not None
    layout = data.rows.layout
    sure = sureness(layout.confidence)
    return TITLES.get(layout.format, layout.format) + (f" ({sure})" if sure != "sure" else "")


def _short(source: str) -> str:
    return source.replace("\\", "/").rpartition("/")[2].removeprefix("sample:").removeprefix(HUB)
