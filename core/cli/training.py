"""`hone train`, `resume` and `stop`: starts a run as a process of its own and follows what it says."""

from __future__ import annotations

import argparse
import signal
import subprocess
import time
from dataclasses import dataclass, field

from core import launch
from core.cli import INTERRUPTED
from core.cli.configs import read_config
from core.cli.output import ProgressLine, note, say, say_json
from core.cli.preflight import check_ready
from core.cli.stores import chosen_store
from core.errors import HoneError
from core.events import Event, EventReader, Failed, Finished, Loaded, Progress, Started, Warned
from core.figures import count, duration, size, whole
from core.history import History, StepRow, read_parts, summarise
from core.runs import RESUMABLE, Run

LOOK_SECONDS = 0.1
READ_BYTES = 4_000_000


def train(options: argparse.Namespace) -> int:
    """Check everything that can be checked, make the run's folder, start and follow it."""
    config = read_config(options)
    store = chosen_store(options)
    check_ready(config, store.root)
    run = store.create(config, options.name)
    note(f"{run.id} in {store.root}")
    return start(run, options)


def resume(options: argparse.Namespace) -> int:
    """Continue a stopped, interrupted or failed run from its newest whole checkpoint."""
    store = chosen_store(options)
    run = store.find(options.run)
    state = run.state()
    if state not in RESUMABLE and state != "new":
        remedy = "stop it first" if state == "live" else f"train it anew with hone train {run.config_file}"
        raise HoneError(f"{run.name} is already {state}; {remedy}.")
    check_ready(run.config, store.root)
    return start(run, options)


def stop(options: argparse.Namespace) -> int:
    """Ask a live run to finish its step, save and end; returns when it has ended."""
    run = chosen_store(options).find(options.run)
    if not run.is_live():
        raise HoneError(f"{run.name} is not running; it is {run.state()}.")
    run.request("stop")
    note(f"Asked {run.name} to stop; it ends after this step.")
    while run.is_live():
        time.sleep(LOOK_SECONDS)
    found = summarise(run)
    say_json(found) if options.json else say(f"{run.name} is {found['state']} at step {found['step']}.")
    return 0


def start(run: Run, options: argparse.Namespace) -> int:
    """Start or continue a run; follow it to its end unless it is to go on by itself. Returns the exit code."""
    follower = Follower(run)
    process = launch.start_training(run)
    if not options.detach:
        follower.follow(process)
        return report(run, options, interrupted=follower.num_interrupts > 0)
    launch.wait_until_accepted(run, process)
    if process.poll() is not None:
        return report(run, options)
    if options.json:
        say_json(summarise(run))
    else:
        say(f"{run.id} is running by itself; hone runs shows it, hone stop {run.name} ends it.")
    return 0


def report(run: Run, options: argparse.Namespace, interrupted: bool = False) -> int:
    """Say how a run ended, on stdout if well and on stderr if not. Returns the exit code."""
    found = summarise(run)
    end = launch.outcome(run)
    diverged = isinstance(end, Finished) and end.reason == "diverged"
    if options.json:
        say_json(found)
    if isinstance(end, Failed) and not interrupted:
        raise HoneError(end.message, path=end.path)
    if diverged:
        raise HoneError(
            f"{run.name} diverged at step {found['step']}: its loss was no number any more. The last good "
            "checkpoint is kept; try a smaller optim.learning_rate."
        )
    if not options.json:
        for line in in_words(run, found):
            say(line)
    return INTERRUPTED if interrupted else 0


def in_words(run: Run, found: dict) -> list[str]:
    """A run's summary as lines for people."""
    lines = [f"{run.name}: {found['state']} at step {found['step']} of {found['total_steps']}"]
    if found["seconds"]:
        lines[0] += f" after {duration(found['seconds'])}"
    if found["loss"] is not None:
        lines.append(f"Loss        {found['loss']:.3f}" + (
            f", held-out {found['eval_loss']:.3f} (best {found['best_eval_loss']:.3f})"
            if found["eval_loss"] is not None else ""))  # fmt: skip
    if found["measured_peak_bytes"] and found["predicted_peak_bytes"]:
        lines.append(f"Peak memory {size(found['measured_peak_bytes'])} measured, "
                     f"{size(found['predicted_peak_bytes'])} predicted")  # fmt: skip
    if found["adapter"]:
        lines.append(f"Result      {found['adapter']}")
    if found["state"] in RESUMABLE:
        lines.append(f"Go on with  hone resume {run.id}")
    elif found["adapter"]:
        lines.append(f'Talk to it  hone chat {run.id} --base --prompt "…"')
    return lines


@dataclass
class Follower:
    """Shows a run's events while its worker lives. The first Ctrl+C asks the run to stop, the second kills it."""

    run: Run
    num_interrupts: int = 0
    line: ProgressLine = field(default_factory=ProgressLine)

    def __post_init__(self) -> None:
        self._reader = EventReader(self.run.events_file)
        self._history = History()
        for items in read_parts(self._reader, READ_BYTES):  # what an earlier process said is known
            self._history.add_all(items)

    def follow(self, process: subprocess.Popen[bytes]) -> None:
        """Return when the worker has ended and everything it said has been shown."""
        # A handler, not KeyboardInterrupt: a second Ctrl+C while the first is answered must not end us before it.
        before = signal.signal(signal.SIGINT, lambda *_: self._interrupt(process))
        has_asked = False
        try:
            while True:
                is_over = process.poll() is not None
                for items in read_parts(self._reader, READ_BYTES):
                    for item in items:
                        self._history.add(item)
                        self.show(item)
                if is_over:
                    return
                if self.num_interrupts and not has_asked:
                    has_asked = True
                    self.run.request("stop")
                    self.line.note("Stopping after this step, with a checkpoint. Ctrl+C again kills it at once.")
                time.sleep(LOOK_SECONDS)
        finally:
            signal.signal(signal.SIGINT, before)
            self.line.clear()

    def _interrupt(self, process: subprocess.Popen[bytes]) -> None:
        self.num_interrupts += 1
        if self.num_interrupts > 1:
            process.kill()

    def show(self, item: list[StepRow] | Event) -> None:
        """Tell one event in plain words."""
        match item:
            case list():
                self._show_step()
            case Started() as event:
                where = f"from step {event.resumed_from} " if event.resumed_from else ""
                skipped = f", {whole(event.num_skipped_rows)} skipped" if event.num_skipped_rows else ""
                self.line.note(
                    f"Training {where}on {event.device}: {whole(event.num_rows)} rows{skipped}, "
                    f"{whole(event.num_eval_rows)} held out, {whole(event.total_steps)} steps"
                )
            case Loaded() as event:
                self.line.note(f"{count(event.num_trainable)} of {count(event.num_parameters)} parameters learn")
            case Warned() as event:
                self.line.note(f"Note: {event.message}")
            case Progress() as event:
                share = (
                    f"{event.done / event.total:.0%}" if event.total else whole(event.done) if event.done else "…"
                )
                self.line.show(f"{event.label} {share}")
            case _:
                pass

    def _show_step(self) -> None:
        now = self._history
        parts = [f"Step {now.step}/{now.total_steps}", f"loss {now.loss or 0:.3f}"]
        if now.scores:
            parts.append(f"held-out {now.scores[-1].loss:.3f}")
        parts += [f"{whole(now.tokens_per_second or 0)} tokens/s", size(now.memory_bytes)]
        if now.seconds_left is not None:
            parts.append(f"{duration(now.seconds_left)} left")
        self.line.show(" · ".join(parts))
