"""One role and what fills it: a column, or a template over columns, with what it gives for the row in sight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import QEvent, QObject, Signal
from PySide6.QtWidgets import QGridLayout, QWidget

from app.theme import restyle
from app.widgets.combo import Combo
from app.widgets.label import ElidedLabel, Label
from app.widgets.words import ROLES
from core.errors import HoneError

NAME_WIDTH = 68


class RoleField(QWidget):
    """`edited` carries the role when a person has finished changing what fills it."""

    edited = Signal(str)
    entered = Signal(str)
    """The role, when its field gets the focus."""

    def __init__(self, role: str, *, is_needed: bool) -> None:
        super().__init__()
        self.role, self.is_needed = role, is_needed
        self.unfilled = ""
        """What is said below it while it is empty."""
        self._columns: tuple[str, ...] = ()
        self._tree: Mapping[str, Any] = {}
        self.combo = Combo()
        self.combo.setEditable(True)
        self.combo.setInsertPolicy(Combo.InsertPolicy.NoInsert)
        self.combo.setFixedHeight(32)
        self.combo.setObjectName(f"data.mapping.{role}")
        self.combo.setAccessibleName(ROLES[role])
        self.combo.activated.connect(lambda _: self._finish())
        line = self.combo.lineEdit()
        assert line is not None
        self._line = line
        line.setPlaceholderText("a column, or words with {columns}" if is_needed else "none")
        line.textChanged.connect(lambda _: self._preview())
        line.editingFinished.connect(self._finish)
        line.installEventFilter(self)
        self._given = ""
        name = Label(ROLES[role], "small")
        name.setFixedWidth(NAME_WIDTH)
        name.setBuddy(self.combo)
        self.remark = ElidedLabel("", "small")
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(2)
        grid.addWidget(name, 0, 0)
        grid.addWidget(self.combo, 0, 1)
        grid.addWidget(self.remark, 1, 1)

    @property
    def text(self) -> str:
        """What fills the role; a line break is written as backslash and n."""
        return self._line.text().strip().replace("\\n", "\n")

    @property
    def mistake(self) -> str:
        """What is wrong with it, in a sentence; empty for nothing."""
        from core.data.mapping import columns_in

        try:
            names = columns_in(self.text, self.role) if self.text else []
        except HoneError:
            return "A brace is open: write {column}, and {{ for a brace."
        if unknown := next((name for name in names if name not in self._columns), None):
            return f"There is no column {unknown[:40]}."
        return ""

    def show_text(self, text: str) -> None:
        """Show what fills the role, without emitting."""
        self._given = text
        shown = text.replace("\n", "\\n")
        if self._line.text() != shown:
            self._line.setText(shown)
        self._preview()

    def show_columns(self, columns: Sequence[str], tree: Mapping[str, Any]) -> None:
        """The columns there are, and the row that the preview is made from."""
        if tuple(columns) != self._columns:
            self._columns = tuple(columns)
            text = self._line.text()
            self.combo.clear()
            self.combo.addItems(list(columns))
            self._line.setText(text)
        self._tree = tree
        self._preview()

    def insert(self, column: str) -> None:
        """Put a column where the cursor is: alone in an empty field, in braces among other words."""
        if not self.text:
            self._line.setText(column)
        else:
            if self.text in self._columns:
                self._line.setText(f"{{{self._line.text()}}} ")
            self._line.insert(f"{{{column}}}")
        self._finish()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.FocusIn:
            self.entered.emit(self.role)
        return False

    def _finish(self) -> None:
        if self.text != self._given:
            self._given = self.text
            self.edited.emit(self.role)

    def _preview(self) -> None:
        mistake = self.mistake
        restyle(self.remark, role="error" if mistake else "small")
        restyle(self.combo, state="wrong" if mistake else "")
        self.remark.setText(mistake or self._filled())

    def _filled(self) -> str:
        """What the role is in the row in sight, on one line."""
        from core.data.columns import as_sample
        from core.data.mapping import filled
        from core.data.row import RowError

        if not self.text or not self._tree:
            return "" if self.text else self.unfilled
        try:
            return as_sample(filled(self.text, self._tree))
        except RowError as bad:
            return f"This row {bad.reason}."
