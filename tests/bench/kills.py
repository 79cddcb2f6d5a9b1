"""Kills the training worker at random moments and shows that nothing is lost.

    python tests/bench/kills.py [--kills 10] [--processes 1] [--epochs 40] [--seed 0] [--json FILE]

Every run is killed (SIGKILL) again and again, each time at a random moment after its start, until all kills are
spent; then it is left to finish. Its steps and its adapter must equal those of a run that was never killed, to the
bit. Some kills aim at the instant a checkpoint is being written, some at the loading; of several processes any one
may be hit, and the others must end by themselves. Prints a table and one JSON line, and exits with 1 when anything
differs.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS.parent), str(TESTS / "worker")]

import psutil  # noqa: E402
from tiny_models import make_model, write_chats  # noqa: E402  # pyright: ignore[reportMissingImports]

from core import durable  # noqa: E402
from core.config import RunConfig  # noqa: E402
from core.events import Finished, Loaded, Saved, Step  # noqa: E402
from core.launch import worker_command, worker_environment  # noqa: E402
from core.runs import Run, RunStore  # noqa: E402

KILLS_PER_RUN = 5
HEADING = "run  moment         at step  goes on from  unreadable  being written  process"
ROW = (
    "{kill.run:3}  {kill.moment:13}  {kill.step:7}  {kill.saved:12}  {kill.torn:10}  {kill.being_written:13}"
    "  {kill.process:7}"
)
END_SECONDS = 30
SETTINGS = {
    "data.max_length": 64,
    "data.holdout": 0.1,
    "method.rank": 8,
    "method.dropout": 0.1,
    "optim.learning_rate": 1e-2,
    "optim.batch_size": 4,
    "optim.accumulation": 2,
    "optim.epochs": 40,
    "evaluation.every_steps": 50,
    "evaluation.samples": 1,
    "evaluation.sample_tokens": 4,
    "runtime.device": "cpu",
    "runtime.threads": 1,
    "runtime.save_every_steps": 3,
}


@dataclass
class Kill:
    """One kill and what it left."""

    run: int
    moment: str
    step: int
    """Steps taken when it came."""
    saved: int
    """Step of the newest whole checkpoint, from which the run goes on."""
    torn: int
    """Checkpoint folders that are not whole."""
    being_written: int
    """Staging folders that the worker left behind."""
    process: int
    """Which one of the run's processes was hit, from 1."""


def start(run: Run) -> subprocess.Popen[bytes]:
    with run.log_file.open("ab") as log:
        return subprocess.Popen(
            worker_command("train", str(run.folder)),
            env=worker_environment(),
            cwd=run.folder,
            stdout=log,
            stderr=log,
        )


def kill_once(run: Run, number: int, dice: random.Random) -> Kill | None:
    """Let a worker run and kill it; None when it finished first."""
    begun = sum(isinstance(event, Loaded) for event in run.events())
    moment = dice.choices(("anywhere", "while writing", "while loading"), (4, 4, 1))[0]
    began, loaded_at = time.monotonic(), math.inf
    delay = dice.uniform(0.0, 3.0)
    process = start(run)
    while process.poll() is None:
        now = time.monotonic()
        if loaded_at == math.inf and sum(isinstance(event, Loaded) for event in run.events()) > begun:
            loaded_at = now
        if moment == "while loading" and now - began >= delay:
            break
        if now - loaded_at >= delay and (moment != "while writing" or is_writing(run)):
            break
        time.sleep(0.0005 if moment == "while writing" else 0.005)
    else:
        return None
    members = [psutil.Process(process.pid), *psutil.Process(process.pid).children()]
    hit = dice.randrange(len(members))
    members[hit].send_signal(signal.SIGKILL)
    process.wait(END_SECONDS)
    _, left = psutil.wait_procs(members[1:], END_SECONDS)
    if left:
        raise SystemExit(f"{len(left)} processes of the run outlive it by {END_SECONDS} s.")
    folders = list(run.checkpoints_folder.glob("step-*"))
    newest = run.latest_checkpoint()
    return Kill(
        run=number,
        moment=moment,
        step=max((event.step for event in run.events() if isinstance(event, Step)), default=0),
        saved=newest.step if newest else 0,
        torn=sum((folder / durable.MANIFEST).is_file() and not durable.is_whole(folder) for folder in folders),
        being_written=len(list(run.checkpoints_folder.glob(f"{durable.STAGING_PREFIX}*"))),
        process=hit + 1,
    )


def is_writing(run: Run) -> bool:
    return any(run.checkpoints_folder.glob(f"{durable.STAGING_PREFIX}*"))


def steps_of(run: Run) -> dict[int, float]:
    """Each step's loss; of a step that was done again, the last."""
    return {event.step: event.loss for event in run.events() if isinstance(event, Step)}


def repeated_differently(run: Run) -> int:
    """Steps that were done again after a kill and came out with another loss."""
    found: dict[int, set[float]] = {}
    for event in run.events():
        if isinstance(event, Step):
            found.setdefault(event.step, set()).add(event.loss)
    return sum(len(losses) > 1 for losses in found.values())


def adapter_of(run: Run) -> dict[str, str]:
    """sha256 of each file of the adapter but the card, which names the run."""
    return {
        path.name: durable.sha256(path)
        for path in run.adapter.iterdir()
        if path.name not in ("README.md", durable.MANIFEST)
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--processes", type=int, default=1, help="of each run")
    parser.add_argument("--epochs", type=int, default=SETTINGS["optim.epochs"], help="of each run, of eight steps")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    dice = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="hone-kills-") as folder:
        report = battery(Path(folder), options.kills, options.processes, options.epochs, dice)
    report |= {"seed": options.seed, "processes": options.processes}
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps({name: value for name, value in report.items() if name != "each"}))
    return 0 if report["holds"] else 1


def battery(folder: Path, num_kills: int, processes: int, epochs: int, dice: random.Random) -> dict[str, object]:
    os.environ["HONE_HOME"] = str(folder / "home")
    model, data = make_model(folder / "model"), write_chats(folder / "chats.jsonl")
    store = RunStore(folder / "runs")
    config = RunConfig().with_values({
        **SETTINGS, "model.source": str(model), "data.source": str(data), "runtime.processes": processes,
        "optim.epochs": epochs,
    })  # fmt: skip
    straight = store.create(config, "straight")
    began = time.monotonic()
    start(straight).wait()
    seconds = time.monotonic() - began
    num_steps = len(steps_of(straight))
    print(f"A run that is left alone: {num_steps} steps in {seconds:.0f} s.\n\n{HEADING}")
    kills: list[Kill] = []
    num_runs = num_equal = num_different = 0
    while len(kills) < num_kills:
        num_runs += 1
        run = store.create(config, "killed")
        kills += kill_through(run, num_runs, min(KILLS_PER_RUN, num_kills - len(kills)), dice)
        last = run.events()[-1]
        is_done = isinstance(last, Finished) and last.reason == "done"
        is_equal = is_done and adapter_of(run) == adapter_of(straight) and steps_of(run) == steps_of(straight)
        num_equal += is_equal
        num_different += repeated_differently(run)
        if not is_equal:
            print(f"run {num_runs} differs: it ended with {last}")
    num_torn = sum(kill.torn for kill in kills)
    print(
        f"\n{len(kills)} kills in {num_runs} runs: {num_equal} of {num_runs} adapters and loss curves equal to the"
    )
    print(f"bit, {num_torn} checkpoints unreadable.")
    return {
        "kills": len(kills),
        "runs": num_runs,
        "equal_to_the_bit": num_equal,
        "unreadable_checkpoints": num_torn,
        "steps_redone_differently": num_different,
        "most_steps_redone": max(kill.step - kill.saved for kill in kills),
        "kills_of_the_first_process": sum(kill.process == 1 for kill in kills),
        "kills_while_writing": sum(kill.being_written > 0 for kill in kills),
        "steps_per_run": num_steps,
        "saves_per_run": sum(isinstance(event, Saved) for event in straight.events()),
        "seconds_per_run": round(seconds, 1),
        "holds": num_equal == num_runs and num_torn == 0 and num_different == 0,
        "each": [asdict(kill) for kill in kills],
    }


def kill_through(run: Run, number: int, most: int, dice: random.Random) -> list[Kill]:
    """Kill a run up to that often, then let it finish. Returns what each kill left."""
    kills: list[Kill] = []
    while len(kills) < most and (kill := kill_once(run, number, dice)):
        kills.append(kill)
        print(ROW.format(kill=kill), flush=True)
    start(run).wait()
    return kills


if __name__ == "__main__":
    sys.exit(main())
