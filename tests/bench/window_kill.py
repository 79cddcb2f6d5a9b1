"""Kills the window while a run trains and shows that the run does not notice. Prints JSON.

    python tests/bench/window_kill.py [--kills 10] [--seed 0]

The first window starts the real worker, as New run does, and is killed (SIGKILL) at a random moment; so is each
window after it, which opens on the live run. After every kill the worker must live on and go on stepping. The last
window must find every step, from the first to the newest, and follow the run to its end. `reattach_s` is the time
from the start of a window's process to the moment when it holds all that was on disk. Exits with 1 when anything
is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
WINDOW = """
import json, sys, time
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication
from app.main import Studio
from core import launch
begun, wanted = float(sys.argv[1]), sys.argv[2]
app = QApplication([])
studio = Studio(app)
if wanted == "start":
    run = studio.store.runs()[0]
    process = launch.start_training(run)
    launch.wait_until_accepted(run, process)
studio.open()
page = studio.window.page("run")
def attached():
    print(json.dumps({"seconds": time.time() - begun, "steps": len(page.live.steps)}), flush=True)
def look():
    if wanted == "end" and page.live.state not in ("live", "new"):
        found = {"state": page.live.state, "drawn_to": float(page.loss.plot.curves[0].item.getData()[0][-1])}
        found["steps"] = page.live.steps.values.tolist()
        found["loss"] = page.live.series["loss"].values.tolist()
        print(json.dumps(found), flush=True)
        app.quit()
page.live.loaded.connect(attached)
if page.live.is_loaded:
    attached()
timer = QTimer()
timer.timeout.connect(look)
timer.start(500)
app.exec()
"""
SETTINGS = {
    "data.max_length": 64, "data.holdout": 0.1, "method.rank": 8, "optim.learning_rate": 1e-3,
    "optim.batch_size": 4, "optim.accumulation": 1, "optim.epochs": 1000, "evaluation.every_steps": 100,
    "evaluation.samples": 0,
    "runtime.device": "cpu", "runtime.threads": 1, "runtime.save_every_steps": 1000,
}  # fmt: skip


def open_window(wanted: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WINDOW, repr(time.time()), wanted]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def main(kills: int, seed: int) -> dict[str, object]:
    from tiny_models import make_model, write_chats

    from core.config import RunConfig
    from core.events import Step
    from core.places import home, runs_folder
    from core.runs import RunStore

    dice = random.Random(seed)
    home().mkdir(parents=True)
    model, data = make_model(home() / "model"), write_chats(home() / "chats.jsonl")
    config = RunConfig().with_values({**SETTINGS, "model.source": str(model), "data.source": str(data)})
    run = RunStore(runs_folder()).create(config, "watched")

    def num_steps() -> int:
        return sum(isinstance(event, Step) for event in run.events())

    reattached, missed, worker_deaths, stalls = [], 0, 0, 0
    for number in range(kills):
        on_disk = num_steps()
        window = open_window("start" if number == 0 else "watch")
        assert window.stdout is not None
        found = json.loads(window.stdout.readline())
        if number:
            reattached.append(found["seconds"])
            missed += max(0, on_disk - found["steps"])
        time.sleep(dice.uniform(0.0, 2.0))
        os.kill(window.pid, signal.SIGKILL)
        window.communicate()
        worker_deaths += not run.is_live()
        before, end = num_steps(), time.monotonic() + 30
        while num_steps() <= before and time.monotonic() < end:
            time.sleep(0.05)
        stalls += num_steps() <= before
    last = open_window("end")
    assert last.stdout is not None
    last.stdout.readline()
    time.sleep(2)
    run.request("stop")
    ended = json.loads(last.stdout.readline())
    last.communicate()
    told = [event for event in run.events() if isinstance(event, Step)]
    same = ended["steps"] == [event.step for event in told] and ended["loss"] == [event.loss for event in told]
    whole = ended["steps"] == [float(step) for step in range(1, len(told) + 1)]
    return {
        "kills": kills,
        "worker_deaths": worker_deaths,
        "stalls": stalls,
        "points_missing_after_reattaching": missed,
        "steps": len(told),
        "every_step_shown_once": same and whole,
        "drawn_to_the_last_step": ended["drawn_to"] == len(told),
        "state": ended["state"],
        "reattach_s": {"median": round(statistics.median(reattached), 2), "worst": round(max(reattached), 2)},
        "holds": same and whole and ended["drawn_to"] == len(told) and not (worker_deaths or stalls or missed),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(TESTS.parent), os.environ.get("PYTHONPATH", "")]))
    sys.path[:0] = [str(TESTS.parent), str(TESTS / "worker")]
    with tempfile.TemporaryDirectory(prefix="hone-window-kill-") as folder:
        os.environ["HONE_HOME"] = str(Path(folder) / "home")
        result = main(options.kills, options.seed)
        result["load_average"] = round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None
    print(json.dumps(result, indent=1))
    sys.exit(0 if result["holds"] else 1)
