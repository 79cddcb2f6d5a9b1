"""Axes of a plot: hairlines at round numbers with small labels beside them, and no frame."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPen

from app.theme import Theme, sized
from core import figures

LABEL_GAP = 10
BOTTOM_HEIGHT = 22
DAY, HOUR, MINUTE = 86400.0, 3600.0, 60.0


@dataclass(frozen=True)
class Scale:
    """How a quantity is labelled: `label(value, step)` on the axis, `words(value)` where one value is named."""

    label: Callable[[float, float], str]
    words: Callable[[float], str]
    floor: float | None = None
    """Shown even when no value comes near it."""
    is_binary: bool = False
    is_whole: bool = False


def decimals(value: float, step: float) -> str:
    """The value with as many decimals as the step between labels needs."""
    places = max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 0
    return f"{value:,.{min(places, 9)}f}"


LOSS = Scale(decimals, lambda value: f"{value:.3f}")
NORM = Scale(decimals, lambda value: f"{value:.3g}", floor=0.0)
RATE = Scale(lambda value, _: figures.scientific(value), figures.scientific, floor=0.0)
BYTES = Scale(lambda value, _: figures.size(value) if value else "0", figures.size, floor=0.0, is_binary=True)
STEPS = Scale(lambda value, _: figures.whole(value), figures.whole, is_whole=True)
TIME = Scale(lambda value, _: _clock(value), figures.duration)


def round_values(low: float, high: float, most: int, scale: Scale) -> tuple[list[float], float]:
    """At most `most` + 1 round values from low to high, and the step between them."""
    span = high - low
    if not (math.isfinite(span) and span > 0):
        return [], 0.0
    step = _round_step(span / max(1, most), scale)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)], step


def log_values(low: float, high: float, most: int) -> list[float]:
    """Logarithms of round values between two logarithms: 1, 2, 5, 10, ... or only powers of ten, if many."""
    if not (math.isfinite(high - low) and high > low):
        return []
    for digits in ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        powers = range(math.floor(low) - 1, math.ceil(high) + 1)
        found = [math.log10(digit) + power for power in powers for digit in digits]
        inside = [value for value in found if low - 1e-9 <= value <= high + 1e-9]
        if len(inside) <= most + 1:
            return inside
    return inside[:: -(-len(inside) // (most + 1))]


def _round_step(wanted: float, scale: Scale) -> float:
    if scale is TIME:
        choices = [1, 2, 5, 10, 15, 30] + [m * MINUTE for m in (1, 2, 5, 10, 15, 30)]
        choices += [h * HOUR for h in (1, 2, 3, 6, 12)] + [DAY * 2**n for n in range(20)]
        return next((choice for choice in choices if choice >= wanted), choices[-1])
    unit = 1024.0 ** math.floor(math.log(max(wanted, 1), 1024)) if scale.is_binary else 1.0
    power = 10.0 ** math.floor(math.log10(wanted / unit))
    step = next(digit * power for digit in (1, 2, 5, 10) if digit * power >= wanted / unit * (1 - 1e-9)) * unit
    return max(1.0, step) if scale.is_whole else step


def _clock(seconds: float) -> str:
    """A label for a point in time: "0", "30 s", "5 min", "1:30 h"."""
    if seconds < MINUTE:
        return f"{seconds:.0f} s" if seconds else "0"
    if seconds < HOUR:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes}:{rest:02d} min" if rest else f"{minutes} min"
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02d} h" if rest else f"{hours} h"


class Axis(pg.AxisItem):
    """One side of a plot. `is_log` shows logarithms to base ten as the numbers they stand for."""

    def __init__(self, side: str, theme: Theme, scale: Scale) -> None:
        super().__init__(side, showValues=True)
        self._theme = theme
        self.scale_of_values = scale
        self.is_log = False
        self._font = sized(11)
        self._metrics = QFontMetricsF(self._font)
        self._widest = 0.0
        self.setGrid(255)
        if side == "bottom":
            self.setHeight(BOTTOM_HEIGHT)
        else:
            self.setWidth(36)

    def change(self, scale: Scale | None = None, is_log: bool | None = None) -> None:
        self.scale_of_values = scale or self.scale_of_values
        self.is_log = self.is_log if is_log is None else is_log
        self.redraw()

    def redraw(self) -> None:
        """Draw again with the theme's colours."""
        self.picture = None
        self.update()

    def labels(self, low: float, high: float, pixels: float) -> list[tuple[float, str]]:
        """Positions and words of the labels between two ends of the axis."""
        is_left = self.orientation == "left"
        room = (26, 60, 5) if is_left else (58, 140, 8)  # pixels a label needs, pixels it likes, labels enough
        most = max(1, int(min(pixels / room[0], max(room[2], pixels / room[1]))))
        scale = self.scale_of_values
        if self.is_log:
            values = log_values(low, high, most)
            return [(value, f"{10**value:.4g}") for value in values]
        values, step = round_values(low, high, most, scale)
        return [(value, scale.label(value, step)) for value in values]

    def fit_width(self, low: float, high: float, pixels: float) -> None:
        """Make room for the labels; never less than before, so that a running plot does not twitch."""
        widest = max(
            (self._metrics.horizontalAdvance(text) for _, text in self.labels(low, high, pixels)), default=0
        )
        if widest > self._widest:
            self._widest = widest
            self.setWidth(math.ceil(widest) + LABEL_GAP)

    def boundingRect(self) -> QRectF:
        """Half a label reaches beyond the ends of an upright axis."""
        return super().boundingRect().adjusted(0, -9, 0, 9)

    def generateDrawSpecs(self, p: QPainter) -> Any:
        view = self.linkedView()
        bounds = self.mapRectFromParent(self.geometry())
        low, high = self.range
        is_left = self.orientation == "left"
        pixels = bounds.height() if is_left else bounds.width()
        if view is None or pixels <= 0 or high <= low:
            return None
        across = view.mapRectToItem(self, view.boundingRect())
        lines, words = [], []
        pen = pg.mkPen(self._theme.color("line"), width=1)
        p.setFont(self._font)
        for value, text in self.labels(low, high, pixels):
            share = (value - low) / (high - low)
            if is_left:
                y = round(bounds.bottom() - share * bounds.height()) + 0.5
                lines.append((pen, QPointF(across.left(), y), QPointF(across.right(), y)))
                box = QRectF(bounds.left(), y - 8, bounds.width() - 4, 16)
                flags = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
            else:
                width = self._metrics.horizontalAdvance(text)
                x = bounds.left() + share * bounds.width()
                x = min(max(x - width / 2, bounds.left()), bounds.right() - width)
                box = QRectF(x, bounds.bottom() - 16, width + 2, 16)
                flags = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
            words.append((box, flags | Qt.TextFlag.TextDontClip, text))
        self._textPen = self._theme.color("secondary")
        nowhere = QPointF(-9999.0, -9999.0)
        frame = QPen(Qt.PenStyle.NoPen), nowhere, nowhere
        return frame, lines, words
