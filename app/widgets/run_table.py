"""The table of runs: one painted row each, sortable and searchable, made for thousands."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QPersistentModelIndex,
    QRect,
    QRectF,
    QSize,
    QSortFilterProxyModel,
    Qt,
)
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter
from PySide6.QtWidgets import QHeaderView, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QTableView, QWidget

from app.state.run_list import RunRow
from app.theme import Theme, sized
from app.widgets.run_words import data_name, method_name, model_name, state_tone, state_word
from app.widgets.sparkline import draw_sparkline
from core import figures
from core.config import RunConfig

ROW_HEIGHT = 44
PADDING = 10
SortRole = Qt.ItemDataRole.UserRole
RowRole = Qt.ItemDataRole.UserRole + 1
Index = QModelIndex | QPersistentModelIndex


@dataclass(frozen=True)
class TableColumn:
    """A heading, the words under it, and what they are sorted by."""

    title: str
    width: int
    words: Callable[[RunRow], str]
    number: Callable[[RunRow], float] | None = None
    """What it is sorted by; the words, where there is none."""
    is_number: bool = False
    longest: str = ""
    """Words it must have room for; a wide font widens it."""

    def key(self, row: RunRow) -> float | str:
        return self.number(row) if self.number else self.words(row).lower()


def _known(number: float | None) -> float:
    return math.inf if number is None or math.isnan(number) else number


def _words(of: Callable[[RunConfig], str]) -> Callable[[RunRow], str]:
    return lambda row: of(row.config) if row.config else ""


def _state(row: RunRow) -> str:
    if row.state == "live" and row.total_steps:
        return f"{state_word(row.state)} {100 * row.step / row.total_steps:.0f}%"
    return state_word(row.state)


def _loss(row: RunRow) -> str:
    return "" if row.best_loss is None else f"{row.best_loss:.3f}"


def _peak(row: RunRow) -> str:
    return figures.size(row.peak_bytes) if row.peak_bytes else ""


def _time(row: RunRow) -> str:
    return figures.duration(row.seconds) if row.seconds else ""


def day(moment: float) -> str:
    """A point in time, as short as it is near: "today 14:30", "3 Mar", "3 Mar 2025"."""
    if not moment:
        return ""
    then, now = time.localtime(moment), time.localtime()
    if then[:3] == now[:3]:
        return f"today {then.tm_hour:02d}:{then.tm_min:02d}"
    date = f"{then.tm_mday} {time.strftime('%b', then)}"
    return date if then.tm_year == now.tm_year else f"{date} {then.tm_year}"


COLUMNS = (
    TableColumn("State", 126, _state, longest="●  interrupted"),
    TableColumn("Name", 0, lambda row: row.run.name),
    TableColumn("Model", 108, _words(model_name)),
    TableColumn("Data", 96, _words(data_name)),
    TableColumn("Method", 88, _words(method_name), longest="LoRA r128"),
    TableColumn("Held out", 74, _loss, lambda row: _known(row.best_loss), is_number=True, longest="0.000000"),
    TableColumn("Peak", 78, _peak, lambda row: row.peak_bytes, is_number=True, longest="999 MiB"),
    TableColumn("Time", 88, _time, lambda row: row.seconds, is_number=True, longest="23 h 59 min"),
    TableColumn("Begun", 98, lambda row: day(row.began), lambda row: row.began, longest="today 00:00"),
    TableColumn("Loss", 100, lambda row: "", lambda row: _known(row.loss)),
)
NAME, BEGUN, LOSS = 1, 8, 9


class RunModel(QAbstractTableModel):
    """Rows of a RunList; only what differs is told to the view."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[RunRow] = []

    def show_rows(self, rows: list[RunRow]) -> None:
        """Take these rows in place of the old ones, with what is selected staying selected."""
        if not self.rows or not self._insert_and_remove(rows):
            self.beginResetModel()
            self.rows = list(rows)
            self.endResetModel()
            return
        for number, (one, other) in enumerate(zip(self.rows, rows, strict=True)):
            if one is not other and one != other:
                self.rows[number] = other
                self.dataChanged.emit(self.index(number, 0), self.index(number, len(COLUMNS) - 1))

    def _insert_and_remove(self, rows: list[RunRow]) -> bool:
        """Bring the rows to hold these runs. Returns False when the order has changed as well."""
        wanted = {row.run for row in rows}
        for number in reversed(range(len(self.rows))):
            if self.rows[number].run not in wanted:
                self.beginRemoveRows(QModelIndex(), number, number)
                del self.rows[number]
                self.endRemoveRows()
        there = {row.run for row in self.rows}
        for number, row in enumerate(rows):
            if number < len(self.rows) and self.rows[number].run == row.run:
                continue
            if row.run in there:
                return False
            self.beginInsertRows(QModelIndex(), number, number)
            self.rows.insert(number, row)
            self.endInsertRows()
        return True

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation == Qt.Orientation.Vertical:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return COLUMNS[section].title
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if COLUMNS[section].is_number else Qt.AlignmentFlag.AlignLeft
            return side | Qt.AlignmentFlag.AlignVCenter
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        row, column = self.rows[index.row()], COLUMNS[index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return column.words(row)
        if role == SortRole:
            return column.key(row)
        if role == RowRole:
            return row
        return None


class RunFilter(QSortFilterProxyModel):
    """Rows whose words contain every word that was asked for."""

    def __init__(self, model: RunModel) -> None:
        super().__init__()
        self.setSourceModel(model)
        self.setSortRole(SortRole)
        self._model, self._wanted = model, []

    def look_for(self, text: str) -> None:
        self._wanted = text.lower().split()
        self.invalidate()

    def filterAcceptsRow(self, source_row: int, source_parent: Index) -> bool:
        row = self._model.rows[source_row]
        words = " ".join(column.words(row) for column in COLUMNS).lower()
        return all(word in words for word in self._wanted)


class RunTable(QTableView):
    """Newest first until a heading is pressed."""

    def __init__(self, theme: Theme, model: RunModel) -> None:
        super().__init__()
        self.filter = RunFilter(model)
        self.setModel(self.filter)
        self.setItemDelegate(_RunPainter(theme, self))
        self.setAccessibleName("Runs")
        self.setSelectionBehavior(QTableView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QTableView.SelectionMode.ExtendedSelection)
        self.setShowGrid(False)
        self.setMouseTracking(True)
        self.setTabKeyNavigation(False)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QTableView.ScrollMode.ScrollPerPixel)
        self.setEditTriggers(QTableView.EditTrigger.NoEditTriggers)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        head = self.horizontalHeader()
        head.setHighlightSections(False)
        head.setSectionsClickable(True)
        for number, column in enumerate(COLUMNS):
            stretches = column.width == 0
            mode = QHeaderView.ResizeMode.Stretch if stretches else QHeaderView.ResizeMode.Fixed
            head.setSectionResizeMode(number, mode)
            if not stretches:
                words = self.fontMetrics().horizontalAdvance(column.longest)
                self.setColumnWidth(number, max(column.width, words + 2 * PADDING))
        self.setSortingEnabled(True)
        self.sortByColumn(BEGUN, Qt.SortOrder.DescendingOrder)
        theme.changed.connect(self.viewport().update)

    def chosen(self) -> list[RunRow]:
        """The selected rows, from top to bottom."""
        indexes = sorted(self.selectionModel().selectedRows(), key=lambda index: index.row())
        return [index.data(RowRole) for index in indexes]


class _RunPainter(QStyledItemDelegate):
    """Paints every cell; the style sheet only draws what lies behind the words."""

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = theme

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(80, ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        area: QRect = option.rect  # type: ignore[attr-defined]
        state: QStyle.StateFlag = option.state  # type: ignore[attr-defined]
        row: RunRow = index.data(RowRole)
        painter.save()
        if state & QStyle.StateFlag.State_Selected:
            painter.fillRect(area, self._theme.color("wash"))
        painter.setPen(self._theme.color("line"))
        painter.drawLine(area.bottomLeft(), area.bottomRight())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        room = area.adjusted(PADDING, 0, -PADDING, 0)
        if index.column() == 0:
            self._paint_state(painter, room, row)
        elif index.column() == LOSS:
            color = self._theme.tokens.curves[0] if row.state == "live" else self._theme.tokens.faint
            draw_sparkline(painter, QRectF(room.adjusted(0, 12, -2, -12)), row.curve, QColor(color))
        else:
            is_name = index.column() == NAME
            words = row.problem if is_name and row.problem else index.data(Qt.ItemDataRole.DisplayRole)
            is_number = COLUMNS[index.column()].is_number
            self._write(painter, room, words, "text" if is_name else "secondary", is_number, is_name)
        painter.restore()

    def _paint_state(self, painter: QPainter, room: QRect, row: RunRow) -> None:
        tone = state_tone(row.state)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._theme.color("faint" if tone == "secondary" else tone))
        painter.drawEllipse(QRectF(room.left() + 2, room.center().y() - 3, 7, 7))
        self._write(painter, room.adjusted(17, 0, 0, 0), _state(row), tone, False, False)

    def _write(
        self, painter: QPainter, room: QRect, words: str, color: str, is_right: bool, is_strong: bool
    ) -> None:
        painter.setFont(sized(13, QFont.Weight.DemiBold if is_strong else QFont.Weight.Normal))
        painter.setPen(self._theme.color(color))
        shown = QFontMetrics(painter.font()).elidedText(words, Qt.TextElideMode.ElideRight, room.width())
        side = Qt.AlignmentFlag.AlignRight if is_right else Qt.AlignmentFlag.AlignLeft
        painter.drawText(room, side | Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextSingleLine, shown)
