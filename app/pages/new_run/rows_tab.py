"""The rows: all of them in a list at the left, and at the right the chosen one as the model sees it."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QWidget

from app.pages.new_run.row_browser import RowBrowser
from app.pages.new_run.sight_tab import SightTab
from app.state.draft import Draft
from app.state.preview import Preview
from app.state.row_reader import RowReader
from app.state.row_search import RowSearch
from app.theme import Theme

NARROWEST, WIDEST = 150, 320
"""Of the list, in pixels."""


class RowsTab(QWidget):
    """`moved` carries the number of the row now shown, counted from 0."""

    moved = Signal(int)

    def __init__(self, draft: Draft, reader: RowReader, search: RowSearch, preview: Preview, theme: Theme) -> None:
        super().__init__()
        self._reader = reader
        self.browser = RowBrowser(reader, search, theme)
        self.sight = SightTab(draft, preview, theme)
        self._number = -1
        self._is_expected = False
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(16)
        row.addWidget(self.browser)
        row.addWidget(self.sight, 1)
        self.browser.chosen.connect(self._show)
        reader.arrived.connect(self._take)
        reader.reset.connect(self._forget)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._forget()

    @property
    def number(self) -> int:
        """The row now shown; -1 for none."""
        return self._number

    def go_to(self, number: int) -> None:
        self.browser.go_to(number)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.browser.setFixedWidth(min(max(NARROWEST, self.width() * 31 // 100), WIDEST))

    def _forget(self) -> None:
        """Start over; what was in sight stays there until the same row of the new data has been read."""
        self._number = -1
        if not len(self._reader):
            self.sight.show_row(-1, None)
        else:
            self._show(max(0, self.browser.number))

    def _show(self, number: int) -> None:
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
