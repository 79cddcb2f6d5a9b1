"""A plot of growing curves, fast at a million points: outlines that keep every spike, zoom, and a crosshair."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QResizeEvent, QShowEvent, QWheelEvent
from PySide6.QtWidgets import QSizePolicy

from app.state.series import Column, Floats, Series
from app.theme import Theme
from app.widgets.plot_axes import STEPS, TIME, Axis, Scale
from app.widgets.plot_link import PlotLink
from app.widgets.plot_marks import Marks, pen
from app.widgets.readout import Entry, Readout

KEY_MARGIN, BARE_MARGIN = 24, 8
HEADROOM = 0.06
LABEL_HEIGHT = 20
RAW_ALPHA = round(0.35 * 255)
DRAG_PIXELS = 5
FEW_POINTS = 200
"""With more of them, a thin jagged curve looks the same without antialiasing and costs a tenth."""


@dataclass(frozen=True)
class Look:
    """How a curve is drawn; `color` is a number into the theme's curve colours."""

    color: int
    width: float = 2.0
    alpha: int = 255
    is_dashed: bool = False
    has_points: bool = False
    """Whether single values are dots, for curves with few of them."""


@dataclass
class Curve:
    """A series on the plot; `seconds` are its positions when the x axis shows time."""

    name: str
    series: Series
    seconds: Column
    look: Look
    item: Any = field(default_factory=pg.PlotCurveItem)
    dots: Any = field(default_factory=lambda: pg.ScatterPlotItem(size=4, pxMode=True))


class CurvePlot(pg.PlotWidget):
    """Call `refresh` when the series have grown; it does nothing while the plot is not to be seen."""

    def __init__(
        self, theme: Theme, link: PlotLink, scale: Scale, name: str, height: int, *, has_key: bool = False
    ) -> None:
        self._bottom, self._left = Axis("bottom", theme, STEPS), Axis("left", theme, scale)
        super().__init__(axisItems={"bottom": self._bottom, "left": self._left})
        self._theme, self._link, self._scale = theme, link, scale
        self._has_key = has_key
        self.curves: list[Curve] = []
        self.is_log = False
        self._is_stale = True
        self._pressed: QPointF | None = None
        self.setAccessibleName(name)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setFixedHeight(height)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFrameShape(self.Shape.NoFrame)
        self.viewport().setMouseTracking(True)
        plot: Any = self.getPlotItem()
        plot.setMenuEnabled(False)
        plot.hideButtons()
        plot.setContentsMargins(0, KEY_MARGIN if has_key else BARE_MARGIN, 2, 0)
        for axis in (self._bottom, self._left):
            axis.setZValue(-1000)  # hairlines run behind the curves
        self._box = plot.getViewBox()
        self._box.setMouseEnabled(False, False)
        self._box.disableAutoRange()
        self.marks = Marks(self._box, theme)
        self.readout = Readout(theme, self.viewport())
        link.changed.connect(self._stretch_changed)
        link.hovered.connect(self._point)
        theme.changed.connect(self._take_colors)
        self._take_colors()

    # What is shown

    def add(self, name: str, series: Series, seconds: Column, look: Look) -> Curve:
        curve = Curve(name, series, seconds, look)
        curve.item.setSegmentedLineMode("off" if look.is_dashed else "on")
        self._box.addItem(curve.item, ignoreBounds=True)
        if look.has_points:
            self._box.addItem(curve.dots, ignoreBounds=True)
        self.curves.append(curve)
        self._color(curve)
        self._is_stale = True
        return curve

    def clear_curves(self) -> None:
        for curve in self.curves:
            self._box.removeItem(curve.item)
            if curve.look.has_points:
                self._box.removeItem(curve.dots)
        self.curves = []
        self._is_stale = True

    def set_log(self, is_log: bool) -> None:
        self.is_log = is_log
        self._left.change(is_log=is_log)
        self.refresh()

    def refresh(self) -> bool:
        """Draw what the series now hold. Returns whether the plot is to be seen, and so has been drawn."""
        self._is_stale = not self.isVisible() or self.viewport().visibleRegion().isEmpty()
        if self._is_stale:
            return False
        left, right = self._link.range
        outlines = [self._outline(curve, left, right) for curve in self.curves]
        low, high = self._reach([ys for _, ys in outlines])
        self._left.fit_width(low, high, self._box.height())
        self._box.setRange(xRange=(left, right), yRange=(low, high), padding=0)
        self._box.updateMatrix()  # left to the next paint, it would ask for one more
        for curve, (xs, ys) in zip(self.curves, outlines, strict=True):
            is_fine = curve.look.width > 1 or len(xs) < FEW_POINTS
            curve.item.setData(xs, ys, connect="finite", antialias=is_fine)
            if curve.look.has_points:
                curve.dots.setData(xs, ys)
        self.marks.place(left, right, is_time=self._link.unit == "time", height=self._height)
        self._point()
        return True

    def _outline(self, curve: Curve, left: float, right: float) -> tuple[Floats, Floats]:
        along = None if self._link.unit == "step" else curve.seconds.values
        num_bins = max(64, round(self._box.width() / 2))
        xs, ys = curve.series.outline(left, right, num_bins, along)
        return xs, self._heights(ys)

    def _heights(self, values: Floats) -> Floats:
        """Values as heights on the plot: themselves, or their logarithms where they have one."""
        if not self.is_log:
            return values
        with np.errstate(divide="ignore", invalid="ignore"):
            heights = np.log10(values)
        return np.where(np.isfinite(heights), heights, np.nan)

    def _height(self, value: float) -> float:
        return float(self._heights(np.array([value]))[0])

    def _reach(self, heights: list[Floats]) -> tuple[float, float]:
        """The lowest and highest height to show, with some room."""
        levels = self._heights(np.array(list(self.marks.levels.values()), dtype=float))
        known = [part[np.isfinite(part)] for part in (*heights, levels)]
        known = [part for part in known if len(part)]
        if not known:
            return 0.0, 1.0
        low, high = float(min(part.min() for part in known)), float(max(part.max() for part in known))
        floor = self._scale.floor
        has_floor = floor is not None and not self.is_log and low >= floor
        span = high - (floor if has_floor and floor is not None else low)
        room = span * HEADROOM or abs(high) * 0.1 or 0.5
        if self.marks.levels:  # their names stand above them
            room = max(room, span * LABEL_HEIGHT / max(self._box.height() - LABEL_HEIGHT, 1))
        return (floor, high + room) if has_floor and floor is not None else (low - room, high + room)

    def _point(self) -> None:
        """Stand the crosshair where the pointer is on any of the linked plots, and name the values there."""
        at, (left, right) = self._link.hover, self._link.range
        if at is not None and not left <= at <= right:
            at = None
        self.marks.cross(at)
        heading = "" if at is None else TIME.words(at) if self._link.unit == "time" else f"step {STEPS.words(at)}"
        is_shown = at is not None or self._has_key
        self.readout.show_entries(heading, [self._entry(curve, at) for curve in self.curves] if is_shown else [])
        self.readout.setVisible(is_shown)
        self._place_readout()

    def _entry(self, curve: Curve, at: float | None) -> Entry:
        words = ""
        if at is not None and len(curve.series):
            along = curve.series.positions if self._link.unit == "step" else curve.seconds
            value = float(curve.series.values[nearest(along.values[: len(curve.series)], at)])
            words = self._scale.words(value) if math.isfinite(value) else "not a number"
        name = curve.name if self._has_key else ""
        return Entry(name, self._ink(curve.look), curve.look.is_dashed, words)

    def _place_readout(self) -> None:
        self.readout.resize(self.readout.sizeHint())
        is_key = self._has_key  # alone, the values stand at the left, clear of the words on a level
        self.readout.move(
            self.viewport().width() - self.readout.width() if is_key else round(self._left.width()), 0
        )

    # Colours

    def _take_colors(self) -> None:
        self.setBackground(self._theme.color("card"))
        for axis in (self._bottom, self._left):
            axis.redraw()
        for curve in self.curves:
            self._color(curve)
        self.marks.repaint()
        self._point()

    def _color(self, curve: Curve) -> None:
        style = Qt.PenStyle.CustomDashLine if curve.look.is_dashed else Qt.PenStyle.SolidLine
        line = pen(self._ink(curve.look), curve.look.width, style)
        if curve.look.is_dashed:
            line.setDashPattern([4, 2.5])
        curve.item.setPen(line)
        curve.dots.setPen(None)
        curve.dots.setBrush(self._ink(curve.look))

    def _ink(self, look: Look) -> QColor:
        color = QColor(self._theme.tokens.curves[look.color])
        color.setAlpha(look.alpha)
        return color

    # What a person does

    def _stretch_changed(self) -> None:
        self._bottom.change(TIME if self._link.unit == "time" else STEPS)
        self.refresh()

    def _x_at(self, point: QPointF) -> float:
        return self._box.mapSceneToView(self.mapToScene(point.toPoint())).x()

    def mouseMoveEvent(self, ev: QMouseEvent) -> None:
        here = ev.position()
        self._link.point_at(self._x_at(here))
        if self._pressed is not None and abs(here.x() - self._pressed.x()) > DRAG_PIXELS:
            (_, _), (low, high) = self._box.viewRange()
            one, other = self._x_at(self._pressed), self._x_at(here)
            self.marks.select(QRectF(min(one, other), low, abs(other - one), high - low))

    def mousePressEvent(self, ev: QMouseEvent) -> None:
        if ev.button() == Qt.MouseButton.LeftButton:
            self._pressed = ev.position()

    def mouseReleaseEvent(self, ev: QMouseEvent) -> None:
        pressed, self._pressed = self._pressed, None
        self.marks.select(None)
        if pressed is not None and abs(ev.position().x() - pressed.x()) > DRAG_PIXELS:
            one, other = self._x_at(pressed), self._x_at(ev.position())
            self._link.zoom(min(one, other), max(one, other))

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self._link.reset()

    def leaveEvent(self, ev: QEvent) -> None:
        self._link.point_at(None)

    def wheelEvent(self, ev: QWheelEvent) -> None:
        """With Ctrl it zooms, sideways it moves; otherwise the page scrolls."""
        turn = ev.angleDelta()
        if ev.modifiers() & Qt.KeyboardModifier.ControlModifier and turn.y():
            self._link.magnify(0.999 ** turn.y(), self._x_at(ev.position()))
        elif abs(turn.x()) > abs(turn.y()) and self._link.is_zoomed:
            self._link.move(-turn.x() / 1200)
        else:
            ev.ignore()
            return
        ev.accept()

    def keyPressEvent(self, ev: QKeyEvent) -> None:
        match ev.key():
            case Qt.Key.Key_Plus | Qt.Key.Key_Equal:
                self._link.magnify(0.7)
            case Qt.Key.Key_Minus:
                self._link.magnify(1 / 0.7)
            case Qt.Key.Key_Left:
                self._link.move(-0.15)
            case Qt.Key.Key_Right:
                self._link.move(0.15)
            case Qt.Key.Key_0 | Qt.Key.Key_Home:
                self._link.reset()
            case _:
                ev.ignore()

    def resizeEvent(self, ev: QResizeEvent | None) -> None:
        super().resizeEvent(ev)
        if hasattr(self, "readout"):  # the parent class calls this while it is being made
            self._place_readout()
            self.refresh()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.refresh()

    def paintEvent(self, ev: Any) -> None:
        if self._is_stale:  # it has been scrolled into sight
            self.refresh()
        super().paintEvent(ev)


def nearest(positions: Floats, at: float) -> int:
    """The index of the position nearest to a place; positions never fall and there is at least one."""
    after = int(np.searchsorted(positions, at))
    if after in (0, len(positions)):
        return max(0, after - 1)
    return after if positions[after] - at < at - positions[after - 1] else after - 1
