"""`hone estimate`: the memory of a run in named parts, and what would make it smaller."""

from __future__ import annotations

import argparse
import dataclasses
import re

from core.cli.configs import read_config
from core.cli.output import say, say_json, table
from core.errors import HoneError
from core.figures import size
from core.hardware import Device, choose_device
from core.memory.estimate import Estimate, estimate
from core.models.facts import read_facts
from core.models.source import find_model

UNITS = {
    "": 1,
    "k": 10**3,
    "m": 10**6,
    "g": 10**9,
    "t": 10**12,
    "ki": 2**10,
    "mi": 2**20,
    "gi": 2**30,
    "ti": 2**40,
}


def show_estimate(options: argparse.Namespace) -> int:
    """Judge a run against what is free now, or against --budget. "Does not fit" is an answer too."""
    config = read_config(options)
    facts = read_facts(find_model(config.model.source, config.model.revision).path)
    device = choose_device(config.runtime.device)
    if options.budget:
        device = with_budget(device, bytes_in(options.budget))
    found = estimate(config, facts, device)
    if options.json:
        say_json(as_document(found, device))
    else:
        for line in in_words(found, device):
            say(line)
    return 0


def as_document(found: Estimate, device: Device) -> dict:
    """The estimate for programs; all sizes in bytes."""
    return {
        "peak_bytes": found.peak_bytes,
        "margin_bytes": found.margin_bytes,
        "parts": found.parts,
        "moment": found.moment,
        "moments": found.moments,
        "verdict": found.verdict,
        "free_bytes": found.free_bytes,
        "device": device.name,
        "suggestions": [
            {
                "title": one.title,
                "changes": dict(one.changes),
                "saved_bytes": one.saved_bytes,
                "cost": one.cost,
                "verdict": one.verdict,
            }
            for one in found.suggestions
        ],
        "notes": list(found.notes),
    }


def in_words(found: Estimate, device: Device) -> list[str]:
    """The estimate for people, as lines."""
    parts = [(name.replace("_", " "), size(num)) for name, num in found.parts.items() if num]
    lines = [
        f"{size(found.peak_bytes)} ± {size(found.margin_bytes)} at the peak, which is {found.moment}",
        f"{found.verdict}: {size(found.free_bytes)} are free on {device.name}",
        "",
        table(parts, ("PART", "SIZE")),
    ]
    if found.suggestions:
        rows = [(one.title, one.amount, one.cost, _as_options(one.changes)) for one in found.suggestions]
        lines += [
            "",
            table(
                rows,
                ("WHAT WOULD FIT TOO" if found.verdict == "fits" else "WHAT WOULD HELP", "PEAK", "BRINGS", "HOW"),
            ),
        ]
    return lines + [f"Note: {text}" for text in found.notes]


def bytes_in(text: str) -> int:
    """Bytes of a size such as 24GiB, 8 GB or 500M. Raises HoneError."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?i?)b?\s*", text, re.IGNORECASE)
    unit = UNITS.get(found[2].lower()) if found else None
    if found is None or unit is None or not float(found[1]):
        raise HoneError(f"--budget {text} is no amount of memory; write it as 24GiB or 500MiB.")
    return round(float(found[1]) * unit)


def with_budget(device: Device, num_bytes: int) -> Device:
    """The device as if that much of it were free, with nothing else on it."""
    return dataclasses.replace(
        device, total_bytes=num_bytes, free_bytes=num_bytes, others_bytes=0, used_by_us_bytes=0
    )


def _as_options(changes: dict) -> str:
    return " ".join(f"--set {path}={value}" for path, value in changes.items())
