"""Which rows are kept aside to evaluate on: by share, by a column, or a file of their own; how many those are, and
how many a run trains on and leaves out."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent, QShowEvent
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from app.pages.new_run.data_chooser import FILES
from app.pages.new_run.row_browser import line_of
from app.state.chosen_data import ChosenData
from app.state.data_columns import DataColumns
from app.state.draft import Draft
from app.state.row_reader import RowReader
from app.state.split_sides import SplitSides
from app.theme import Theme
from app.widgets import words
from app.widgets.button import Button
from app.widgets.combo import Combo
from app.widgets.form import Form
from app.widgets.label import ElidedLabel, Label, set_tooltip
from app.widgets.row_list import Line, RowList
from app.widgets.share_bar import ShareBar
from core.config import RunConfig, field_at
from core.figures import whole

NARROW, WIDE = 150, 300
GAP = 6
"""Above the name of a choice, besides the space between any two widgets."""
USUAL_SHARE = 0.05
WAYS = [("A share of the rows", "share"), ("What a column says", "column"), ("A file of their own", "file"),
        ("No rows", "none")]  # fmt: skip


class SplitTab(QWidget):
    """`opened` carries the number of a held-out row that a person wants to see."""

    opened = Signal(int)
    leaks_wanted = Signal()
    reasons_wanted = Signal()
    """Why rows are left out."""

    def __init__(
        self,
        draft: Draft,
        data: ChosenData,
        columns: DataColumns,
        sides: SplitSides,
        reader: RowReader,
        theme: Theme,
    ) -> None:
        super().__init__()
        self._draft, self._data, self._columns, self._sides, self._reader = draft, data, columns, sides, reader
        self._way = ""
        self.way = Combo(WAYS)
        self.way.setFixedHeight(32)
        self.way.setAccessibleName("Rows that are held out")
        self.way.activated.connect(lambda _: self._take_way(self.way.currentData()))
        self.share = Form(draft, theme, self).add("data.holdout", name="Share")
        self.column = self._column_combo("data.split_column")
        self.stratify = self._column_combo("data.stratify_by")
        self.group = self._column_combo("data.group_by")
        self.path = QLineEdit()
        self.path.setObjectName("data.holdout_source")
        self.path.setPlaceholderText("path of a data file")
        self.path.setAccessibleName(words.label("data.holdout_source"))
        self.path.editingFinished.connect(self._use_path)
        self.browse = Button("Open …")
        self.browse.clicked.connect(self._pick_file)
        self.bar = ShareBar(theme)
        self.counts = Label("", wrap=True)
        self.error = Label("", "error", wrap=True)
        self.left = Button("", "link")
        self.left.clicked.connect(lambda: self.reasons_wanted.emit())
        self.doubt = Label("", "small", wrap=True)
        self.leak = Button("", "link")
        self.leak.clicked.connect(lambda: self.leaks_wanted.emit())
        self.caption = ElidedLabel("", "small")
        self.list = RowList(theme, self._line)
        self.list.setAccessibleName("The first held-out rows; Enter shows one as the model sees it")
        self.list.sighted.connect(lambda numbers: reader.want(numbers) if self.isVisible() else None)
        self.list.opened.connect(self.opened)
        self._lay_out()
        reader.arrived.connect(self.list.look_again)
        for state in (draft, data, columns, sides):
            state.changed.connect(self._show)
        draft.rejected.connect(self._reject)
        self._show()

    def _lay_out(self) -> None:
        left = QVBoxLayout()
        left.setSpacing(4)
        left.addWidget(Label("Hold out", "small"))
        left.addWidget(self.way)
        self._boxes: dict[str, QWidget] = {"share": self.share, "column": _named("Column", self.column)}
        file = QWidget()
        line = QHBoxLayout(file)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(6)
        line.addWidget(self.path, 1)
        line.addWidget(self.browse)
        self._boxes["file"] = _named("File", file)
        self._fine = (
            _named("Keep the shares of", self.stratify),
            _named("Keep together what is equal in", self.group),
        )
        for box in (*self._boxes.values(), *self._fine):
            box.setContentsMargins(0, GAP, 0, 0)
            left.addWidget(box)
        left.addStretch()
        self._left = QWidget()
        self._left.setLayout(left)
        left.setContentsMargins(0, 0, 0, 0)
        right = QVBoxLayout()
        right.setSpacing(8)
        right.addWidget(self.counts)
        right.addWidget(self.bar)
        right.addWidget(self.error)
        right.addWidget(self.left, 0, Qt.AlignmentFlag.AlignLeft)
        right.addWidget(self.leak, 0, Qt.AlignmentFlag.AlignLeft)
        right.addWidget(self.doubt)
        right.addWidget(self.caption)
        right.addWidget(self.list, 1)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(16)
        row.addWidget(self._left)
        row.addLayout(right, 1)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._columns.look()
        self._sides.look()
        self._reader.want(list(self.list.numbers[:40]))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._left.setFixedWidth(min(max(NARROW, self.width() * 36 // 100), WIDE))

    def _column_combo(self, path: str) -> Combo:
        combo = Combo([("none", "")])
        combo.setObjectName(path)
        combo.setFixedHeight(32)
        combo.setAccessibleName(words.label(path))
        set_tooltip(combo, field_at(self._draft.config, path).description or "")
        combo.activated.connect(lambda _: self._draft.set(path, combo.currentData()))
        return combo

    # What is shown

    def _show(self) -> None:
        self.error.hide()
        config = self._draft.config
        data, way = config.data, _way_of(config)
        self._way = self._way if self._way in ("column", "file") and way in ("share", "none") else way
        self.way.pick(self._way)
        self._show_columns()
        for name, box in self._boxes.items():
            box.setVisible(name == self._way)
        for box in self._fine:
            box.setVisible(self._way == "share" and self.stratify.count() > 1)
        if not self.path.hasFocus():
            self.path.setText(data.holdout_source)
        self._show_split()

    def _show_columns(self) -> None:
        found = self._columns.columns
        names = [column.name for column in found.columns] if found else []
        for combo in (self.column, self.stratify, self.group):
            chosen = self._draft.config.value(combo.objectName())
            shown = [combo.itemData(place) for place in range(1, combo.count())]
            listed = names if not chosen or chosen in names else [*names, chosen]
            if shown != listed:
                combo.clear()
                combo.addItem("none", "")
                for name in listed:
                    combo.addItem(name, name)
            combo.pick(chosen)

    def _show_split(self) -> None:
        split = self._sides.split
        if self._sides.error:
            self._say_wrong(self._sides.error)
        self.bar.setVisible(split is not None)
        self.doubt.setText(self._sides.doubt)
        self.doubt.setVisible(bool(self._sides.doubt))
        num_left, num_leaks = (split.num_left, self._sides.num_leaks) if split is not None else (0, 0)
        rows = "row" if num_left == 1 else "rows"
        self.left.setText(f"{whole(num_left)} {rows} {_are(num_left)} left out: see why")
        self.left.setVisible(num_left > 0)
        self.leak.setText(
            "1 held-out row has a prompt that is trained too"
            if num_leaks == 1
            else f"{whole(num_leaks)} held-out rows have prompts that are trained too"
        )
        self.leak.setVisible(num_leaks > 0)
        num_rows = len(self._data.rows) if self._data.rows is not None else 0
        asked = sorted(number for number in split.asked if number < num_rows) if split is not None else []
        self.list.show_numbers(asked)
        self.caption.setVisible(bool(asked))
        if split is None:
            self.counts.setText("" if self._sides.error else f"Counting … {self._sides.share:.0%}")
            return
        is_all = len(asked) == split.num_held
        self.caption.setText("Held-out rows" if is_all else f"Held-out rows: the {len(asked)} that come first")
        total = max(1, split.num_trained + split.num_held)
        self.bar.show_share(split.num_held / total)
        held = f"{whole(split.num_held)} {_are(split.num_held)} held out ({split.num_held / total:.1%})"
        if not split.num_held:
            held = "none is held out: the run cannot tell learning from learning by heart"
        rows = "row" if split.num_trained == 1 else "rows"
        self.counts.setText(f"{whole(split.num_trained)} {rows} {_are(split.num_trained)} trained, {held}.")

    def _line(self, number: int) -> Line | None:
        row = self._reader.row(number)
        return None if row is None else line_of(row)

    # What a person does

    def _take_way(self, way: str) -> None:
        """Another way of splitting; the draft is left alone until its column or file is named."""
        self._way = way
        data = self._draft.config.data
        values: dict[str, Any] = {"data.split_column": "", "data.holdout_source": ""}
        if way == "share":
            values["data.holdout"] = data.holdout or USUAL_SHARE
        elif way == "none":
            values["data.holdout"] = 0.0
        elif way == "column":
            found = self._columns.columns
            names = [column.name for column in found.columns] if found else []
            values["data.split_column"] = next((name for name in names if name.casefold() == "split"), "")
        self._draft.set_many(values)
        self._show()

    def _use_path(self) -> None:
        if self.path.text().strip() != self._draft.config.data.holdout_source:
            self._draft.set("data.holdout_source", self.path.text().strip())

    def _pick_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Rows to evaluate on", "", FILES)
        if path:
            self._draft.set("data.holdout_source", path)

    def _reject(self, path: str, message: str) -> None:
        if path in ("data.split_column", "data.stratify_by", "data.group_by", "data.holdout_source"):
            self._say_wrong(message)

    def _say_wrong(self, sentence: str) -> None:
        self.error.setText(words.in_labels(sentence))
        self.error.show()


def _way_of(config: RunConfig) -> str:
    data = config.data
    return (
        "file" if data.holdout_source else "column" if data.split_column else "share" if data.holdout else "none"
    )


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _named(name: str, editor: QWidget) -> QWidget:
    box = QWidget()
    column = QVBoxLayout(box)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(4)
    column.addWidget(Label(name, "small"))
    column.addWidget(editor)
    return box
