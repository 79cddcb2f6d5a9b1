"""How fast past runs went on this machine and what memory they took, read on a thread from the beginning and end
of their events."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from app.state.background import Background
from core.errors import HoneError
from core.mistakes import ConfigError
from core.runs import Run, RunStore

if TYPE_CHECKING:
    from core.memory.calibration import PastPeak
    from core.plan import Pace

NEWEST = 12
PART_BYTES = 64_000


class Paces(QObject):
    """`paces` and `peaks` are empty until `look` has been answered, and where nothing has been trained yet."""

    changed = Signal()

    def __init__(self, store: RunStore, background: Background) -> None:
        super().__init__()
        self._store, self._background = store, background
        self.paces: tuple[Pace, ...] = ()
        self.peaks: tuple[PastPeak, ...] = ()

    def look(self) -> None:
        """Read again, as after a run."""
        store = self._store
        self._background.run(self, lambda: (read_paces(store), _read_peaks(store)), self._found)

    def _found(self, found: tuple[tuple[Pace, ...], tuple[PastPeak, ...]]) -> None:
        if found != (self.paces, self.peaks):
            self.paces, self.peaks = found
            self.changed.emit()


def _read_peaks(store: RunStore) -> tuple[PastPeak, ...]:
    from core.memory.past import read_past

    return read_past(store.root)


def read_paces(store: RunStore) -> tuple[Pace, ...]:
    """The paces of the newest runs that have trained at least a few steps."""
    found = (pace_of(run) for run in store.runs()[:NEWEST])
    return tuple(pace for pace in found if pace is not None)


def pace_of(run: Run) -> Pace | None:
    """One run's pace; None when it has none yet, or its files cannot be read."""
    from core.history import History, parse
    from core.plan import Pace, at_once

    history = History()
    try:
        with run.events_file.open("rb") as file:
            begin = file.read(PART_BYTES)
            file.seek(max(len(begin), run.events_file.stat().st_size - PART_BYTES))
            end = file.read(PART_BYTES)
        device = json.loads(run.environment_file.read_bytes())["device"]["name"]
        config = run.config
    except (OSError, ValueError, KeyError, TypeError, ConfigError, HoneError):
        return None
    for part in (begin[: begin.rfind(b"\n") + 1], end[end.find(b"\n") + 1 : end.rfind(b"\n") + 1]):
        history.add_all(parse(part.splitlines()))
    speed = history.tokens_per_second
    if speed is None or history.loaded is None:
        return None
    return Pace(
        str(device),
        history.loaded.num_parameters,
        speed,
        config.memory.activation_checkpointing,
        at_once(config),
        config.runtime.sharding,
    )
