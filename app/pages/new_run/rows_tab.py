"""The rows: all of them in a list; beside it the chosen one, as the model sees it or to be edited."""

from __future__ import annotations

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QMenu, QStackedWidget, QVBoxLayout, QWidget

from app.pages.new_run.row_browser import RowBrowser
from app.pages.new_run.row_editor import RowEditor
from app.pages.new_run.row_places import Place, new_places, new_row, places_of
from app.pages.new_run.sight_tab import SightTab
from app.state.chosen_data import ChosenData
from app.state.data_edits import DataEdits
from app.state.draft import Draft
from app.state.preview import Preview
from app.state.row_reader import RowReader
from app.state.row_search import RowSearch
from app.theme import Theme, restyle
from app.widgets.button import Button
from app.widgets.label import ElidedLabel
from core.figures import whole

NARROWEST, WIDEST = 150, 320
"""Of the list, in pixels."""


class RowsTab(QWidget):
    """`moved` carries the number of the row now shown, counted from 0."""

    moved = Signal(int)

    def __init__(
        self,
        draft: Draft,
        data: ChosenData,
        reader: RowReader,
        search: RowSearch,
        edits: DataEdits,
        preview: Preview,
        theme: Theme,
    ) -> None:
        super().__init__()
        self._data, self._reader, self._edits = data, reader, edits
        self.browser = RowBrowser(reader, search, theme)
        self.sight = SightTab(draft, preview, theme)
        self.editor = RowEditor()
        self._number = -1
        self._is_expected = False
        self._right = QStackedWidget()
        self._right.addWidget(self.sight)
        self._right.addWidget(self.editor)
        self.told = ElidedLabel("", "small")
        self.undo = Button("Undo the last edit", "link")
        self.undo.clicked.connect(edits.undo)
        self._foot = QWidget()
        self._lay_out()
        self.browser.chosen.connect(self._show)
        self.browser.menu_wanted.connect(self._open_menu)
        self.browser.delete_pressed.connect(self._exclude)
        self.editor.saved.connect(self._save)
        self.editor.closed.connect(self._close_editor)
        edits.opened.connect(lambda number, tree: self._open_editor(number, places_of(tree)))
        edits.failed.connect(self._tell_failure)
        edits.changed.connect(self._tell)
        edits.done.connect(self._close_editor)
        reader.arrived.connect(self._take)
        reader.reset.connect(self._forget)
        self._forget()
        self._tell()

    def _lay_out(self) -> None:
        both = QHBoxLayout()
        both.setSpacing(16)
        both.addWidget(self.browser)
        both.addWidget(self._right, 1)
        foot = QHBoxLayout(self._foot)
        foot.setContentsMargins(0, 0, 0, 0)
        foot.addWidget(self.told, 1)
        foot.addWidget(self.undo)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(both, 1)
        column.addWidget(self._foot)

    @property
    def number(self) -> int:
        """The row now shown; -1 for none."""
        return self._number

    def go_to(self, number: int) -> None:
        self.browser.go_to(number)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.browser.setFixedWidth(min(max(NARROWEST, self.width() * 31 // 100), WIDEST))

    # What is shown

    def _forget(self) -> None:
        """Start over; what was in sight stays there until the same row of the new data has been read."""
        self._number = -1
        if not len(self._reader):
            self._close_editor()
            self.sight.show_row(-1, None)
        else:
            self._show(max(0, self.browser.number))

    def _show(self, number: int) -> None:
        if number != self._number:
            self._close_editor()
        self._number = number
        self._is_expected = False
        if (row := self._reader.row(number)) is not None:
            self.sight.show_row(number, row)
        else:
            self._is_expected = True
            self.sight.expect(number)
            self._reader.want_first(number)
        self.moved.emit(number)

    def _take(self) -> None:
        """The row that was waited for may be there now; if not, others were asked for since."""
        if self._number >= 0 and self._is_expected:
            self._show(self._number)

    def _tell(self) -> None:
        """What was edited, and that the data itself was not."""
        number, name = self._edits.num_changed, self._edits.file_name
        rows = f"{whole(number)} row{'' if number == 1 else 's'}"
        restyle(self.told, role="small")
        self.told.setText(
            f"{rows} changed in {name}; the file itself is untouched." if name else f"{rows} changed"
        )
        self.undo.show()
        self._foot.setVisible(number > 0)

    def _tell_failure(self, sentence: str) -> None:
        if self._right.currentWidget() is self.editor:
            self.editor.say_wrong(sentence)
            return
        restyle(self.told, role="error")
        self.told.setText(sentence)
        self.undo.setVisible(self._edits.num_changed > 0)
        self._foot.show()

    # Edits

    def _open_menu(self, number: int, place: QPoint) -> None:
        menu = self.menu_for(number)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(place)

    def menu_for(self, number: int) -> QMenu:
        """What can be done with a row."""
        menu = QMenu(self)
        read = self._reader.read(number)
        is_left_out = read is not None and bool(read.words)
        is_readable = read is not None and (is_left_out or not hasattr(read.row, "reason"))
        edit = menu.addAction("Edit this row …", lambda: self._edits.open(number))
        leave = menu.addAction("Leave this row out", lambda: self._exclude(number))
        leave.setShortcut("Del")
        add = menu.addAction("Add a row …", self._begin_row)
        menu.addSeparator()
        undo = menu.addAction("Undo the last edit", self._edits.undo)
        edit.setEnabled(is_readable and not is_left_out)
        leave.setEnabled(read is not None and not is_left_out)
        add.setEnabled(self._data.rows is not None)
        undo.setEnabled(self._edits.num_changed > 0)
        return menu

    def _exclude(self, number: int) -> None:
        read = self._reader.read(number)
        if read is not None and not read.words:
            self._edits.exclude(number)

    def _begin_row(self) -> None:
        if self._data.rows is not None:
            self._open_editor(-1, new_places(self._data.rows.layout))

    def _open_editor(self, number: int, places: list[Place]) -> None:
        self._right.setCurrentWidget(self.editor)
        self.editor.edit(number, places)

    def _close_editor(self) -> None:
        self._right.setCurrentWidget(self.sight)

    def _save(self, number: int, texts: dict[str, str]) -> None:
        if number < 0 and self._data.rows is not None:
            self._edits.add(new_row(self._data.rows.layout, texts))
        else:
            self._edits.set_fields(number, texts)
