"""A dataset from the Hugging Face Hub: found by words, one part of it looked at, and downloaded."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from app.pages.new_run.download_row import DownloadRow
from app.state.background import Background
from app.state.download import Download
from app.state.hub_datasets import HubDatasets
from app.theme import Theme
from app.widgets.button import Button
from app.widgets.combo import Combo
from app.widgets.label import ElidedLabel, Label
from app.widgets.option_list import Option, OptionList
from core.figures import size, whole

MOST_WORDS = 160


class HubChooser(QWidget):
    """`chose` carries the source of a part that is on this machine."""

    chose = Signal(str)

    def __init__(self, background: Background, theme: Theme) -> None:
        super().__init__()
        self.hub = HubDatasets(background)
        self.download = Download("data")
        self.query = QLineEdit()
        self.query.setPlaceholderText("Search Hugging Face, or type a name such as openai/gsm8k")
        self.query.setAccessibleName("Search datasets on the Hugging Face Hub")
        self.query.returnPressed.connect(self._search)
        self.button = Button("Search").set_icon(theme, "search")
        self.button.clicked.connect(self._search)
        self.results = OptionList(theme, "Datasets on the Hub")
        self.results.chosen.connect(self.hub.look)
        self.name = ElidedLabel("", "strong")
        self.parts = Combo()
        self.parts.setFixedHeight(32)
        self.parts.setAccessibleName("Part of the dataset")
        self.parts.activated.connect(lambda place: self.hub.choose(self.hub.parts[place]))
        self.get = Button("Download", "primary")
        self.get.clicked.connect(self._get)
        self.rows = Label("", "small", wrap=True)
        self.note = Label("", "small", wrap=True)
        self.error = Label("", "error", wrap=True)
        self.progress = DownloadRow(self.download)
        self._part = QWidget()
        self._lay_out()
        self.hub.changed.connect(self._show)
        self.download.changed.connect(self._show)
        self.download.finished.connect(self.chose)
        self.download.failed.connect(self._fail)
        self._show()

    def _lay_out(self) -> None:
        top = QHBoxLayout()
        top.setSpacing(8)
        top.addWidget(self.query, 1)
        top.addWidget(self.button)
        part = QHBoxLayout(self._part)
        part.setContentsMargins(0, 0, 0, 0)
        part.setSpacing(8)
        part.addWidget(self.name, 1)
        part.addWidget(self.parts, 1)
        part.addWidget(self.get)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addLayout(top)
        for widget in (self.note, self.error, self.results, self._part, self.rows, self.progress):
            column.addWidget(widget)

    def fetch(self, source: str) -> None:
        """Download a part by its source, as when the draft names one that is not here."""
        self._fail("")
        self.download.start(source)

    def _search(self) -> None:
        words = self.query.text().strip()
        if words:
            self.hub.look(words) if "/" in words else self.hub.search(words)

    def _get(self) -> None:
        part = self.hub.part
        if part is not None:
            source = str(part.source)
            self.chose.emit(source) if source in self.hub.stored else self.fetch(source)

    def _fail(self, sentence: str) -> None:
        self.error.setText(sentence)
        self.error.setVisible(bool(sentence))

    def _show(self) -> None:
        hub, part = self.hub, self.hub.part
        found = hub.found or []
        words = hub.doing or ("Nothing is called so; try other words." if hub.found == [] else "")
        self.note.setText(words)
        self.note.setVisible(bool(words))
        self._fail(hub.error or ("" if hub.doing else self.error.text()))
        options = [
            Option(one.name, one.name, one.about, _note(one.rows, one.downloads, one.is_gated)) for one in found
        ]
        self.results.show_options(options, part.source.name if part else "")
        self.results.setVisible(bool(found) and part is None)
        self._part.setVisible(part is not None)
        self.progress.setVisible(self.download.is_running)
        self.rows.setVisible(hub.preview is not None)
        if part is None:
            return
        self.name.setText(part.source.name)
        titles = [f"{one.source.config} · {one.source.split} · {size(one.num_bytes)}" for one in hub.parts]
        if [self.parts.itemText(place) for place in range(self.parts.count())] != titles:
            self.parts.clear()
            self.parts.addItems(titles)
        self.parts.setCurrentIndex(hub.parts.index(part))
        self.get.setText("Use it" if str(part.source) in hub.stored else "Download")
        self.get.setEnabled(not self.download.is_running)
        if hub.preview is not None:
            self.rows.setText("\n".join(_in_words(hub.preview.trees, hub.preview.reason)))


def _note(rows: str, downloads: int, is_gated: bool) -> str:
    parts = [f"{rows} rows" if rows else "", f"{whole(downloads)} downloads", "asks for terms" if is_gated else ""]
    return " · ".join(filter(None, parts))


def _in_words(trees: list[dict], reason: str) -> list[str]:
    """The first rows, a line each, and why they make no sense yet where they do not."""
    from core.data.columns import as_sample

    lines = [
        " · ".join(f"{name}: {as_sample(value)[:MOST_WORDS]}" for name, value in tree.items()) for tree in trees
    ]
    shown = [line if len(line) <= 2 * MOST_WORDS else f"{line[: 2 * MOST_WORDS]}…" for line in lines]
    return [*shown, "Its columns can be mapped once it is here."] if reason else shown
