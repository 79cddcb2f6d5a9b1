"""The device's memory at the sidebar's foot: used by our runs, used by others, free."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPaintEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from app.state.memory_watch import MemoryWatch
from app.theme import Theme
from app.widgets.label import ElidedLabel, Label, set_tooltip
from core.figures import gib


class DeviceMeter(QFrame):
    """Listens to the memory watch; shows nothing but a dash until the first look is done."""

    def __init__(self, watch: MemoryWatch, theme: Theme) -> None:
        super().__init__()
        self._watch = watch
        self._name = ElidedLabel("", "strong")
        self._total = Label("", "strong")
        self._bar = _Bar(theme)
        self._words = Label("", "small", wrap=True)
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 0, 4, 0)
        column.setSpacing(6)
        top = QHBoxLayout()
        top.setSpacing(8)
        top.addWidget(self._name, 1)
        top.addWidget(self._total)
        column.addLayout(top)
        column.addWidget(self._bar)
        column.addWidget(self._words)
        watch.changed.connect(self._show)
        self._show()

    def _show(self) -> None:
        device = self._watch.device
        if device is None:
            self._name.setText("Looking at memory")
            self._words.setText("–")
            return
        ours = device.used_by_us_bytes
        others = device.others_bytes
        self._name.setText(device.name)
        self._total.setText(gib(device.total_bytes, 0))
        self._bar.show_shares(ours / device.total_bytes, others / device.total_bytes)
        used = f"{gib(ours)} ours" if ours >= 2**26 else f"{gib(others)} others"
        self._words.setText(f"{used} · {gib(device.free_bytes)} free")
        set_tooltip(self, f"{gib(ours)} of Hone's, {gib(others)} of other programs, {gib(device.free_bytes)} free")
        self.setAccessibleName(f"Memory of {device.name}: {self._words.text()}")


class _Bar(QWidget):
    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme, self._ours, self._others = theme, 0.0, 0.0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme.changed.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(100, 8)

    def show_shares(self, ours: float, others: float) -> None:
        self._ours, self._others = ours, others
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        tokens, painter = self._theme.tokens, QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box, round_off = QRectF(self.rect()), QPainterPath()
        round_off.addRoundedRect(box, 4, 4)
        painter.setClipPath(round_off)
        painter.fillRect(box, QColor(tokens.line))
        ours = box.width() * self._ours
        painter.fillRect(QRectF(0, 0, ours, box.height()), QColor(tokens.accent))
        painter.fillRect(QRectF(ours, 0, box.width() * self._others, box.height()), QColor(tokens.others))
