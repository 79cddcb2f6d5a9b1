"""The ways to choose data: a sample, what is on this machine, a file, the Hub; and what is mixed in."""

from __future__ import annotations

import re

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from app.pages.new_run.hub_chooser import HubChooser
from app.pages.new_run.mix_list import MixList
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
        self.mix = Button("Mix in", tip="Add the rows of the file typed here, or of one picked, to those chosen")
        self.mix.clicked.connect(self._mix_in)
        row.addWidget(self.mix)
        self.mixed = MixList(draft, theme)
        self.hub = HubChooser(background, theme)
        self.hub.chose.connect(self._choose)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(hairline())
        column.addWidget(self.options)
        column.addLayout(row)
        column.addWidget(self.mixed)
        column.addWidget(self.hub)
        column.addWidget(
            Label("JSONL, JSON, CSV or Parquet with messages, prompt and completion, or instruction, input and "
                  "output, or other columns that you map; or plain text. A folder or archive of these will do.",
                  "small", wrap=True)
        )  # fmt: skip

    def look(self) -> None:
        """List the bundled samples and what is on this machine."""
        self._background.run(self, _samples, self._list)

    def _list(self, options: list[Option]) -> None:
        self.options.show_options(options, self._draft.config.data.source)

    def _choose(self, source: str) -> None:
        self._draft.set("data.source", source)
        self.chose.emit()

    def _use_path(self) -> None:
        if path := self.path.text().strip():
            self._choose(path)

    def _mix_in(self) -> None:
        """Mix in the path that is typed; without one, a file is picked."""
        path = self.path.text().strip() or QFileDialog.getOpenFileName(self, "Dataset to mix in", "", FILES)[0]
        if path:
            self.mixed.add(path)
            self.path.clear()

    def _pick_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Dataset", "", FILES)
        if path:
            self._choose(path)


def _samples() -> list[Option]:
    """The bundled samples, described by the list in their own README, and the Hub's datasets on this machine.
    Held-out sets are not for training."""
    from core.data.hub_parts import HUB, stored_parts
    from core.data.source import SAMPLE, sample_names

    try:
        text = (RESOURCES / "samples" / "README.md").read_text(encoding="utf-8")
    except OSError:
        text = ""
    words = {match[1]: match[2] for match in re.finditer(r"^- `([\w-]+)\.\w+`: (.+?)\.?$", text, re.MULTILINE)}
    names = [name for name in sample_names() if not name.endswith("-heldout") and name != "README"]
    first = {"poems": 0, "facts": 1, "notes": 2}
    names.sort(key=lambda name: (first.get(name, len(first)), name))
    samples = [Option(f"{SAMPLE}{name}", name, words.get(name, "")) for name in names]
    here = [Option(str(part.source), str(part.source).removeprefix(HUB), "from the Hugging Face Hub")
            for part in stored_parts()]  # fmt: skip
    return samples + here
