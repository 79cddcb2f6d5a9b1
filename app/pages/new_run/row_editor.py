"""A row's texts, one place at a time, to be mended; or a new row, to be written."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QPlainTextEdit, QVBoxLayout, QWidget

from app.pages.new_run.row_places import Place
from app.widgets.button import Button
from app.widgets.combo import Combo
from app.widgets.label import ElidedLabel, Label
from core.figures import whole


class RowEditor(QWidget):
    """`saved` carries a row's number, -1 for a new one, and its changed texts by the path of their place."""

    saved = Signal(int, object)
    closed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._number = -1
        self._places: list[Place] = []
        self._texts: dict[str, str] = {}
        self._path = ""
        self.title = ElidedLabel("", "strong")
        self.place = Combo()
        self.place.setFixedHeight(32)
        self.place.setMaximumWidth(220)
        self.place.setAccessibleName("Part of the row")
        self.place.activated.connect(lambda _: self._show_place(self.place.currentData()))
        self.text = QPlainTextEdit()
        self.text.setTabChangesFocus(True)
        self.text.setAccessibleName("Text of this part")
        self.text.textChanged.connect(self._typed)
        self.error = Label("", "error", wrap=True)
        self.error.hide()
        self.save = Button("Save", "primary", tip="Ctrl+S. Written beside the data, which is left as it is")
        self.save.clicked.connect(self._save)
        self.cancel = Button("Cancel", tip="Esc")
        self.cancel.clicked.connect(lambda: self.closed.emit())
        for keys, action in (("Ctrl+S", self._save), ("Escape", lambda: self.closed.emit())):
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.activated.connect(action)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        top = QHBoxLayout()
        top.setSpacing(8)
        top.addWidget(self.title, 1)
        top.addWidget(self.place, 1)
        foot = QHBoxLayout()
        foot.setSpacing(8)
        foot.addWidget(self.error, 1)
        foot.addStretch()
        foot.addWidget(self.cancel)
        foot.addWidget(self.save)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addLayout(top)
        column.addWidget(self.text, 1)
        column.addLayout(foot)

    def edit(self, number: int, places: list[Place]) -> None:
        """Edit a row, counted from 0; -1 is a new one."""
        self._number, self._places = number, places
        self._texts = {place.path: place.text for place in places}
        self.title.setText("A new row" if number < 0 else f"Row {whole(number + 1)}")
        self.error.hide()
        self.place.clear()
        for place in places:
            self.place.addItem(place.name, place.path)
        self._path = ""
        if places:
            self._show_place(places[0].path)
        self.text.setFocus()

    def say_wrong(self, sentence: str) -> None:
        self.error.setText(sentence)
        self.error.show()
        self.save.setEnabled(True)

    def _show_place(self, path: str) -> None:
        self._path = ""
        self.text.setPlainText(self._texts[path])
        self._path = path
        self.place.pick(path)
        self._mark()

    def _typed(self) -> None:
        if self._path:
            self._texts[self._path] = self.text.toPlainText()
            self._mark()

    @property
    def _changes(self) -> dict[str, str]:
        if self._number < 0:
            return dict(self._texts)
        return {place.path: text for place in self._places if (text := self._texts[place.path]) != place.text}

    def _mark(self) -> None:
        """A new row wants all of its parts; the next empty one is where the list opens."""
        is_whole = all(text.strip() for text in self._texts.values())
        self.save.setEnabled(is_whole if self._number < 0 else bool(self._changes))

    def _save(self) -> None:
        if self.save.isEnabled():
            self.error.hide()
            changes: dict[str, Any] = self._changes
            self.saved.emit(self._number, changes)
