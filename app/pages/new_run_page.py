"""New run: model, data and method on the left, the plan of the run always in sight on the right."""

from __future__ import annotations

import subprocess
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import (
    QDragEnterEvent,
    QDragLeaveEvent,
    QDropEvent,
    QKeySequence,
    QResizeEvent,
    QShortcut,
    QShowEvent,
)
from PySide6.QtWidgets import (
    QBoxLayout,
    QHBoxLayout,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)

from app.pages.new_run.data_card import DataCard
from app.pages.new_run.method_card import MethodCard
from app.pages.new_run.model_card import ModelCard
from app.pages.new_run.plan_panel import PlanPanel
from app.state.background import Background
from app.state.chosen_data import ChosenData
from app.state.chosen_model import ChosenModel
from app.state.draft import Draft
from app.state.memory_watch import MemoryWatch
from app.state.paces import Paces
from app.state.planner import Planner
from app.state.preferences import Preferences
from app.state.preview import Preview
from app.state.rehearsing import Rehearsing
from app.state.remedy import Remedy
from app.state.row_lengths import RowLengths
from app.theme import PAGE_MARGIN, PLAN_WIDTH, Theme, restyle
from app.widgets.button import Chip
from app.widgets.label import Label
from app.widgets.scrolled import scrolled
from core.config import RunConfig
from core.errors import HoneError
from core.launch import start_training
from core.methods.presets import PRESETS, applied, preset_of
from core.runs import Run, RunStore

NARROW = 640
"""Below this width of the cards' column, the presets stand under the name."""


class NewRunPage(QWidget):
    """`started` carries the run whose worker has just been started."""

    started = Signal(object)

    def __init__(
        self,
        draft: Draft,
        store: RunStore,
        watch: MemoryWatch,
        preferences: Preferences,
        background: Background,
        theme: Theme,
    ) -> None:
        super().__init__()
        self.setObjectName("page")
        self.setAcceptDrops(True)
        self._draft, self._store, self._background = draft, store, background
        self._workers: list[subprocess.Popen[bytes]] = []
        self._is_starting = False
        self.model = ChosenModel(draft, background)
        self.data = ChosenData(draft, background)
        self.preview = Preview(draft, self.model, self.data)
        self.lengths = RowLengths(self.model, self.data, self.preview, background)
        self.paces = Paces(store, background)
        self.planner = Planner(draft, self.model, self.data, self.lengths, self.paces, watch)
        self.model_card = ModelCard(draft, self.model, self.planner, preferences, background, theme)
        self.data_card = DataCard(draft, self.data, self.preview, self.lengths, background, theme)
        self.method_card = MethodCard(draft, self.planner, theme)
        self.remedy = Remedy(self.planner, draft, background)
        self.rehearsing = Rehearsing()
        self.plan = PlanPanel(self.planner, draft, self.remedy, self.rehearsing, theme)
        self._lay_out()
        self._connect()
        self._show(draft.config)
        self._show_obstacle()

    def _lay_out(self) -> None:
        inside = QWidget()
        inside.setObjectName("scrolled")
        column = QVBoxLayout(inside)
        column.setContentsMargins(PAGE_MARGIN, PAGE_MARGIN, PAGE_MARGIN - 4, PAGE_MARGIN)
        column.setSpacing(12)
        column.addLayout(self._head())
        column.addSpacing(4)
        for card in (self.model_card, self.data_card, self.method_card):
            column.addWidget(card)
        column.addStretch(1)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(scrolled(inside), 1)
        row.addWidget(self.plan)

    def _head(self) -> QBoxLayout:
        self.name = QLineEdit()
        self.name.setProperty("kind", "bare")
        self.name.setAccessibleName("Name of the run")
        self.name.setToolTip("Name of the run")
        self.name.setMaxLength(48)
        self.preset_chips: dict[str, Chip] = {}
        named, presets = QHBoxLayout(), QHBoxLayout()
        named.setSpacing(8)
        named.addWidget(Label("New run", "title"))
        named.addWidget(self.name, 1)
        presets.setSpacing(8)
        for preset in PRESETS:
            chip = Chip(preset.title, checkable=True, tip=preset.sentence)
            chip.setObjectName(f"preset-{preset.name}")
            chip.clicked.connect(lambda _=False, preset=preset: self._apply(preset.name))
            self.preset_chips[preset.name] = chip
            presets.addWidget(chip)
        presets.addStretch()
        self._head_row = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._head_row.setSpacing(8)
        self._head_row.addLayout(named, 1)
        self._head_row.addLayout(presets)
        return self._head_row

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        is_narrow = self.width() - PLAN_WIDTH < NARROW
        way = QBoxLayout.Direction.TopToBottom if is_narrow else QBoxLayout.Direction.LeftToRight
        self._head_row.setDirection(way)

    def _connect(self) -> None:
        draft = self._draft
        draft.changed.connect(self._show)
        draft.renamed.connect(self._show_name)
        self.name.editingFinished.connect(self._rename)
        self.plan.start_pressed.connect(self.start)
        self.planner.changed.connect(self._show_obstacle)
        self.method_card.form.wrong_changed.connect(self._show_obstacle)
        for keys, action in (
            ("Ctrl+Return", self.start),
            ("Ctrl+Enter", self.start),
            ("Ctrl+Z", draft.undo),
            ("Ctrl+Shift+Z", draft.redo),
            ("Ctrl+Y", draft.redo),
        ):
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(action)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.paces.look()

    @property
    def obstacle(self) -> str:
        """Why Start cannot be pressed, in a sentence; empty when it can."""
        if wrong := self.method_card.form.wrong:
            return f"{wrong[0].name}: {wrong[0].remark}"
        return self.planner.obstacle

    def start(self) -> None:
        """Make the run's folder, start its worker, and say so by `started`."""
        if self.obstacle or self._is_starting:
            return
        self._is_starting = True
        self.plan.start.setEnabled(False)
        self.plan.set_note("Starting …")
        config, name, store = self._draft.config, self._draft.name, self._store
        self._background.run(self, lambda: _start(store, config, name), self._has_started, self._has_failed)

    def _has_started(self, begun: tuple[Run, subprocess.Popen[bytes]]) -> None:
        run, process = begun
        self._workers = [worker for worker in self._workers if worker.poll() is None] + [process]
        self._is_starting = False
        self._show_obstacle()
        self.started.emit(run)

    def _has_failed(self, error: HoneError) -> None:
        self._is_starting = False
        self._show_obstacle()
        self.plan.set_note(error.message, is_error=True)

    def _apply(self, name: str) -> None:
        preset = next(preset for preset in PRESETS if preset.name == name)
        self._draft.replace(applied(preset, self._draft.config), as_origin=True)

    def _rename(self) -> None:
        self._draft.rename(self.name.text().strip())
        self._show_name(self._draft.name)

    def _show(self, config: RunConfig) -> None:
        preset = preset_of(config)
        for name, chip in self.preset_chips.items():
            chip.setChecked(preset is not None and preset.name == name)
        self._show_name(self._draft.name)

    def _show_name(self, name: str) -> None:
        if not (self.name.hasFocus() and self.name.isModified()):
            self.name.setText(name)

    def _show_obstacle(self) -> None:
        if self._is_starting:
            return
        obstacle = self.obstacle
        self.plan.start.setEnabled(not obstacle)
        is_mistake = bool(obstacle) and obstacle != self.planner.waiting_for and not self.model.known
        estimate = self.planner.plan.estimate if self.planner.plan else None
        if not obstacle and estimate is not None and estimate.verdict == "does not fit" and not self.planner.gpu:
            self.plan.set_note("It will likely run out of memory; Hone then halves the batch and goes on.")
            return
        self.plan.set_note(obstacle, is_error=is_mistake)

    # A file dropped anywhere on the page is the data; a folder is the model.

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if path := _dropped(event):
            event.acceptProposedAction()
            restyle(self.model_card if path.is_dir() else self.data_card, state="drop")

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        self._end_drag()

    def dropEvent(self, event: QDropEvent) -> None:
        self._end_drag()
        if path := _dropped(event):
            event.acceptProposedAction()
            self._draft.choose_model(str(path)) if path.is_dir() else self._draft.set("data.source", str(path))

    def _end_drag(self) -> None:
        restyle(self.model_card, state="wrong" if self.model.error else "")
        restyle(self.data_card, state="wrong" if self.data.error else "")


def _dropped(event: QDropEvent) -> Path | None:
    urls = event.mimeData().urls()
    return Path(urls[0].toLocalFile()) if len(urls) == 1 and urls[0].isLocalFile() else None


def _start(store: RunStore, config: RunConfig, name: str) -> tuple[Run, subprocess.Popen[bytes]]:
    run = store.create(config, name)
    return run, start_training(run)
