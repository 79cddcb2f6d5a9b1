"""The window: a sidebar and the pages, each built on its first visit."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSettings, Qt, Signal
from PySide6.QtGui import QCloseEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QMainWindow, QStackedWidget, QWidget

from app.state.memory_watch import MemoryWatch
from app.theme import Theme
from app.widgets.device_meter import DeviceMeter
from app.widgets.icon import icon
from app.widgets.sidebar import Entry, Sidebar
from app.widgets.toast import Toast
from core.places import home

ENTRIES = [
    Entry("runs", "Runs", "runs"),
    Entry("new-run", "New run", "new-run"),
    Entry("compare", "Compare", "compare"),
    Entry("settings", "Settings", "settings"),
]


class Window(QMainWindow):
    """`makers` builds each page by name; beside the entries' pages there is "run", the page of one run."""

    closed = Signal()

    def __init__(self, theme: Theme, watch: MemoryWatch, makers: dict[str, Callable[[], QWidget]]) -> None:
        super().__init__()
        self.setObjectName("window")
        self.setWindowTitle("Hone")
        self.setWindowIcon(icon("logo", "", 64))
        self.setMinimumSize(1128, 680)
        self._makers = makers
        self._pages: dict[str, QWidget] = {}
        self.sidebar = Sidebar(theme, ENTRIES, DeviceMeter(watch, theme))
        self.stack = QStackedWidget()
        self.stack.setObjectName("pages")
        whole = QWidget()
        row = QHBoxLayout(whole)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self.sidebar)
        row.addWidget(self.stack, 1)
        self.setCentralWidget(whole)
        self.toast = Toast(self.stack)
        self.sidebar.chosen.connect(self.show_page)
        for number, entry in enumerate(ENTRIES, 1):
            shortcut = QShortcut(QKeySequence(f"Ctrl+{number}"), self)
            shortcut.activated.connect(lambda name=entry.name: self.show_page(name))
        self._restore_geometry()

    def page(self, name: str) -> QWidget:
        """A page, built now if this is its first visit."""
        if name not in self._pages:
            self._pages[name] = self._makers[name]()
            self.stack.addWidget(self._pages[name])
        return self._pages[name]

    def has_page(self, name: str) -> bool:
        """Whether a page has been built."""
        return name in self._pages

    def show_page(self, name: str, title: str = "") -> QWidget:
        """Open a page by name: runs, new-run, compare, settings, or run, which stands under Runs."""
        page = self.page(name)
        self.setFocus()  # else the stack gives the focus to the new page's first button
        self.stack.setCurrentWidget(page)
        entry = next(entry for entry in ENTRIES if entry.name == ("runs" if name == "run" else name))
        self.sidebar.mark(entry.name)
        self.setWindowTitle(f"{title or entry.title} – Hone")
        if (focused := self.focusWidget()) is None or not page.isAncestorOf(focused):
            page.setFocus()  # so that no button wears the ring before a key was pressed
        return page

    @property
    def open_page(self) -> QWidget | None:
        return self.stack.currentWidget()

    def closeEvent(self, event: QCloseEvent) -> None:
        _geometry().setValue("window", self.saveGeometry())
        self.closed.emit()
        event.accept()

    def _restore_geometry(self) -> None:
        kept = _geometry().value("window")
        if kept is None or not self.restoreGeometry(kept):
            self.resize(1440, 900)
        if self.windowState() & Qt.WindowState.WindowFullScreen:
            self.setWindowState(Qt.WindowState.WindowNoState)


def _geometry() -> QSettings:
    """Where the window stood; not a setting of any run."""
    return QSettings(str(home() / "window.ini"), QSettings.Format.IniFormat)
