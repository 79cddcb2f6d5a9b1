"""The device's memory, looked at every two seconds: what this program uses, what others use, what is free."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal

from app.state.background import Background
from core.errors import HoneError

if TYPE_CHECKING:
    from core.hardware import Device

INTERVAL_MS = 2000


class MemoryWatch(QObject):
    """`device` is None until the first look is done. `changed` is emitted when a figure moved."""

    changed = Signal()

    def __init__(self, background: Background, wanted: str = "auto") -> None:
        super().__init__()
        self._background, self._wanted = background, wanted
        self.device: Device | None = None
        self.alike: list[Device] = []
        """Every device of its kind."""
        self.error = ""
        self._pids: frozenset[int] = frozenset()
        self._is_looking = False
        self._timer = QTimer(self)
        self._timer.setInterval(INTERVAL_MS)
        self._timer.timeout.connect(self.look)

    def start(self) -> None:
        self._timer.start()
        self.look()

    def stop(self) -> None:
        self._timer.stop()

    def want(self, kind: str) -> None:
        """Watch another device: auto, cpu, cuda or mps."""
        if kind != self._wanted:
            self._wanted = kind
            self.look()

    def count_as_ours(self, pids: Iterable[int]) -> None:
        """Processes whose memory is this program's, beside the window's own."""
        self._pids = frozenset(pids)

    def look(self) -> None:
        if self._is_looking:
            return
        self._is_looking = True
        wanted, pids = self._wanted, self._pids
        self._background.run(
            self,
            lambda: _devices(wanted, pids),
            lambda found: self._seen(found[0], wanted, found[1]),
            lambda error: self._missing(error, wanted),
        )

    def _seen(self, device: Device, wanted: str, alike: Sequence[Device] = ()) -> None:
        self._is_looking = False
        if wanted != self._wanted:
            self.look()
        elif device != self.device or self.error or self.alike != list(alike):
            self.device, self.alike, self.error = device, list(alike), ""
            self.changed.emit()

    def _missing(self, error: HoneError, wanted: str) -> None:
        self._is_looking = False
        if wanted != self._wanted:
            self.look()
        elif error.message != self.error:
            self.device, self.error = None, error.message
            self.changed.emit()


def _devices(wanted: str, pids: frozenset[int]) -> tuple[Device, list[Device]]:
    from core.hardware import choose_device, devices  # loads the GPU libraries: never before the first paint

    found = devices(pids)
    chosen = choose_device(wanted, found)
    return chosen, [device for device in found if device.kind == chosen.kind]
