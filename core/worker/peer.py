"""A process that takes part in a training run which another one leads. It writes nothing into the run's folder."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from core.events import encode
from core.runs import Run
from core.worker.failure import failed
from core.worker.session import leave_out_libraries, quieten_libraries
from core.worker.wire import open_wire


def main(arguments: list[str]) -> int:
    """Train until the leader says that it is over, or is no more. Returns the exit code."""
    if len(arguments) != 4:
        sys.stderr.write("Usage: python -m core.worker peer RUNFOLDER RANK SIZE MEETING\n")
        return 2
    send = open_wire()
    threading.Thread(target=_end_with_leader, name="leader", daemon=True).start()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, signal.SIG_IGN)  # the leader finishes the step, and the run
    quieten_libraries()
    folder, rank, size, meeting = arguments
    run = Run(Path(folder))
    try:
        leave_out_libraries(run.config)
        from core.worker.group import Group
        from core.worker.train import follow

        follow(run, lambda event: send(encode(event)), Group(int(rank), int(size), Path(meeting)))
    except BaseException as error:
        send(encode(failed(error)))
        return 1
    sys.stderr.flush()
    os._exit(0)  # the libraries' own farewell would wait for processes that have gone


def _end_with_leader() -> None:
    while os.read(0, 1024):
        pass
    os._exit(0)
