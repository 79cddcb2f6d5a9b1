"""The smaller curves: memory against what was predicted, learning rate, gradient norm.

Each card's `refresh` sets its words and marks; the page says when its plot is drawn.
"""

from __future__ import annotations

import math

import numpy as np

from app.state.live_run import LiveRun
from app.theme import Theme
from app.widgets.card import Card
from app.widgets.curve_plot import CurvePlot, Look
from app.widgets.label import set_tooltip
from app.widgets.plot_axes import BYTES, NORM, RATE
from app.widgets.plot_link import PlotLink
from core import figures

HEIGHT = 148


class MemoryCard(Card):
    """Memory of the whole worker after each step, and the peak that was predicted."""

    def __init__(self, theme: Theme, link: PlotLink) -> None:
        super().__init__("Memory", " ")
        self._live: LiveRun | None = None
        self.plot = CurvePlot(theme, link, BYTES, "Memory over the run", HEIGHT)
        self.body.addWidget(self.plot, 1)

    def follow(self, live: LiveRun) -> None:
        self._live = live
        self.plot.clear_curves()
        self.plot.add("memory", live.series["memory_bytes"], live.seconds, Look(2, 1.6))
        self.refresh()

    def refresh(self) -> None:
        if self._live is None:
            return
        history = self._live.history
        predicted, evidence = history.predicted_peak_bytes, history.evidence
        by_whom = ", corrected by past runs" if evidence else ""
        self.plot.marks.set_level("predicted", predicted or None, f"{figures.size(predicted)} predicted{by_whom}")
        set_tooltip(self, evidence)
        parts: list[tuple[float, str]] = []
        if self._live.state == "live" and history.memory_bytes:
            parts.append((history.memory_bytes, "now"))
        if history.peak_bytes:
            parts.append((history.peak_bytes, "peak"))
        words = [sizes(parts)] if parts else []
        if self._live.state != "live" and predicted and history.peak_bytes:
            words.append(against_prediction(history.peak_bytes, predicted))
        self.set_summary(" · ".join(words))


class RateCard(Card):
    """The learning rate of each step."""

    def __init__(self, theme: Theme, link: PlotLink) -> None:
        super().__init__("Learning rate", " ")
        self._live: LiveRun | None = None
        self.plot = CurvePlot(theme, link, RATE, "Learning rate over the run", HEIGHT)
        self.body.addWidget(self.plot, 1)

    def follow(self, live: LiveRun) -> None:
        self._live = live
        self.plot.clear_curves()
        self.plot.add("learning rate", live.series["learning_rate"], live.seconds, Look(3, 1.6))
        self.refresh()

    def refresh(self) -> None:
        if self._live is None:
            return
        rates = self._live.series["learning_rate"].values
        is_live = self._live.state == "live"
        rate = (float(rates[-1]) if is_live else float(np.nanmax(rates))) if len(rates) else math.nan
        words = figures.scientific(float(f"{rate:.3g}")) if math.isfinite(rate) else ""
        self.set_summary(words if is_live or not words else f"{words} at most")


class NormCard(Card):
    """The gradient norm of each step before it is clipped."""

    def __init__(self, theme: Theme, link: PlotLink) -> None:
        super().__init__("Gradient norm", " ")
        self._live: LiveRun | None = None
        self.plot = CurvePlot(theme, link, NORM, "Gradient norm over the run", HEIGHT)
        self.body.addWidget(self.plot, 1)

    def follow(self, live: LiveRun) -> None:
        self._live = live
        self.plot.clear_curves()
        self.plot.add("gradient norm", live.series["grad_norm"], live.seconds, Look(4, 1.0))
        self.refresh()

    def refresh(self) -> None:
        if self._live is None:
            return
        norms = self._live.series["grad_norm"].values
        last = float(norms[-1]) if len(norms) else math.nan
        self.set_summary(f"{last:.3g}" if math.isfinite(last) else "")


def against_prediction(measured: int, predicted: int) -> str:
    """How far the peak was from what was predicted: "8% under plan"."""
    percent = round(100 * (measured / predicted - 1))
    return f"{abs(percent)}% {'over' if percent > 0 else 'under'} plan" if percent else "as planned"


def sizes(parts: list[tuple[float, str]]) -> str:
    """Amounts with their names, the unit said once where all have the same: "311 MiB now · 332 peak"."""
    words = [(*figures.size(amount).split(" "), name) for amount, name in parts]
    if len({unit for _, unit, _ in words}) > 1:
        return " · ".join(f"{amount} {unit} {name}" for amount, unit, name in words)
    return " · ".join(f"{amount}{'' if i else f' {unit}'} {name}" for i, (amount, unit, name) in enumerate(words))
