"""`hone runs`: all runs, newest first."""

from __future__ import annotations

import argparse

from core.cli.output import say, say_json, table
from core.cli.stores import chosen_store
from core.errors import HoneError
from core.figures import size
from core.history import summarise
from core.runs import Run

HEADS = ("RUN", "STATE", "STEP", "LOSS", "HELD-OUT", "PEAK", "MODEL", "DATA")


def show_runs(options: argparse.Namespace) -> int:
    """List the runs; one that cannot be read is listed with the reason and hides no other."""
    store = chosen_store(options)
    found = [_summary(run) for run in store.runs()]
    if options.json:
        say_json({"folder": str(store.root), "runs": found})
    elif not found:
        say(f"There are no runs in {store.root} yet; `hone demo` makes one.")
    else:
        say(table([_row(run) for run in found], HEADS))
    return 0


def _summary(run: Run) -> dict:
    try:
        return summarise(run)
    except HoneError as error:
        return {"id": run.id, "name": run.name, "folder": str(run.folder), "state": "unreadable",
                "failure": error.message}  # fmt: skip


def _row(run: dict) -> tuple[str, ...]:
    total = run.get("total_steps")
    loss, score, peak = run.get("loss"), run.get("best_eval_loss"), run.get("measured_peak_bytes")
    return (
        run["id"],
        run["state"],
        f"{run.get('step', 0)}/{total}" if total else "–",
        "–" if loss is None else f"{loss:.3f}",
        "–" if score is None else f"{score:.3f}",
        size(peak) if peak else "–",
        _short(run.get("model", "–")),
        _short(run.get("data", "–")),
    )


def _short(source: str) -> str:
    return source if len(source) <= 32 else f"…{source[-31:]}"
