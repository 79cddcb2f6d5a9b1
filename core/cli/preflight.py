"""Everything about a run that can be wrong before it starts, so that the mistake is told at once."""

from __future__ import annotations

import os
from pathlib import Path

from core.cli.datasets import checked, opened
from core.cli.output import note
from core.config import RunConfig, unwise
from core.data.check import no_usable_row
from core.data.rows import require_objective
from core.data.templates import read_template
from core.errors import HoneError
from core.figures import size
from core.hardware import disk_free
from core.models.facts import read_facts
from core.models.source import find_model
from core.placement import alike, place, tightest
from core.plan import Plan, make_plan


def check_ready(config: RunConfig, runs_folder: Path) -> Plan:
    """Look at model, data, device and disk as the worker will. Raises HoneError for what would fail; notes on
    stderr what will run and is likely not what the user wants. Returns the plan of the run."""
    facts = read_facts(find_model(config.model.source, config.model.revision).path)
    data = config.data
    read_template(data.template)
    rows = opened(config)
    for one in (rows.data, rows.apart):
        if one is not None:
            require_objective(one, config.objective.kind)
    report = checked(config)
    if not report.num_used:
        raise no_usable_row(config.data.source, report.num_rows, report.problems[0])
    if report.stop:
        raise HoneError(report.stop, path="data")
    device = tightest(place(config))
    plan = make_plan(
        config,
        facts,
        device,
        num_rows=report.num_usable,
        trained_share=report.trained_share,
        alike=alike(device),
    )
    _check_folder(runs_folder, plan.disk_bytes)
    for mistake in unwise(config):
        note(f"Note: {mistake.path}: {mistake.message}")
    if plan.estimate.verdict == "does not fit":
        best = plan.estimate.suggestions[0] if plan.estimate.suggestions else None
        advice = f" {best.title} would help." if best else ""
        wanted, free = size(plan.estimate.peak_bytes), size(plan.estimate.free_bytes)
        note(f"Note: this run wants about {wanted} and {free} are free on {device.name}; it may run out of "
             f"memory.{advice}")  # fmt: skip
    return plan


def _check_folder(folder: Path, num_bytes: int) -> None:
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    if not existing.is_dir():
        raise HoneError(f"{existing} is a file; give a folder with --runs.")
    if not os.access(existing, os.W_OK):
        raise HoneError(f"{existing} cannot be written; mend its permissions or give another folder with --runs.")
    if (free := disk_free(folder)) < num_bytes:
        raise HoneError(
            f"The run will write about {size(num_bytes)} and {size(free)} are free in {existing}; free some "
            "space or give another folder with --runs."
        )
