"""The run's record: appends events, and keeps those that a full disk refuses until it takes them."""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path

from core.events import Event, EventWriter
from core.worker.failure import is_disk_full

MOST_WAITING = 100_000


class Journal:
    """Writes events to a run's file. A full disk never ends a run: events wait and keep their order."""

    def __init__(self, path: Path) -> None:
        self._writer = EventWriter(path)
        self._waiting: deque[Event] = deque(maxlen=MOST_WAITING)
        self._turn = threading.Lock()

    def write(self, event: Event) -> None:
        with self._turn:
            self._write(event)

    def write_last(self, event: Event) -> None:
        """Write an event after which there is none: whoever writes later waits for the end of the process."""
        self._turn.acquire()
        self._write(event)
        self.close()

    def _write(self, event: Event) -> None:
        self._waiting.append(event)
        while self._waiting:
            try:
                self._writer.write(self._waiting[0])
            except OSError as error:
                if is_disk_full(error):
                    return
                raise
            self._waiting.popleft()

    @property
    def num_waiting(self) -> int:
        """Events that the disk has not taken yet."""
        return len(self._waiting)

    def close(self) -> None:
        self._writer.close()
