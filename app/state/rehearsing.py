"""A rehearsal of the draft in a process of its own: how far it is, what it found, and whether that still holds."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication, QObject, QProcess, QProcessEnvironment, Signal

from core.config import RunConfig

if TYPE_CHECKING:
    from core.memory.rehearsal import Rehearsal

MOST_ERRORS = 4000


class Rehearsing(QObject):
    """`start` and `cancel`. `found` stays until the next rehearsal; `holds_for` says whether it still applies."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.found: Rehearsal | None = None
        self.error = ""
        self.label = ""
        """What is being done, in words."""
        self._subject: tuple[object, ...] = ()
        self._wanted: tuple[object, ...] = ()
        self._errors = b""
        self._is_cancelled = False
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._process = QProcess(self)
        self._process.readyReadStandardError.connect(self._read_errors)
        self._process.finished.connect(self._ended)
        self._process.errorOccurred.connect(self._broke)
        if (app := QCoreApplication.instance()) is not None:
            app.aboutToQuit.connect(self.close)

    @property
    def is_running(self) -> bool:
        return self._process.state() != QProcess.ProcessState.NotRunning

    def holds_for(self, config: RunConfig, device: str, longest_row: int) -> bool:
        """Whether what was found is of a run that takes the same memory."""
        return self.found is not None and self._subject == subject_of(config, device, longest_row)

    def start(self, config: RunConfig, device: str, longest_row: int = 0) -> None:
        """Rehearse a config for a kind of device. `longest_row` is the data's, in tokens, where it is known."""
        if self.is_running:
            return
        from core.launch import worker_command, worker_environment

        self._folder = tempfile.TemporaryDirectory(prefix="hone-rehearsal-", ignore_cleanup_errors=True)
        file = Path(self._folder.name, "config.yaml")
        file.write_text(config.to_yaml(), encoding="utf-8")
        self._wanted = subject_of(config, device, longest_row)
        self._errors, self._is_cancelled, self.error = b"", False, ""
        self.label = "Starting"
        environment = QProcessEnvironment()
        for name, value in worker_environment().items():
            environment.insert(name, value)
        self._process.setProcessEnvironment(environment)
        longest = ["--longest", str(longest_row)] if longest_row else []
        program, *arguments = worker_command("rehearse", str(file), "--device", device, *longest)
        self._process.start(program, arguments)
        self._process.closeWriteChannel()
        self.changed.emit()

    def cancel(self) -> None:
        """End it; what an earlier one found stays."""
        self._is_cancelled = True
        self._process.kill()

    def close(self) -> None:
        """End it with the window."""
        if self.is_running:
            self.cancel()
            self._process.waitForFinished(2000)

    def _read_errors(self) -> None:
        self._errors = (self._errors + bytes(self._process.readAllStandardError().data()))[-MOST_ERRORS:]
        if (words := _last_line(self._errors)) and words != self.label:
            self.label = words
            self.changed.emit()

    def _ended(self, code: int, status: QProcess.ExitStatus) -> None:
        from core.memory.rehearsal import Rehearsal

        self._read_errors()
        answer = bytes(self._process.readAllStandardOutput().data())
        if not self._is_cancelled:
            try:
                if code or status != QProcess.ExitStatus.NormalExit:
                    raise ValueError
                self.found, self._subject = Rehearsal.model_validate_json(answer), self._wanted
            except ValueError:
                self.error = (
                    _last_line(self._errors) or "The rehearsal ended without a word; see Settings, Doctor."
                )
        self._finish()

    def _broke(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self.error = "The rehearsal's process cannot be started; see Settings, Doctor."
            self._finish()

    def _finish(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
        self.label = ""
        self.changed.emit()


def subject_of(config: RunConfig, device: str, longest_row: int) -> tuple[object, ...]:
    """What decides a rehearsal: two runs with the same take the same memory."""
    optim, data = config.optim, config.data
    length = data.max_length if data.packing or not longest_row else min(data.max_length, longest_row)
    return (
        config.model, config.method, config.memory, config.objective, optim.optimizer, optim.batch_size,
        min(optim.accumulation, 2), optim.grad_clip > 0, data.packing, length, device,
    )  # fmt: skip


def _last_line(text: bytes) -> str:
    lines = text.decode(errors="replace").split("\n")[:-1]  # the last piece is still being written
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
