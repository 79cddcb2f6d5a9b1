"""Looks through a dataset in a process of its own: `python -m core.data.apart check` (or `survey`) reads a run's
config from stdin.

Rows are read and judged in Python, which holds its lock all the while: on a thread, the check of a large file
would take the window's frames. Now and then the process says a Progress event, and at last what it found.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable

import psutil

from core.config import RunConfig
from core.data.check import check
from core.data.report import Report
from core.data.source import wrong
from core.data.statistics import Statistics
from core.data.survey import kept_survey, survey
from core.errors import HoneError
from core.events import Failed, Progress, decode, encode
from core.launch import worker_environment, worker_python

NICE = 10
"""How far the process stands back behind the window where there are few cores."""


def check_run(config: RunConfig, progress: Callable[[int, int], None] | None = None) -> Report:
    """The check of a run's data as the run would read it. Raises HoneError."""
    return check(config.data, config.runtime.seed, progress)


def check_apart(config: RunConfig, progress: Callable[[int, int], None]) -> Report:
    """`check_run` in a process of its own, which ends when `progress` raises. Raises HoneError."""
    return Report.model_validate_json(_ask("check", config, progress))


def survey_apart(config: RunConfig, progress: Callable[[int, int], None]) -> Statistics:
    """The survey of a run's data, made in a process of its own where it is not kept. Raises HoneError."""
    if (found := kept_survey(config)) is not None:
        return found
    _ask("survey", config, progress)
    return survey(config, progress)  # kept by now, unless the disk is full


def _ask(job: str, config: RunConfig, progress: Callable[[int, int], None]) -> bytes:
    """The last line that a process for this job says."""
    worker = subprocess.Popen(
        [worker_python(), "-P", "-m", "core.data.apart", job],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=worker_environment(),
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )
    assert worker.stdin is not None and worker.stdout is not None
    with worker:
        try:
            worker.stdin.write(config.to_yaml().encode())
            worker.stdin.close()
            last = b""
            for last in worker.stdout:
                event = decode(last)
                if isinstance(event, Progress):
                    progress(int(event.done), int(event.total))
                elif isinstance(event, Failed):
                    raise HoneError(event.message, path=event.path)
        except BaseException:
            worker.kill()
            raise
    if worker.returncode:
        raise wrong("The check of the data ended without a word; is memory short? Choose the data again.")
    return last


def main(job: str) -> int:
    """Exit 0 after what was found, 1 after a Failed event."""

    def say(line: bytes) -> None:
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()

    def tell(done: int, total: int) -> None:
        say(encode(Progress(label=job, done=done, total=total)))

    with contextlib.suppress(psutil.Error, OSError):  # who scrolls meanwhile goes first
        psutil.Process().nice(getattr(psutil, "BELOW_NORMAL_PRIORITY_CLASS", NICE))
    try:
        config = RunConfig.from_yaml(sys.stdin.buffer.read().decode())
        found = (check_run if job == "check" else survey)(config, tell)
    except HoneError as error:
        say(encode(Failed(message=error.message, path=error.path)))
        return 1
    say(found.model_dump_json().encode() + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
