"""One download from the Hub, in a process of its own: how far it is, how fast, and how it ended."""

from __future__ import annotations

import os
import time
from collections import deque
from typing import Literal

from PySide6.QtCore import QObject, QProcess, QProcessEnvironment, Signal

from core.events import Failed, Finished, Progress, decode
from core.launch import PROJECT, worker_python

SPEED_SECONDS = 5.0


class Download(QObject):
    """`start` and `cancel`. A cancelled download goes on where it was when it is started again."""

    changed = Signal()
    finished = Signal(str)
    """What was asked for, once it is whole on disk."""
    failed = Signal(str)
    """A sentence for the person who asked."""

    def __init__(self, what: Literal["model", "data"] = "model") -> None:
        super().__init__()
        self._what = what
        self.source = ""
        self.done_bytes = 0.0
        self.total_bytes = 0.0
        self.label = ""
        self._seen: deque[tuple[float, float]] = deque()
        self._ending: Finished | Failed | None = None
        self._is_cancelled = False
        self._errors = b""
        self._process = QProcess(self)
        environment = QProcessEnvironment.systemEnvironment()
        found = environment.value("PYTHONPATH")
        environment.insert("PYTHONPATH", os.pathsep.join(filter(None, [str(PROJECT), found])))
        environment.insert("PYTHONUTF8", "1")
        environment.insert("HF_HUB_DISABLE_TELEMETRY", "1")
        self._process.setProcessEnvironment(environment)
        self._process.readyReadStandardOutput.connect(self._read)
        self._process.readyReadStandardError.connect(self._read_errors)
        self._process.finished.connect(self._ended)
        self._process.errorOccurred.connect(self._broke)

    @property
    def is_running(self) -> bool:
        return self._process.state() != QProcess.ProcessState.NotRunning

    @property
    def bytes_per_second(self) -> float:
        """Over the last few seconds; 0 until there is something to measure."""
        if len(self._seen) < 2:
            return 0.0
        (start, before), (now, after) = self._seen[0], self._seen[-1]
        return max(0.0, after - before) / max(1e-6, now - start)

    def start(self, source: str, revision: str = "") -> None:
        if self.is_running:
            return
        self.source, self.label = source, "Asking the Hub"
        self.done_bytes = self.total_bytes = 0.0
        self._seen.clear()
        self._ending, self._is_cancelled, self._errors = None, False, b""
        options = ["--data"] if self._what == "data" else ["--revision", revision] if revision else []
        # -P: a folder named "core" where the user happens to stand must not be taken for ours.
        self._process.start(worker_python(), ["-P", "-m", "core.download", source, *options])
        self.changed.emit()

    def cancel(self) -> None:
        self._is_cancelled = True
        self._process.kill()

    def _read(self) -> None:
        while self._process.canReadLine():
            event = decode(bytes(self._process.readLine().data()))
            if isinstance(event, Progress):
                self.label, self.done_bytes, self.total_bytes = event.label, event.done, event.total
                now = time.monotonic()
                self._seen.append((now, event.done))
                while now - self._seen[0][0] > SPEED_SECONDS:
                    self._seen.popleft()
            elif isinstance(event, (Finished, Failed)):
                self._ending = event
        self.changed.emit()

    def _read_errors(self) -> None:
        self._errors = (self._errors + bytes(self._process.readAllStandardError().data()))[-4000:]

    def _ended(self) -> None:
        self._read()
        if isinstance(self._ending, Finished):
            self.finished.emit(self.source)
        elif isinstance(self._ending, Failed):
            self.failed.emit(self._ending.message)
        elif not self._is_cancelled:
            last = self._errors.decode(errors="replace").strip().splitlines()[-1:]
            said = f" It last said: {last[0][:200]}" if last else ""
            self.failed.emit(f"The download of {self.source} ended without a word; press Download again.{said}")
        self.changed.emit()

    def _broke(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self.failed.emit(f"The download cannot be started: {self._process.errorString()}.")
            self.changed.emit()
