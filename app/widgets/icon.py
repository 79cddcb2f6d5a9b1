"""Stroke icons from resources/icons, painted in any colour and crisp at any scale."""

from __future__ import annotations

from functools import lru_cache

from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import QGuiApplication, QIcon, QPainter, QPixmap

from core.places import RESOURCES


def icon(name: str, color: str, size: int = 16) -> QIcon:
    """The icon as a QIcon for buttons; `color` is #RRGGBB."""
    return QIcon(pixmap(name, color, size))


def pixmap(name: str, color: str, size: int = 16) -> QPixmap:
    """The icon as a square picture of `size` device-independent pixels."""
    app = QGuiApplication.instance()
    ratio = app.devicePixelRatio() if isinstance(app, QGuiApplication) else 1.0
    return _render(name, color, size, ratio)


@lru_cache(maxsize=256)
def _render(name: str, color: str, size: int, ratio: float) -> QPixmap:
    from PySide6.QtSvg import QSvgRenderer  # only pages with icons pay for it

    text = (RESOURCES / "icons" / f"{name}.svg").read_text(encoding="utf-8").replace("currentColor", color)
    picture = QPixmap(round(size * ratio), round(size * ratio))
    picture.setDevicePixelRatio(ratio)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    QSvgRenderer(QByteArray(text.encode())).render(painter, QRectF(0, 0, size, size))
    painter.end()
    return picture
