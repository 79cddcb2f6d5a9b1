"""The loss: raw and smoothed, held-out with its best, linear or logarithmic, over steps or time."""

from __future__ import annotations

import math

import numpy as np
from PySide6.QtCore import Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu

from app.state.live_run import LiveRun
from app.theme import Theme
from app.widgets.button import Button, Chip
from app.widgets.card import Card
from app.widgets.curve_plot import RAW_ALPHA, CurvePlot, Look
from app.widgets.plot_axes import LOSS
from app.widgets.plot_link import PlotLink
from app.widgets.plot_marks import Best
from core import figures

FACTORS = (0.0, 0.6, 0.9, 0.97, 0.99)
RAW = Look(0, width=1.0, alpha=RAW_ALPHA)
RAW_ALONE = Look(0, width=1.0)
SMOOTHED = Look(0, width=1.8)
HELD_OUT = Look(1, width=1.8, is_dashed=True, has_points=True)


class LossCard(Card):
    """`follow` a run, then `refresh` words and marks after each of its ticks; the page has the plot drawn."""

    png_wanted = Signal()
    csv_wanted = Signal()

    def __init__(self, theme: Theme, link: PlotLink) -> None:
        super().__init__("Loss", " ")
        self._link = link
        self._live: LiveRun | None = None
        self._factor = 0.9
        self.plot = CurvePlot(theme, link, LOSS, "Loss over the run", 236, has_key=True)
        self.log = Chip("log", checkable=True, tip="Logarithmic axis")
        self.log.toggled.connect(self.plot.set_log)
        self.smooth = Chip("", tip="How much the loss is smoothed")
        self.smooth.setMenu(self._factors())
        self.unit = Chip("step", tip="Show steps or time along the plot")
        self.unit.clicked.connect(self._turn_unit)
        self.whole = Chip("whole run", tip="Show the whole run again (double click)")
        self.whole.clicked.connect(link.reset)
        self.more = Button("", "icon", tip="Save the curves", name="Save the curves").set_icon(theme, "more")
        self.more.setMenu(self._savings())
        for widget in (self.whole, self.log, self.smooth, self.unit, self.more):
            self.add_to_header(widget)
        self.body.addWidget(self.plot, 1)
        link.changed.connect(self._show_link)
        self._show_link()
        self._name_factor()

    def follow(self, live: LiveRun) -> None:
        self._live = live
        self._draw_curves()

    def refresh(self) -> None:
        live = self._live
        if live is None:
            return
        history = live.history
        step, best = history.step, history.best
        seconds = float(live.seconds.values[-1]) if len(live.seconds) else 0.0
        self.plot.marks.now = (step, seconds) if live.state == "live" and step else None
        if best is None:
            self.plot.marks.best = None
        else:
            at = int(np.searchsorted(live.scores.positions.values, best.step))
            place = best.step, float(live.score_seconds.values[at])
            self.plot.marks.best = Best(place, best.loss, f"best {best.loss:.3f}")
        self.set_summary(self._words(live))

    def _words(self, live: LiveRun) -> str:
        history, parts = live.history, []
        smoothed = live.smooth(self._factor or 0.9).values
        if len(smoothed) and math.isfinite(smoothed[-1]):
            parts.append(f"{smoothed[-1]:.3f} smoothed")
        if history.scores and (best := history.best) is not None:
            parts.append(f"{history.scores[-1].loss:.3f} held out, best at {figures.whole(best.step)}")
        return " · ".join(parts)

    def _draw_curves(self) -> None:
        live = self._live
        if live is None:
            return
        self.plot.clear_curves()
        if self._factor:
            self.plot.add("loss", live.series["loss"], live.seconds, RAW)
            self.plot.add("smoothed", live.smooth(self._factor), live.seconds, SMOOTHED)
        else:
            self.plot.add("loss", live.series["loss"], live.seconds, RAW_ALONE)
        self.plot.add("held out", live.scores, live.score_seconds, HELD_OUT)
        self.refresh()
        self.plot.refresh()

    def _factors(self) -> QMenu:
        menu = QMenu(self)
        for factor in FACTORS:
            action = QAction(_factor_words(factor), menu)
            action.triggered.connect(lambda _=False, factor=factor: self.set_factor(factor))
            menu.addAction(action)
        return menu

    def set_factor(self, factor: float) -> None:
        """Smooth this much; 0 shows the loss of each step alone."""
        self._factor = factor
        self._name_factor()
        self._draw_curves()

    def _name_factor(self) -> None:
        self.smooth.setText(f"smooth {self._factor:g}" if self._factor else "not smoothed")

    def _turn_unit(self) -> None:
        self._link.set_unit("time" if self._link.unit == "step" else "step")

    def _show_link(self) -> None:
        self.unit.setText(self._link.unit)
        self.whole.setVisible(self._link.is_zoomed)

    def _savings(self) -> QMenu:
        menu = QMenu(self)
        for text, signal in (
            ("Save the plots as a picture …", self.png_wanted),
            ("Save the figures as CSV …", self.csv_wanted),
        ):
            action = QAction(text, menu)
            action.triggered.connect(lambda _=False, signal=signal: signal.emit())
            menu.addAction(action)
        return menu


def _factor_words(factor: float) -> str:
    return f"{factor:g}  ·  about {round(1 / (1 - factor))} steps" if factor else "Each step alone"
