"""Records the run folders beside this file with the real worker, on the starter model. Takes about two minutes.

    python tests/recorded/record.py

What is kept of each run is what a window reads: its settings, events and log; never weights, nor what names the
machine. `poet` runs to its end, `resumed` is killed in mid-run and goes on, `interrupted` is killed and left,
`refused` fails on its data.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from core import durable, launch  # noqa: E402
from core.config import RunConfig  # noqa: E402
from core.events import Step  # noqa: E402
from core.runs import Run, RunStore  # noqa: E402

KEPT = ("config.yaml", "events.jsonl", "worker.log")
SETTINGS = {
    "optim.max_steps": 48, "optim.batch_size": 4, "optim.accumulation": 1, "optim.learning_rate": 2e-3,
    "evaluation.every_steps": 12, "evaluation.samples": 2, "evaluation.sample_tokens": 48,
    "runtime.device": "cpu", "runtime.threads": 1, "runtime.save_every_steps": 8,
}  # fmt: skip


def train(run: Run, until: int | None = None) -> None:
    """Let a worker run to its end, or kill it once it has taken so many steps."""
    process: subprocess.Popen[bytes] = launch.start_training(run)
    while process.poll() is None:
        if until is not None and sum(isinstance(event, Step) for event in run.events()) >= until:
            process.kill()
        time.sleep(0.02)


def keep(run: Run, name: str) -> None:
    target = HERE / f"20260101-120000-{name}"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for kept in KEPT:
        if (run.folder / kept).exists():
            durable.write_file(target / kept, (run.folder / kept).read_bytes())


def main() -> None:
    config = RunConfig().with_values(SETTINGS)
    with tempfile.TemporaryDirectory(prefix="hone-record-") as folder:
        os.environ["HONE_HOME"] = folder
        store = RunStore(Path(folder) / "runs")
        runs = {name: store.create(config, name) for name in ("poet", "resumed", "interrupted")}
        runs["refused"] = store.create(config.with_value("data.source", "sample:nothing"), "refused")
        train(runs["poet"])
        train(runs["resumed"], until=21)
        train(runs["resumed"])
        train(runs["interrupted"], until=21)
        train(runs["refused"])
        for name, run in runs.items():
            keep(run, name)


if __name__ == "__main__":
    main()
