"""Reads what past runs were expected to take and took, from the beginning and end of their events.

Reads the lines as plain JSON and the configs as plain YAML: `hone estimate` does this too, and the classes of runs
and events take longer to import than all the rest of it.
"""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path
from typing import Any

from core.memory.calibration import PastPeak
from core.yaml_text import read_yaml

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
    found = (past_of(folder) for folder in folders[:NEWEST])
    return tuple(one for one in found if one is not None)


def past_of(folder: Path) -> PastPeak | None:
    """One run's peaks. None for one that took too few steps, ran out of memory, was made by another version of
    Hone, whose estimate may differ, or cannot be read."""
    try:
        with (folder / "environment.json").open("rb") as file:
            made = json.loads(file.read(MOST_CONFIG))
        if made["versions"]["hone"] != importlib.metadata.version("hone"):
            return None
        predicted, measured = _peaks(folder / "events.jsonl")
        with (folder / "config.yaml").open("rb") as file:
            config = read_yaml(file.read(MOST_CONFIG).decode())
        method, quantization = config["method"]["kind"], config["model"]["quantization"]
        if not (predicted and measured):
            return None
        return PastPeak(str(made["device"]["name"]), str(method), str(quantization), predicted, measured)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _peaks(events: Path) -> tuple[int, int]:
    """The predicted and the measured peak in bytes; 0 for what is not known, or should not be relied on."""
    with events.open("rb") as file:
        begin = file.read(PART_BYTES)
        size = file.seek(0, 2)
        file.seek(max(len(begin), size - PART_BYTES))
        end = file.read(PART_BYTES)
    if size > len(begin) + len(end):
        begin, end = begin[: begin.rfind(b"\n") + 1], end[end.find(b"\n") + 1 :]
    predicted, measured, step = 0, 0, 0
    for line in (begin + end).splitlines():
        event = _event(line)
        kind = event.get("type")
        if kind == "started":
            predicted = _whole(event, "predicted_peak_bytes")
        elif kind == "warned" and str(event.get("message")).startswith(RAN_OUT):
            return 0, 0
        elif kind in ("step", "finished"):
            measured, step = max(measured, _whole(event, "peak_bytes")), max(step, _whole(event, "step"))
    return predicted, measured if step >= FEWEST_STEPS else 0


def _event(line: bytes) -> dict[str, Any]:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):  # a torn line
        return {}
    return event if isinstance(event, dict) else {}


def _whole(event: dict[str, Any], name: str) -> int:
    value = event.get(name)
    return value if type(value) is int and value > 0 else 0
