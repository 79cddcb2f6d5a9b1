"""The process of one training run: holds its lock, keeps its record, and turns any exception into one event.

Light to import, so that the run counts as live long before torch is loaded.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import traceback
from pathlib import Path

import filelock

from core import durable
from core.config import RunConfig
from core.errors import HoneError
from core.events import Failed, Finished, Progress
from core.runs import Run
from core.sections import BITSANDBYTES
from core.worker.failure import failed
from core.worker.journal import Journal


def main(arguments: list[str]) -> int:
    """Train the run in a folder. Returns the exit code: 0 when it ended with Finished, 1 for anything else."""
    if len(arguments) != 1:
        return _say("Usage: python -m core.worker train RUNFOLDER", code=2)
    run = Run(Path(arguments[0]).resolve())
    if not run.config_file.is_file():
        return _say(f"{run.folder} is no run: it has no config.yaml.")
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    quieten_libraries()
    _spare_the_window()
    try:
        with run.lock():
            for folder in (run.folder, run.checkpoints_folder):
                durable.sweep(folder)
            return _train(run, Journal(run.events_file), stop)
    except filelock.Timeout:
        return _say(f"{run.name} is already running.")
    except OSError as error:
        return _say(
            f"{run.folder} cannot be written ({error.strerror or error}); check its permissions and space."
        )


def _train(run: Run, journal: Journal, stop: threading.Event) -> int:
    journal.write(Progress(label="Starting", done=0))
    try:
        leave_out_libraries(run.config)
        if run.config.runtime.processes > 1:
            journal.write(_train_together(run, journal, stop))
        else:
            from core.worker.train import train

            journal.write(train(run, journal.write, stop.is_set))
        code = 0
    except BaseException as error:
        event = _shown(error)
        journal.write(event)
        _say(event.message)
        code = 1
    if journal.num_waiting:
        _say(f"{journal.num_waiting} events could not be written: the disk is full.")
    journal.close()
    if run.config.runtime.processes > 1:
        sys.stderr.flush()
        os._exit(code)  # the libraries' own farewell would wait for processes that have gone
    return code


def _train_together(run: Run, journal: Journal, stop: threading.Event) -> Finished:
    """Train with other processes, of which this one is the first. When one of them dies, so does the run: with one
    sentence, and its checkpoints whole."""
    from core.placement import place
    from core.worker.peers import Peers

    place(run.config)  # a mistake is told before anything is started

    def give_up(event: Failed) -> None:
        journal.write_last(event)
        _say(event.message)
        os._exit(1)

    size = run.config.runtime.processes
    with Peers(run, size, journal.write, give_up) as peers:
        from core.worker.group import Group
        from core.worker.train import train

        return train(run, journal.write, stop.is_set, Group(0, size, peers.meeting))


def leave_out_libraries(config: RunConfig) -> None:
    """PEFT imports bitsandbytes whenever it is there, at the cost of over a second; None says that it is not."""
    if config.model.quantization == "none" and config.optim.optimizer not in BITSANDBYTES:
        sys.modules["bitsandbytes"] = None  # type: ignore[assignment]


def _shown(error: BaseException) -> Failed:
    if isinstance(error, HoneError) and (error.__cause__ or error.__context__):
        # A library's own words behind our sentence may help someone who reads the log.
        traceback.print_exception(error, file=sys.stderr)
    return failed(error)


def quieten_libraries() -> None:
    """Warnings go to the log as lines; no progress bars, no advice."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.captureWarnings(True)
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)


def _spare_the_window() -> None:
    """When memory runs out, let the kernel end this process and not the window."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("500")


def _say(message: str, code: int = 1) -> int:
    with contextlib.suppress(OSError):
        sys.stderr.write(message + "\n")
    return code
