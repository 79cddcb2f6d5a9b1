"""The ways to choose data: a bundled sample, a file, or a file dropped on the page."""

from __future__ import annotations

import re

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from app.state.background import Background
from app.state.draft import Draft
from app.theme import Theme
from app.widgets.button import Button
from app.widgets.label import Label, hairline
from app.widgets.option_list import Option, OptionList
from core.places import RESOURCES

FILES = "Datasets (*.jsonl *.ndjson *.json *.csv *.tsv *.parquet *.arrow *.txt *.md *.gz *.zip);;All files (*)"


class DataChooser(QWidget):
    """Sets the draft's data source."""

    chose = Signal()

    def __init__(self, draft: Draft, background: Background, theme: Theme) -> None:
        super().__init__()
        self._draft, self._background = draft, background
        self.options = OptionList(theme, "Bundled samples")
        self.options.chosen.connect(self._choose)
        self._open = Button("Open a file …").set_icon(theme, "file")
        self._open.clicked.connect(self._pick_file)
        self.path = QLineEdit()
        self.path.setObjectName("data.source")
        self.path.setPlaceholderText("or type a path, or drop a file anywhere on this page")
        self.path.setAccessibleName("Path of a data file")
        self.path.returnPressed.connect(self._use_path)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self._open)
        row.addWidget(self.path, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(hairline())
        column.addWidget(self.options)
        column.addLayout(row)
        column.addWidget(
            Label("JSONL, JSON, CSV or Parquet with messages, prompt and completion, or instruction, input and "
                  "output; or plain text. A folder or archive of these will do.", "small", wrap=True)
        )  # fmt: skip

    def look(self) -> None:
        """List the bundled samples."""
        self._background.run(self, _samples, self._list)

    def _list(self, options: list[Option]) -> None:
        self.options.show_options(options, self._draft.config.data.source)

    def _choose(self, source: str) -> None:
        self._draft.set("data.source", source)
        self.chose.emit()

    def _use_path(self) -> None:
        if path := self.path.text().strip():
            self._choose(path)

    def _pick_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Dataset", "", FILES)
        if path:
            self._choose(path)


def _samples() -> list[Option]:
    """The bundled samples, described by the list in their own README; held-out sets are not for training."""
    from core.data.source import SAMPLE, sample_names

    try:
        text = (RESOURCES / "samples" / "README.md").read_text(encoding="utf-8")
    except OSError:
        text = ""
    words = {match[1]: match[2] for match in re.finditer(r"^- `([\w-]+)\.\w+`: (.+?)\.?$", text, re.MULTILINE)}
    names = [name for name in sample_names() if not name.endswith("-heldout") and name != "README"]
    first = {"poems": 0, "facts": 1, "notes": 2}
    names.sort(key=lambda name: (first.get(name, len(first)), name))
    return [Option(f"{SAMPLE}{name}", name, words.get(name, "")) for name in names]
