"""`hone fit`: the largest settings that fit, what to change, and which models there is room for."""

from __future__ import annotations

import argparse
from typing import Any

from core.cli.configs import read_config
from core.cli.estimates import as_options, facts_of, planned_device, runs_folder, suggestion_document
from core.cli.output import say, say_json, table
from core.config import RunConfig
from core.figures import count, size, whole
from core.hardware import Device
from core.memory.fit import Fit, Largest, ModelFit, fit, models_that_fit
from core.memory.past import read_past

NAMES = {"data.max_length": "tokens a row", "optim.batch_size": "rows at once", "method.rank": "rank"}


def show_fit(options: argparse.Namespace) -> int:
    """Solve for a config, or judge the catalogue by its settings. "Nothing fits" is an answer too."""
    config = read_config(options)
    device = planned_device(options, config)
    past = () if options.gpu else read_past(runs_folder(options))
    if options.models:
        models = models_that_fit(config, device, past)
        say_json(_models_document(models, device)) if options.json else _say_models(models, config, device)
        return 0
    facts = facts_of(config)
    found = fit(config, facts, device, past=past)
    say_json(_document(found, device)) if options.json else _say_fit(found, device)
    return 0


def _document(found: Fit, device: Device) -> dict[str, Any]:
    """For programs; all sizes in bytes."""
    return {
        "device": device.name,
        "budget_bytes": device.free_bytes,
        "peak_bytes": found.estimate.peak_bytes,
        "margin_bytes": found.estimate.margin_bytes,
        "verdict": found.estimate.verdict,
        "largest": {
            one.path: {"now": one.now, "value": one.value, "limit": one.limit, "peak_bytes": one.peak_bytes}
            for one in found.largest
        },
        "changes": [suggestion_document(one) for one in found.changes],
        "together": suggestion_document(found.together) if found.together else None,
    }


def _say_fit(found: Fit, device: Device) -> None:
    now = found.estimate
    say(f"{size(now.peak_bytes)} ± {size(now.margin_bytes)}: {now.verdict} in the {size(now.free_bytes)} that are "
        f"free on {device.name}")  # fmt: skip
    say()
    rows = [(_value(one), f"now {whole(one.now)}", _peak(one), _how(one)) for one in found.largest]
    say(table(rows, ("LARGEST THAT FITS", "", "PEAK", "HOW")))
    if found.changes:
        say()
        changes = [
            (one.title, one.amount, one.verdict, one.cost, as_options(one.changes)) for one in found.changes
        ]
        say(table(changes, ("WHAT WOULD SAVE", "PEAK", "THEN", "COSTS", "HOW")))
    if found.together:
        say()
        peak, how = size(found.together.peak_bytes), as_options(found.together.changes)
        say(f"Together they make it fit, in {peak}: {how}")
    for text in now.notes:
        say(f"Note: {text}")


def _value(one: Largest) -> str:
    return f"{whole(one.value)} {NAMES[one.path]}" if one.value else f"{NAMES[one.path]}: none fits"


def _how(one: Largest) -> str:
    return as_options({one.path: one.value}) if one.value else ""


def _peak(one: Largest) -> str:
    if not one.value:
        return ""
    return f"{size(one.peak_bytes)}{', the most there can be' if one.value > one.limit - 8 else ''}"


def _models_document(models: list[ModelFit], device: Device) -> dict[str, Any]:
    return {
        "device": device.name,
        "budget_bytes": device.free_bytes,
        "models": [
            {
                "name": one.model.name,
                "num_parameters": one.model.num_parameters,
                "licence": one.model.licence,
                "is_gated": one.model.is_gated,
                "peak_bytes": one.estimate.peak_bytes,
                "margin_bytes": one.estimate.margin_bytes,
                "verdict": one.estimate.verdict,
                "max_length": one.max_length,
            }
            for one in models
        ],
    }


def _say_models(models: list[ModelFit], config: RunConfig, device: Device) -> None:
    base = {"none": "16-bit" if device.kind != "cpu" else "32-bit"}.get(
        config.model.quantization, config.model.quantization
    )
    rows = f"{config.optim.batch_size} rows of {whole(config.data.max_length)} tokens"
    room = f"{size(device.free_bytes)} that are free on {device.name}"
    say(f"{config.method.kind} on a {base} base, {rows}, in the {room}")
    say()
    lines = [
        (one.model.name, count(one.model.num_parameters), size(one.estimate.peak_bytes), one.estimate.verdict,
         f"{whole(one.max_length)} tokens" if one.max_length else "–", one.model.licence)
        for one in models
    ]  # fmt: skip
    say(table(lines, ("MODEL", "PARAMETERS", "PEAK", "VERDICT", "LONGEST ROWS", "LICENCE")))
