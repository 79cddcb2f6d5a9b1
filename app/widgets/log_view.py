"""What a run has said, one line each, searchable; plain text whatever it holds."""

from __future__ import annotations

import time
from typing import Any

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QPersistentModelIndex,
    QRect,
    QSize,
    QSortFilterProxyModel,
    Qt,
)
from PySide6.QtGui import QFontMetrics, QPainter
from PySide6.QtWidgets import (
    QLineEdit,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from app.theme import FIELD_GAP, Theme, sized
from app.widgets.run_words import told
from core.events import Event

ROW_HEIGHT = 28
TIME_WIDTH = 76
Index = QModelIndex | QPersistentModelIndex
ToneRole = Qt.ItemDataRole.UserRole
TimeRole = Qt.ItemDataRole.UserRole + 1


class LogView(QWidget):
    """`show_events` with the whole list again whenever it has grown; only what is new is added."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.model = Told()
        self.shown = QSortFilterProxyModel()
        self.shown.setSourceModel(self.model)
        self.shown.setFilterCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search")
        self.search.setClearButtonEnabled(True)
        self.search.setAccessibleName("Search what the run has said")
        self.search.textChanged.connect(self.shown.setFilterFixedString)
        self.list = QListView()
        self.list.setModel(self.shown)
        self.list.setItemDelegate(_Line(theme, self.list))
        self.list.setUniformItemSizes(True)
        self.list.setSelectionMode(QListView.SelectionMode.SingleSelection)
        self.list.setAccessibleName("What the run has said")
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        theme.changed.connect(self.list.viewport().update)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(FIELD_GAP)
        column.addWidget(self.search)
        column.addWidget(self.list, 1)

    def show_events(self, events: list[Event]) -> None:
        bar = self.list.verticalScrollBar()
        is_at_end = bar.value() >= bar.maximum() - ROW_HEIGHT
        if self.model.take(events) and is_at_end:
            self.list.scrollToBottom()


class Told(QAbstractListModel):
    """One row per event; DisplayRole is the sentence."""

    def __init__(self) -> None:
        super().__init__()
        self._events: list[Event] = []

    def take(self, events: list[Event]) -> bool:
        """Show this list, which is mostly the one already shown and more. Returns whether it differed."""
        old = len(self._events)
        if len(events) < old or (old and events[old - 1] is not self._events[-1]):
            self.beginResetModel()
            self._events = list(events)
            self.endResetModel()
            return True
        if len(events) == old:
            return False
        self.beginInsertRows(QModelIndex(), old, len(events) - 1)
        self._events += events[old:]
        self.endInsertRows()
        return True

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        return 0 if parent.isValid() else len(self._events)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        event = self._events[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return told(event)[0]
        if role == ToneRole:
            return told(event)[1]
        if role == TimeRole:
            return time.strftime("%H:%M:%S", time.localtime(event.time))
        return None


class _Line(QStyledItemDelegate):
    """The time, a dot in the event's tone, and its sentence."""

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = theme

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(200, ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        area: QRect = option.rect  # type: ignore[attr-defined]
        state: QStyle.StateFlag = option.state  # type: ignore[attr-defined]
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if state & QStyle.StateFlag.State_Selected:
            painter.fillRect(area, self._theme.color("wash"))
        painter.setFont(sized(12))
        painter.setPen(self._theme.color("secondary"))
        middle = Qt.AlignmentFlag.AlignVCenter
        painter.drawText(area.adjusted(8, 0, 0, 0), middle, index.data(TimeRole))
        tone = index.data(ToneRole)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._theme.color("strong_line" if tone == "secondary" else tone))
        painter.drawEllipse(area.left() + TIME_WIDTH - 6, area.center().y() - 2, 6, 6)
        painter.setPen(self._theme.color("no" if tone == "no" else "text"))
        room = area.adjusted(TIME_WIDTH + 8, 0, -8, 0)
        sentence = index.data(Qt.ItemDataRole.DisplayRole)
        shown = QFontMetrics(painter.font()).elidedText(sentence, Qt.TextElideMode.ElideRight, room.width())
        painter.drawText(room, middle | Qt.TextFlag.TextSingleLine, shown)
        painter.restore()
