"""The page of one run: watch it learn, read along, and step in."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from PySide6.QtCore import Qt, QTimer, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QHideEvent, QKeySequence, QPixmap, QResizeEvent, QShortcut, QShowEvent
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QVBoxLayout, QWidget

from app.pages.run.header import RunHeader
from app.pages.run.loss_card import LossCard
from app.pages.run.notes_cards import SettingsCard, ToldCard
from app.pages.run.samples_card import SamplesCard
from app.pages.run.small_cards import MemoryCard, NormCard, RateCard
from app.pages.run.trouble import Trouble
from app.pages.run.waiting import Waiting
from app.state.background import Background
from app.state.live_run import LiveRun
from app.theme import PAGE_MARGIN, Theme
from app.widgets.curve_plot import CurvePlot
from app.widgets.plot_link import PlotLink
from app.widgets.scrolled import scrolled
from app.widgets.toast import Toast
from core import durable
from core.errors import HoneError
from core.runs import Run, RunStore

GAP = 12
TURN_MS = 4
LOSS_HEIGHTS = 220, 440
LOSS_SHARE = 0.33
EARLY_SHARE = 0.3
EARLY_ROOM = 1.6


class RunPage(QWidget):
    """`open` a run on it; it follows the run for as long as it is in sight."""

    compare_requested = Signal(object)
    back_requested = Signal()
    duplicated = Signal(object)
    """A RunConfig for a new run that begins with this one's settings."""

    def __init__(self, theme: Theme, store: RunStore, background: Background) -> None:
        super().__init__()
        self.setObjectName("page")
        self._theme, self._store, self._background = theme, store, background
        self.live: LiveRun | None = None
        self.link = PlotLink(self)
        self.header = RunHeader(theme)
        self.trouble = Trouble(theme)
        self.waiting = Waiting(theme)
        self.loss, self.memory = LossCard(theme, self.link), MemoryCard(theme, self.link)
        self.rate, self.norm = RateCard(theme, self.link), NormCard(theme, self.link)
        self.samples, self.told, self.settings = SamplesCard(theme), ToldCard(theme), SettingsCard(theme)
        self.plots = [self.loss.plot, self.memory.plot, self.rate.plot, self.norm.plot]
        self.toast = Toast(self)
        self._waiting: list[CurvePlot] = []
        self._turns = QTimer(self)
        self._turns.setSingleShot(True)
        self._turns.setInterval(TURN_MS)
        self._turns.timeout.connect(self._draw_next)
        self._lay_out()
        self._connect()

    def open(self, run: Run) -> None:
        """Show this run, live or finished, from its beginning."""
        if self.live is not None:
            self.live.pause()
            self.live.deleteLater()
        self.live = live = LiveRun(run, self._background, self)
        self.link.reset()
        for card in (self.loss, self.memory, self.rate, self.norm, self.samples, self.told, self.settings):
            card.follow(live)
        live.advanced.connect(self._refresh)
        live.refused.connect(self.toast.say)
        self.trouble.show_words(None)
        self._refresh()
        if self.isVisible():
            live.start()

    # Layout

    def _lay_out(self) -> None:
        inside = QWidget()
        inside.setObjectName("scrolled")
        column = QVBoxLayout(inside)
        column.setContentsMargins(PAGE_MARGIN, 4, PAGE_MARGIN, PAGE_MARGIN)
        column.setSpacing(GAP)
        column.addWidget(self.trouble)
        column.addWidget(self.waiting)
        column.addWidget(self.loss)
        column.addLayout(_row((self.memory, 1), (self.rate, 1), (self.norm, 1)))
        column.addWidget(self.samples)
        column.addLayout(_row((self.told, 3), (self.settings, 2)))
        column.addStretch(1)
        self.scrolled = scrolled(inside)
        bar = self.scrolled.verticalScrollBar()
        bar.rangeChanged.connect(
            lambda low, high: column.setContentsMargins(
                PAGE_MARGIN, 4, PAGE_MARGIN - (bar.sizeHint().width() if high > low else 0), PAGE_MARGIN
            )
        )
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        head = QVBoxLayout()
        head.setContentsMargins(PAGE_MARGIN, PAGE_MARGIN - 4, PAGE_MARGIN, 12)
        head.addWidget(self.header)
        whole.addLayout(head)
        whole.addWidget(self.scrolled, 1)

    def _connect(self) -> None:
        header = self.header
        header.back_pressed.connect(self.back_requested)
        header.compare_pressed.connect(lambda: self.live and self.compare_requested.emit(self.live.run))
        for signal, wish in (
            (header.sample_pressed, lambda live: live.sample_now()),
            (header.save_pressed, lambda live: live.save_now()),
            (header.stop_pressed, lambda live: live.stop()),
            (header.resume_pressed, lambda live: live.resume()),
            (self.trouble.resume_pressed, lambda live: live.resume()),
        ):
            signal.connect(lambda wish=wish: self.live and wish(self.live))
        header.sample_pressed.connect(lambda: self.toast.say("Asked for samples; they come after this step."))
        header.save_pressed.connect(
            lambda: self.toast.say("Asked for a checkpoint; it is written after this step.")
        )
        self.trouble.folder_pressed.connect(self.open_folder)
        self.trouble.mended.connect(self.duplicated)
        self.settings.again.clicked.connect(self._duplicate)
        self.loss.png_wanted.connect(self._choose_png)
        self.loss.csv_wanted.connect(self._choose_csv)
        shortcut = QShortcut(QKeySequence(Qt.Key.Key_Escape), self)
        shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        shortcut.activated.connect(self.back_requested)

    # What is shown

    def _refresh(self) -> None:
        """Show what one tick has brought, all of it in one go."""
        live = self.live
        if live is None:
            return
        self.header.show_run(live)
        self.trouble.show_run(live)
        self.waiting.show_run(live)
        has_steps = len(live.steps) > 0
        for card in (self.loss, self.memory, self.rate, self.norm):
            card.setVisible(has_steps)
        self.told.setVisible(bool(live.told))
        self.samples.setVisible(has_steps or bool(live.samples))
        self.link.set_full(*reach_of(live))
        for card in (self.loss, self.memory, self.rate, self.norm, self.samples, self.told):
            card.refresh()
        self._waiting = list(self.plots)
        self._turns.start()

    def _draw_next(self) -> None:
        """Plots take turns, each painted before the next is drawn, so that the window is never away for long."""
        while self._waiting:
            if self._waiting.pop(0).refresh():
                self._turns.start()
                return

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        low, high = LOSS_HEIGHTS
        self.loss.plot.setFixedHeight(min(max(low, round(self.height() * LOSS_SHARE)), high))

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if self.live is not None:
            self.live.start()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        if self.live is not None:
            self.live.pause()

    # What a person asks for

    def open_folder(self) -> None:
        if self.live is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self.live.run.folder)))

    def _duplicate(self) -> None:
        if self.live is None:
            return
        try:
            self.duplicated.emit(self.live.run.config)
        except HoneError as error:
            self.toast.say(error.message)

    def _choose_png(self) -> None:
        if path := self._choose("png", "Pictures (*.png)"):
            self.save_png(path)

    def _choose_csv(self) -> None:
        if path := self._choose("csv", "Tables (*.csv)"):
            self.save_csv(path)

    def _choose(self, ending: str, kinds: str) -> Path | None:
        if self.live is None:
            return None
        chosen, _ = QFileDialog.getSaveFileName(self, "Save", f"{self.live.run.name}.{ending}", kinds)
        return Path(chosen) if chosen else None

    def save_png(self, path: Path) -> None:
        """The loss card as a picture, twice as fine as on an ordinary screen."""
        card = self.loss
        picture = QPixmap(card.size() * 2)
        picture.setDevicePixelRatio(2)
        card.render(picture)
        saved = picture.save(str(path), "PNG")
        self.toast.say(f"Saved {path.name}." if saved else f"{path} cannot be written; choose another folder.")

    def save_csv(self, path: Path) -> None:
        """Every step's figures, one row each, with the held-out loss where it was measured."""
        if self.live is None:
            return
        columns, scores = columns_of(self.live), scores_of(self.live)

        def write() -> None:
            try:
                durable.write_file(path, table(columns, scores))
            except OSError as error:
                raise HoneError(f"{path} cannot be written ({error.strerror}); choose another folder.") from None

        self._background.run(
            self,
            write,
            lambda _: self.toast.say(f"Saved {path.name}."),
            lambda error: self.toast.say(error.message),
        )


def reach_of(live: LiveRun) -> tuple[float, float]:
    """How far the plots reach, in steps and seconds: to the end of the run, but early on not so far that what
    there is would be a speck."""
    history = live.history
    step, total = history.step, history.total_steps
    seconds = float(live.seconds.values[-1]) if len(live.seconds) else 0.0
    if live.state != "live" or step >= total:
        return step, seconds
    reach = total if step >= EARLY_SHARE * total else min(total, max(20, _rounded_up(step * EARLY_ROOM)))
    return reach, seconds * reach / max(1, step)


def _rounded_up(number: float) -> float:
    """The next number with one or two figures that matter, so that the axis stands still for a while."""
    step = 10 ** max(0, len(str(int(number))) - 2)
    return -(-number // step) * step


def columns_of(live: LiveRun) -> dict[str, list[float]]:
    """Every figure of every step so far, by name."""
    series = {name: series.values.tolist() for name, series in live.series.items()}
    return {"step": live.steps.values.tolist(), "seconds": live.seconds.values.tolist(), **series}


def scores_of(live: LiveRun) -> dict[float, float]:
    """The held-out loss by step."""
    return dict(zip(live.scores.positions.values.tolist(), live.scores.values.tolist(), strict=True))


def table(columns: dict[str, list[float]], scores: dict[float, float]) -> str:
    """The figures as CSV; `held_out_loss` is empty where nothing was measured."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*columns, "held_out_loss"])
    for step, seconds, *values in zip(*columns.values(), strict=True):
        writer.writerow([int(step), f"{seconds:.3f}", *values, scores.get(step, "")])
    return text.getvalue()


def _row(*cards: tuple[QWidget, int]) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(GAP)
    for card, stretch in cards:
        row.addWidget(card, stretch)
    return row
