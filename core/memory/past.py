"""Reads what past runs were expected to take and took, from the beginning and end of their events.

Looks for the few values it needs in the files as Hone writes them: `hone estimate` reads the past too, and parsing
all files of two dozen runs takes as long as half of an estimate.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
from pathlib import Path
from typing import Any

from core.memory.calibration import PastPeak

NEWEST = 24
PART_BYTES = 48_000
MOST_CONFIG = 200_000
FEWEST_STEPS = 3
"""The optimizer's state is complete after the first step, and the worst batch has seldom come by then."""
RAN_OUT = "Memory ran out"


def read_past(runs: Path) -> tuple[PastPeak, ...]:
    """The peaks of the newest runs in a folder of runs. Reads a few files of each; not for the window's thread."""
    try:
        folders = sorted((path for path in runs.iterdir() if not path.name.startswith(".")), reverse=True)
    except OSError:  # no run yet
        return ()
    if not folders:
        return ()
    version = importlib.metadata.version("hone")
    found = (past_of(folder, version) for folder in folders[:NEWEST])
    return tuple(one for one in found if one is not None)


def past_of(folder: Path, version: str) -> PastPeak | None:
    """One run's peaks. None for one that took too few steps, ran out of memory, was made by another version of
    Hone than this, whose estimate may differ, or cannot be read."""
    try:
        with (folder / "environment.json").open("rb") as file:
            made = json.loads(file.read(MOST_CONFIG))
        if made["versions"]["hone"] != version:
            return None
        predicted, measured = _peaks(folder / "events.jsonl")
        if not (predicted and measured):
            return None
        with (folder / "config.yaml").open("rb") as file:
            config = file.read(MOST_CONFIG).decode()
        method, quantization = _setting(config, "method", "kind"), _setting(config, "model", "quantization")
        return PastPeak(str(made["device"]["name"]), method, quantization, predicted, measured)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _setting(config: str, section: str, name: str) -> str:
    """The value of a setting that is a single word, in a config as RunConfig.to_yaml lays it out. Raises
    ValueError."""
    found = re.search(rf"^{section}:\n(?:  .*\n)*?  {name}: (\w+)", config, re.MULTILINE)
    if found is None:
        raise ValueError(f"{section}.{name} is not there")
    return found[1]


def _peaks(events: Path) -> tuple[int, int]:
    """The predicted and the measured peak in bytes; 0 for what is not known, or should not be relied on. A
    process counts its peak from its start, so its last step knows it."""
    with events.open("rb") as file:
        begin = file.read(PART_BYTES)
        size = file.seek(0, 2)
        file.seek(max(len(begin), size - PART_BYTES))
        end = file.read(PART_BYTES)
    if size > len(begin) + len(end):
        begin, end = begin[: begin.rfind(b"\n") + 1], end[end.find(b"\n") + 1 :]
    lines = begin + end
    if f'"message":"{RAN_OUT}'.encode() in lines:
        return 0, 0
    predicted = _whole(_last(lines, "started"), "predicted_peak_bytes")
    last = _last(lines, "step", "finished")
    return predicted, _whole(last, "peak_bytes") if _whole(last, "step") >= FEWEST_STEPS else 0


def _last(lines: bytes, *kinds: str) -> dict[str, Any]:
    """The last event of one of these kinds; empty without one. Quotes inside a value are escaped, so no text of a
    sample looks like a kind. Raises ValueError for a torn line."""
    place = max(lines.rfind(f'"type":"{kind}"'.encode()) for kind in kinds)
    if place < 0:
        return {}
    event = json.loads(lines[lines.rfind(b"\n", 0, place) + 1 :].partition(b"\n")[0])
    return event if isinstance(event, dict) else {}


def _whole(event: dict[str, Any], name: str) -> int:
    value = event.get(name)
    return value if type(value) is int and value > 0 else 0
