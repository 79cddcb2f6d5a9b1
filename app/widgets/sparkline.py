"""A curve the size of a word: only its shape, with a dot where it ends."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPolygonF


def draw_sparkline(painter: QPainter, area: QRectF, values: Sequence[float], color: QColor) -> None:
    """Draw the finite values from left to right, the lowest at the foot of the area, the highest at its head."""
    known = [(index, value) for index, value in enumerate(values) if math.isfinite(value)]
    if not known:
        return
    low, high = min(value for _, value in known), max(value for _, value in known)
    across, up = area.width() / max(1, len(values) - 1), area.height() / ((high - low) or 1.0)
    middle = area.center().y() if high == low else None
    points = [
        QPointF(area.left() + index * across, area.bottom() - (value - low) * up if middle is None else middle)
        for index, value in known
    ]
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(color, 1.5, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin))
    painter.drawPolyline(QPolygonF(points))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(color)
    painter.drawEllipse(points[-1], 2.5, 2.5)
    painter.restore()
