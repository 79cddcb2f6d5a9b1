"""Python's garbage is collected on the window's thread alone."""

from __future__ import annotations

import gc

from PySide6.QtCore import QObject, QTimer

LOOK_MS = 200


class Collector(QObject):
    """Collects when Python would, but on the thread that it was made on.

    Python collects on whichever thread happens to fill its measure. On one that reads data it would end widgets
    and timers of the window's there, and the window's thread would go on with what is no more.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        gc.disable()
        timer = QTimer(self)
        timer.timeout.connect(self.look)
        timer.start(LOOK_MS)

    def look(self) -> None:
        """Collect the oldest generation whose measure is full."""
        full = (n for n in (2, 1, 0) if gc.get_count()[n] > gc.get_threshold()[n])
        if (generation := next(full, None)) is not None:
            gc.collect(generation)
