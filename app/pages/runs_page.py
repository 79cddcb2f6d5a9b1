"""All runs in a table: find one, open it, compare several, begin anew from one, throw some away."""

from __future__ import annotations

from PySide6.QtCore import QPoint, Qt, QTimer, QUrl, Signal
from PySide6.QtGui import QAction, QDesktopServices, QHideEvent, QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QInputDialog, QLineEdit, QMenu, QStackedWidget, QVBoxLayout, QWidget

from app.state.run_list import RunList, RunRow
from app.theme import FIELD_GAP, PAGE_MARGIN, Theme
from app.widgets.banner import Banner
from app.widgets.button import Button
from app.widgets.card import Card
from app.widgets.empty_state import EmptyState
from app.widgets.label import Label
from app.widgets.run_table import RunModel, RunTable
from app.widgets.toast import Toast
from core.runs import Run

UNDO_MS = 12_000
MAX_COMPARED = 5


class RunsPage(QWidget):
    """Follows the list for as long as it is in sight."""

    run_opened = Signal(object)
    compare_requested = Signal(list)
    duplicated = Signal(object)
    """A RunConfig for a new run that begins with a run's settings."""
    new_run_requested = Signal()

    def __init__(self, run_list: RunList, theme: Theme) -> None:
        super().__init__()
        self.setObjectName("page")
        self._list = run_list
        self._discarded: list[Run] = []
        self.model = RunModel()
        self.table = RunTable(theme, self.model)
        self.summary = Label("", "secondary")
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search runs")
        self.search.setClearButtonEnabled(True)
        self.search.setAccessibleName("Search runs")
        self.search.setFixedWidth(220)
        self.open, self.compare = Button("Open"), Button("Compare")
        self.duplicate = Button("Duplicate", tip="Begin a new run with these settings")
        self.delete = Button("Delete", "danger")
        self.new_run = Button("New run", "primary").set_icon(theme, "plus", "on_accent")
        self.empty = EmptyState(
            theme,
            "runs",
            "No runs yet",
            "A run is one training: a model, your data, a method. Each is kept here with its curve, its "
            "settings and its result, and goes on when the window is closed.",
            "New run",
        )
        self.undo = Banner(theme)
        self.undo_button = self.undo.add_button("Undo")
        self._undo_timer = QTimer(self)
        self._undo_timer.setSingleShot(True)
        self._undo_timer.setInterval(UNDO_MS)
        self.toast = Toast(self)
        self._lay_out()
        self._connect()
        self._show_rows()

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(Label("Runs", "title"))
        head.addSpacing(4)
        head.addWidget(self.summary, 1)
        for widget in (self.open, self.compare, self.duplicate, self.delete, self.search, self.new_run):
            head.addWidget(widget)
        card = Card()
        card.rows.setContentsMargins(1, 1, 1, 1)
        self.nothing_found = Label("No run has all these words.", "secondary")
        self.nothing_found.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.found = QStackedWidget()
        self.found.addWidget(self.table)
        self.found.addWidget(self.nothing_found)
        card.body.addWidget(self.found)
        self.stack = QStackedWidget()
        self.stack.addWidget(QWidget())  # until the first look is done, neither rows nor "No runs yet" is true
        self.stack.addWidget(card)
        self.stack.addWidget(self.empty)
        column = QVBoxLayout(self)
        column.setContentsMargins(PAGE_MARGIN, PAGE_MARGIN - 4, PAGE_MARGIN, PAGE_MARGIN)
        column.setSpacing(FIELD_GAP)
        column.addLayout(head)
        column.addWidget(self.stack, 1)
        column.addWidget(self.undo)

    def _connect(self) -> None:
        self._list.changed.connect(self._show_rows)
        self._list.refused.connect(self.toast.say)
        self._list.discarded.connect(self._offer_undo)
        self.search.textChanged.connect(self._look_for)
        self.table.doubleClicked.connect(lambda _: self.open_chosen())
        self.table.selectionModel().selectionChanged.connect(lambda *_: self._show_actions())
        self.table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.table.customContextMenuRequested.connect(self._show_menu)
        for button, action in (
            (self.open, self.open_chosen),
            (self.compare, self.compare_chosen),
            (self.duplicate, self.duplicate_chosen),
            (self.delete, self.delete_chosen),
            (self.undo_button, self.undo_delete),
        ):
            button.clicked.connect(lambda _=False, action=action: action())
        self.new_run.clicked.connect(lambda: self.new_run_requested.emit())
        self.empty.pressed.connect(self.new_run_requested)
        self._undo_timer.timeout.connect(self.undo.hide)
        for keys, widget, action in (
            (Qt.Key.Key_Return, self.table, self.open_chosen),
            (Qt.Key.Key_Enter, self.table, self.open_chosen),
            (Qt.Key.Key_Delete, self.table, self.delete_chosen),
            (Qt.Key.Key_F2, self.table, self.ask_name),
            (QKeySequence.StandardKey.Find, self, self.search.setFocus),
        ):
            shortcut = QShortcut(QKeySequence(keys), widget)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(action)

    # What is shown

    def _show_rows(self) -> None:
        rows = self._list.rows
        self.model.show_rows(list(rows))
        self.stack.setCurrentIndex(0 if not self._list.has_looked else 1 if rows else 2)
        live = self._list.num_live
        words = f"{len(rows):,}" + (f" · {live} learning" if live else "")
        self.summary.setText(words if rows else "")
        for widget in (self.search, self.new_run):
            widget.setVisible(bool(rows))
        self._show_found()
        self._show_actions()

    def _look_for(self, text: str) -> None:
        self.table.filter.look_for(text)
        self._show_found()

    def _show_found(self) -> None:
        self.found.setCurrentIndex(0 if self.table.filter.rowCount() else 1)

    def _show_actions(self) -> None:
        chosen = self.table.chosen()
        one = len(chosen) == 1
        self.open.setVisible(one)
        self.duplicate.setVisible(one and chosen[0].config is not None)
        self.compare.setVisible(0 < len(chosen) <= MAX_COMPARED and all(row.step for row in chosen))
        self.delete.setVisible(bool(chosen))
        self.delete.setEnabled(all(row.state != "live" for row in chosen))

    def _show_menu(self, place: QPoint) -> None:
        if (row := self._one()) is None:
            return
        menu = QMenu(self)
        for text, action in (
            ("Open", self.open_chosen),
            ("Duplicate as new run", self.duplicate_chosen),
            ("Rename …", self.ask_name),
            ("Open folder", self.open_folder),
            ("Delete", self.delete_chosen),
        ):
            entry = QAction(text, menu)
            entry.triggered.connect(lambda _=False, action=action: action())
            is_live = row.state == "live"
            entry.setEnabled(not (is_live and action in (self.ask_name, self.delete_chosen)))
            menu.addAction(entry)
        menu.popup(self.table.viewport().mapToGlobal(place))

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._list.start()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._list.pause()

    # What a person asks for

    def _one(self) -> RunRow | None:
        chosen = self.table.chosen()
        return chosen[0] if len(chosen) == 1 else None

    def open_chosen(self) -> None:
        if row := self._one():
            self.run_opened.emit(row.run)

    def compare_chosen(self) -> None:
        if chosen := self.table.chosen():
            self.compare_requested.emit([row.run for row in chosen])

    def duplicate_chosen(self) -> None:
        if (row := self._one()) and row.config is not None:
            self.duplicated.emit(row.config)

    def open_folder(self) -> None:
        if row := self._one():
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(row.run.folder)))

    def ask_name(self) -> None:
        if row := self._one():
            name, is_given = QInputDialog.getText(self, "Rename", "New name", text=row.run.name)
            if is_given and name.strip():
                self._list.rename(row.run, name)

    def delete_chosen(self) -> None:
        """Into the trash, with Undo for a while; nothing is asked beforehand."""
        if runs := [row.run for row in self.table.chosen() if row.state != "live"]:
            self._list.discard(runs)

    def _offer_undo(self, discarded: list[Run]) -> None:
        self._discarded = discarded
        what = discarded[0].name if len(discarded) == 1 else f"{len(discarded)} runs"
        self.undo.say(f"Deleted {what}", "It is kept in the trash for a week.", "secondary", [self.undo_button])
        self._undo_timer.start()

    def undo_delete(self) -> None:
        self.undo.hide()
        self._list.restore(self._discarded)
        self._discarded = []
