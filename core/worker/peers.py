"""The other processes of a run, for the one that leads: starts them, passes on what they say, notices a death."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from core.events import Event, Failed, Warned, decode
from core.launch import worker_command, worker_environment
from core.runs import Run

END_SECONDS = 10.0


class Peers:
    """Processes of rank 1 to `size - 1`, from entering to leaving.

    Each lives as long as the pipe to it is open, so none outlives this one, however it dies. `give_up` is called,
    from another thread, with the event that ends the run when one of them ends before its time.
    """

    def __init__(
        self, run: Run, size: int, write: Callable[[Event], None], give_up: Callable[[Failed], None]
    ) -> None:
        self._run, self._size, self._write, self._give_up = run, size, write, give_up
        self._folder = tempfile.TemporaryDirectory(prefix="hone-", ignore_cleanup_errors=True)
        self.meeting = Path(self._folder.name) / "meeting"
        """Where all processes find each other."""
        self._processes: list[subprocess.Popen[bytes]] = []
        self._watchers: list[threading.Thread] = []
        self._is_over = False

    def __enter__(self) -> Peers:
        for rank in range(1, self._size):
            given = (str(self._run.folder), str(rank), str(self._size), str(self.meeting))
            process = subprocess.Popen(
                worker_command("peer", *given),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=worker_environment(),
                cwd=self._run.folder,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
            watcher = threading.Thread(target=self._watch, args=(rank, process), name=f"peer {rank}", daemon=True)
            self._processes.append(process)
            self._watchers.append(watcher)
            watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for those that are done; end those that are not."""
        self._is_over = True
        for process in self._processes:
            assert process.stdin is not None
            with contextlib.suppress(OSError):
                process.stdin.close()
        for process in self._processes:
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for watcher in self._watchers:
            watcher.join(END_SECONDS)
        self._folder.cleanup()

    def _watch(self, rank: int, process: subprocess.Popen[bytes]) -> None:
        told: Failed | None = None
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                event = decode(line)
                if isinstance(event, Failed):
                    told = event
                elif isinstance(event, Warned) and not self._is_over:
                    message = f"Process {rank + 1} of {self._size}: {event.message}"
                    self._write(event.model_copy(update={"message": message}))
        code = process.wait()
        if code and not self._is_over:
            self._give_up(told or Failed(message=self._why(rank, code)))

    def _why(self, rank: int, code: int) -> str:
        who = f"Process {rank + 1} of {self._size}"
        if os.name != "nt" and code == -signal.SIGKILL:
            how = "was killed, most likely by the system for lack of memory"
        elif code < 0:
            how = f"was ended by signal {-code}"
        else:
            how = f"ended with code {code}, and its last words are in worker.log"
        return f"{who} {how}; Resume continues from the last checkpoint."
