"""Reads what past runs of the store were expected to take and took, from the beginning and end of their events."""

from __future__ import annotations

import importlib.metadata
import json

from core.errors import HoneError
from core.events import Started, Warned
from core.history import History, parse
from core.memory.calibration import PastPeak
from core.mistakes import ConfigError
from core.runs import Run, RunStore

NEWEST = 24
PART_BYTES = 48_000
FEWEST_STEPS = 3
"""The optimizer's state is complete after the first step, and the worst batch has seldom come by then."""
RAN_OUT = "Memory ran out"


def read_past(store: RunStore) -> tuple[PastPeak, ...]:
    """The peaks of the newest runs that say something. Reads a few files of each; not for the window's thread."""
    found = (past_of(run) for run in store.runs()[:NEWEST])
    return tuple(one for one in found if one is not None)


def past_of(run: Run) -> PastPeak | None:
    """One run's peaks. None for one that took too few steps, ran out of memory, was made by another version of
    Hone, whose estimate may differ, or cannot be read."""
    try:
        with run.events_file.open("rb") as file:
            begin = file.read(PART_BYTES)
            size = file.seek(0, 2)
            file.seek(max(len(begin), size - PART_BYTES))
            end = file.read(PART_BYTES)
        made = json.loads(run.environment_file.read_bytes())
        device, version = str(made["device"]["name"]), made["versions"]["hone"]
        config = run.config
    except (OSError, ValueError, KeyError, TypeError, ConfigError, HoneError):
        return None
    history, predicted, has_run_out = History(), 0, False
    is_whole = size <= len(begin) + len(end)
    for number, part in enumerate((begin, end)):
        first = 0 if number == 0 or is_whole else part.find(b"\n") + 1
        for item in parse(part[first : part.rfind(b"\n") + 1].splitlines()):
            history.add(item)
            if isinstance(item, Started):
                predicted = item.predicted_peak_bytes
            has_run_out |= isinstance(item, Warned) and item.message.startswith(RAN_OUT)
    if not (predicted and history.peak_bytes) or has_run_out or history.step < FEWEST_STEPS:
        return None
    if version != importlib.metadata.version("hone"):
        return None
    return PastPeak(device, config.method.kind, config.model.quantization, predicted, history.peak_bytes)
