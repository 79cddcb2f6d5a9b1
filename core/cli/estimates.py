"""`hone estimate`: the memory of a run in named parts, and what would make it smaller."""

from __future__ import annotations

import argparse
import dataclasses
import re
from pathlib import Path

from core.cli.configs import read_config
from core.cli.output import say, say_json, table
from core.config import RunConfig
from core.errors import HoneError
from core.figures import count, size
from core.hardware import Device
from core.memory.past import read_past
from core.memory.suggestions import Suggestion
from core.models.facts import ModelFacts, read_facts
from core.models.source import find_model
from core.placement import alike, place, tightest
from core.plan import Plan, make_plan

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
    facts = facts_of(config)
    device = planned_device(options, config)
    past = () if options.gpu else read_past(runs_folder(options))
    here = () if options.gpu or options.budget else alike(device)
    plan = make_plan(config, facts, device, past=past, alike=here)
    if options.json:
        say_json(as_document(plan, device))
    else:
        for line in in_words(plan, device):
            say(line)
    return 0


def facts_of(config: RunConfig) -> ModelFacts:
    """The facts of the config's model: from its files, or from the catalogue before it is downloaded. Raises
    HoneError."""
    try:
        return read_facts(find_model(config.model.source, config.model.revision).path)
    except HoneError:
        from core.models.catalogue import known_facts

        if (known := known_facts(config.model.source)) is not None:
            return known
        raise


def runs_folder(options: argparse.Namespace) -> Path:
    """Where past runs lie; core.cli.stores tells it too, and imports what takes longer than an estimate."""
    from core.settings import Settings

    return Path(options.runs).expanduser().absolute() if options.runs else Settings.load().runs_folder


def planned_device(options: argparse.Namespace, config: RunConfig) -> Device:
    """This machine's device, or the card of --gpu, with --budget free where that is given. Raises HoneError."""
    if options.gpu:
        from core.gpus import find_gpu

        device = find_gpu(options.gpu).device
    else:
        device = tightest(place(config))
    return with_budget(device, bytes_in(options.budget)) if options.budget else device


def as_document(plan: Plan, device: Device) -> dict:
    """The estimate for programs; all sizes in bytes."""
    found = plan.estimate
    return {
        "peak_bytes": found.peak_bytes,
        "margin_bytes": found.margin_bytes,
        "stock_peak_bytes": plan.stock_peak_bytes,
        "evidence": found.evidence,
        "parts": found.parts,
        "moment": found.moment,
        "moments": found.moments,
        "verdict": found.verdict,
        "free_bytes": found.free_bytes,
        "device": device.name,
        "each_of": found.each_of,
        "trainable_parameters": plan.num_trainable,
        "adapter_bytes": plan.adapter_bytes,
        "disk_bytes": plan.disk_bytes,
        "suggestions": [suggestion_document(one) for one in found.suggestions],
        "notes": list(found.notes),
    }


def suggestion_document(one: Suggestion) -> dict:
    """A change for programs."""
    return {
        "title": one.title,
        "changes": dict(one.changes),
        "saved_bytes": one.saved_bytes,
        "peak_bytes": one.peak_bytes,
        "cost": one.cost,
        "verdict": one.verdict,
    }


def in_words(plan: Plan, device: Device) -> list[str]:
    """The estimate for people, as lines."""
    found = plan.estimate
    parts = [(name.replace("_", " "), size(num)) for name, num in found.parts.items() if num]
    comparison = compared(found.peak_bytes, plan.stock_peak_bytes)
    of = f" on {found.each_of}" if found.each_of else ""
    lines = [
        f"{size(found.peak_bytes)} ± {size(found.margin_bytes)}{of} at the peak, which is {found.moment}",
        f"{found.verdict}: {size(found.free_bytes)} are free on {device.name}",
        found.evidence or "No three runs like this on this machine yet, so the band is wide",
        *([comparison] if comparison else []),
        f"{count(plan.num_trainable)} of {count(plan.num_parameters)} parameters are trained, "
        f"{size(plan.adapter_bytes)} as a file; the run takes up to {size(plan.disk_bytes)} of disk",
        "",
        table(parts, ("PART", "SIZE")),
    ]
    others = [(words, size(num)) for words, num in found.moments.items() if words != found.moment]
    lines += ["", table(sorted(others, key=lambda one: -found.moments[one[0]]), ("AT OTHER MOMENTS", "PEAK"))]
    if found.suggestions:
        rows = [(one.title, one.amount, one.cost, as_options(one.changes)) for one in found.suggestions]
        lines += [
            "",
            table(
                rows,
                ("WHAT WOULD FIT TOO" if found.verdict == "fits" else "WHAT WOULD HELP", "PEAK", "BRINGS", "HOW"),
            ),
        ]
    return lines + [f"Note: {text}" for text in found.notes]


def compared(peak_bytes: int, stock_bytes: int) -> str:
    """Such as "The same run in stock PEFT: 16.9 GiB; here: 7.6 GiB"; empty where there is little between them."""
    if stock_bytes < 1.02 * peak_bytes:
        return ""
    return f"The same run in stock PEFT: {size(stock_bytes)}; here: {size(peak_bytes)}"


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


def as_options(changes: dict) -> str:
    """The changes as they are typed."""
    words = {path: ",".join(value) if isinstance(value, tuple) else value for path, value in changes.items()}
    return " ".join(f"--set {path}={value}" for path, value in words.items())
