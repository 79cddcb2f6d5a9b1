"""What the plots of one run have in common: the unit of their x axis, the stretch shown, the crosshair."""

from __future__ import annotations

from typing import Literal

from PySide6.QtCore import QObject, Signal

Unit = Literal["step", "time"]
MIN_SPAN = {"step": 4.0, "time": 1.0}


class PlotLink(QObject):
    """Every plot listens to it, and whatever a person does to one of them goes through it."""

    changed = Signal()
    """The unit or the stretch shown."""
    hovered = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.unit: Unit = "step"
        self.hover: float | None = None
        """Where the crosshair stands, in the unit; None when the pointer is on no plot."""
        self._full = {"step": (0.0, 1.0), "time": (0.0, 1.0)}
        self._zoom: tuple[float, float] | None = None

    @property
    def range(self) -> tuple[float, float]:
        """The left and right end of what is shown."""
        return self._zoom or self._full[self.unit]

    @property
    def is_zoomed(self) -> bool:
        return self._zoom is not None

    def set_unit(self, unit: Unit) -> None:
        if unit != self.unit:
            self.unit, self._zoom, self.hover = unit, None, None
            self.changed.emit()

    def set_full(self, steps: float, seconds: float) -> None:
        """How far the whole plot reaches, in both units; plots redraw only when they are told to."""
        self._full = {"step": (0.0, max(steps, 1.0)), "time": (0.0, max(seconds, 1.0))}

    def zoom(self, left: float, right: float) -> None:
        """Show this stretch, kept inside the whole; as much as the whole means no zoom."""
        low, high = self._full[self.unit]
        span = min(max(right - left, MIN_SPAN[self.unit]), high - low)
        middle = (left + right) / 2
        left = min(max(middle - span / 2, low), high - span)
        zoom = None if span >= high - low else (left, left + span)
        if zoom != self._zoom:
            self._zoom = zoom
            self.changed.emit()

    def magnify(self, factor: float, at: float | None = None) -> None:
        """Show `factor` times as much, with the position `at` staying where it is."""
        left, right = self.range
        at = (left + right) / 2 if at is None else at
        self.zoom(at - (at - left) * factor, at + (right - at) * factor)

    def move(self, share: float) -> None:
        """Shift what is shown by a share of its width."""
        left, right = self.range
        self.zoom(left + share * (right - left), right + share * (right - left))

    def reset(self) -> None:
        if self._zoom is not None:
            self._zoom = None
            self.changed.emit()

    def point_at(self, position: float | None) -> None:
        if position != self.hover:
            self.hover = position
            self.hovered.emit()
