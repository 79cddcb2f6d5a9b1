"""The rows of the draft as its model sees them, asked of a preview worker that lives as long as the page."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from PySide6.QtCore import QCoreApplication, QObject, QProcess, QProcessEnvironment, QTimer, Signal

from app.state.chosen_data import ChosenData
from app.state.chosen_model import ChosenModel
from app.state.draft import Draft
from core.events import Failed, Progress, Warned
from core.launch import PROJECT, worker_command, worker_environment
from core.preview import (
    Answer,
    Command,
    Export,
    Exported,
    Judge,
    Judged,
    Look,
    Looked,
    Measure,
    Measured,
    Seen,
    Show,
    decode_answer,
    encode,
)

if TYPE_CHECKING:
    from core.data.report import Findings

State = Literal["waiting", "loading", "ready", "failed"]
SETTLE_MS = 60
START_MS = 400
"""The first look waits until the window has been painted."""
KEPT_ROWS = 500
AHEAD, BEHIND = 6, 2
MOST_ASKED, NEAR_ASKED = 6, 4
"""Rows that may be asked for at once, and neighbours among them. Without a limit, rows that were long passed stood
before the one in sight: after two hundred jumps its tokens came 18 s late on a busy machine."""
KILL_MS = 1000


class Preview(QObject):
    """`want` a row, then take it from `row` once `seen` says that it is there. Nothing starts before the first.

    `waiting` until model and data are both there and something is wanted; `problem` says why when it `failed`.
    """

    changed = Signal()
    seen = Signal(int)
    measured = Signal()
    """`measurement` is new, or None again."""
    judged = Signal()
    """`findings` are new, or None again."""
    exported = Signal(int, str)
    """How many lines were written, or why none could be."""
    progressed = Signal(float)
    """Share of the rows counted so far."""

    def __init__(self, draft: Draft, model: ChosenModel, data: ChosenData) -> None:
        super().__init__()
        self._draft, self._model, self._data = draft, model, data
        self.state: State = "waiting"
        self.problem = ""
        self.has_template = True
        """Whether the model brings a chat template of its own; taken for so until it was looked at."""
        self.measurement: Measured | None = None
        self.findings: Findings | None = None
        """What is wrong or odd about the rows as the model sees them, and what becomes of them."""
        self._wants_findings = False
        self._judged_by: tuple[object, ...] = ()
        self._is_exporting = False
        self._look: Look | None = None
        self._num_looks = 0
        self._wanted = -1
        self._wants_all = False
        self._counted: tuple[object, Look] | None = None
        self._seen_rows: object = None
        """The data's rows that were looked at: the same settings see other rows after an edit."""
        self._asked: set[int] = set()
        """Rows that have been asked for and have not come yet."""
        self._rows: OrderedDict[int, Seen] = OrderedDict()
        self._unread = b""
        self._errors = b""
        self._process = QProcess(self)
        self._process.readyReadStandardOutput.connect(self._read)
        self._process.readyReadStandardError.connect(self._read_errors)
        self._process.finished.connect(self._ended)
        self._process.errorOccurred.connect(self._broke)
        self._settled = QTimer(self)
        self._settled.setSingleShot(True)
        self._settled.setInterval(START_MS)
        self._settled.timeout.connect(self._follow)
        for state in (draft, model, data):
            state.changed.connect(self._notice)
        self.destroyed.connect(partial(_end, self._process))
        if (app := QCoreApplication.instance()) is not None:
            app.aboutToQuit.connect(self.close)

    def row(self, number: int) -> Seen | None:
        """A row that has been seen already, counted from 0."""
        return self._rows.get(number)

    def want(self, number: int) -> None:
        """Ask for a row and its neighbours, those not there yet. Asking again is free."""
        self._wanted = number
        if self._look is None:
            self._settled.start()
        elif self.state == "ready":
            self._ask_rows()

    def want_all(self) -> None:
        """Count every row's tokens, not only a sample's."""
        if not self._wants_all:
            self._wants_all = True
            if self.state == "ready" and self.measurement is not None:
                self._measure()

    def want_findings(self) -> None:
        """Judge every row, and again whenever settings that matter have changed."""
        self._wants_findings = True
        self.want_all()
        self._judge()

    def export(self, target: Path) -> None:
        """Write all findings to a file; `exported` tells what came of it. Only when there are findings."""
        self._is_exporting = True
        config = self._draft.config
        self._send(Export(data=config.data, seed=config.runtime.seed, target=str(target)))

    def retry(self) -> None:
        """Look again, as after a failure."""
        self._look = None
        self._settled.start()

    def close(self) -> None:
        """End the worker now."""
        self._settled.stop()
        _end(self._process)

    def _notice(self) -> None:
        if self._wanted >= 0:
            self._settled.start()

    def _follow(self) -> None:
        """Look through the draft's settings if they are others now and all that is needed is there."""
        look = Look.through(self._draft.config)
        if self._model.folder is None or self._data.rows is None:
            if self.state != "waiting":
                self._forget("waiting")
            return
        if look == self._look and self._data.rows is self._seen_rows:
            self._judge()
            return
        self._look, self._seen_rows = look, self._data.rows
        if not _has_tokenizer(self._model.folder.path):
            self._fail("The model's folder has no tokenizer, so its tokens cannot be shown.")
            return
        self._forget("loading", keep_counts=self._counted == (self._seen_rows, look.without_limit()))
        self._start()
        self._num_looks += 1
        self._send(look)

    def _forget(self, state: State, *, keep_counts: bool = False) -> None:
        """What was seen belongs to other settings. Counts are of whole rows, so the limit does not change them."""
        if state == "waiting":
            self._look = None
        self._rows.clear()
        self._asked.clear()
        self.state, self.problem = state, ""
        if not keep_counts:
            self._counted = None
            if self.measurement is not None:
                self.measurement = None
                self.measured.emit()
            if self.findings is not None:
                self.findings = None
                self.judged.emit()
        self._judged_by = ()
        self.changed.emit()

    def _measure(self) -> None:
        """Count a sample first, for a quick answer; then all rows where they are wanted."""
        if self.measurement is None:
            self._send(Measure(is_sample=True))
        elif self._wants_all and self.measurement.num_measured < self.measurement.num_rows:
            self._send(Measure(is_sample=False))

    def _judge(self) -> None:
        """Judge all rows once they are counted, unless that was asked for these settings already."""
        counted, config = self.measurement, self._draft.config
        if self.state != "ready" or counted is None or counted.num_measured < counted.num_rows:
            return
        if self._wants_findings and (settings := (config.data, config.runtime.seed)) != self._judged_by:
            self._judged_by = settings
            self._send(Judge(data=config.data, seed=config.runtime.seed))

    def _ask_rows(self) -> None:
        rows = self._data.rows
        last = len(rows) - 1 if rows is not None else -1
        near = [self._wanted]
        for step in range(1, AHEAD + 1):
            near += [self._wanted + step] + ([self._wanted - step] if step <= BEHIND else [])
        new = []
        for number in near:
            room = (MOST_ASKED if number == self._wanted else NEAR_ASKED) - len(self._asked) - len(new)
            if room > 0 and 0 <= number <= last and number not in self._asked and number not in self._rows:
                new.append(number)
        if new:
            self._asked.update(new)
            self._send(Show(rows=tuple(new)))

    def _start(self) -> None:
        if self._process.state() != QProcess.ProcessState.NotRunning:
            return
        self._unread, self._errors, self._num_looks = b"", b"", 0
        environment = QProcessEnvironment()
        for name, value in worker_environment().items():
            environment.insert(name, value)
        self._settled.setInterval(SETTLE_MS)
        command, *arguments = worker_command("preview")
        self._process.setProcessEnvironment(environment)
        self._process.setWorkingDirectory(str(PROJECT))
        self._process.start(command, arguments)

    def _send(self, command: Command) -> None:
        self._process.write(encode(command))

    def _read(self) -> None:
        *lines, self._unread = (self._unread + self._process.readAllStandardOutput().data()).split(b"\n")
        for line in lines:
            if (answer := decode_answer(line)) is not None:
                self._take(answer)

    def _take(self, answer: Answer) -> None:
        if isinstance(answer, (Looked, Failed)):
            self._num_looks = max(0, self._num_looks - 1)
        if self._num_looks:
            return  # an answer to settings that have been changed since
        match answer:
            case Looked():
                self.state, self.has_template = "ready", answer.has_template
                self.changed.emit()
                self._ask_rows()
                self._measure()
                self._judge()
            case Failed():
                self._fail(answer.message)
            case Seen():
                self._rows[answer.row] = answer
                self._asked.discard(answer.row)
                while len(self._rows) > KEPT_ROWS:
                    self._rows.popitem(last=False)
                self.seen.emit(answer.row)
                self._ask_rows()
            case Measured():
                self.measurement = answer
                self._counted = self._look and (self._seen_rows, self._look.without_limit())
                self.measured.emit()
                self._measure()
                self._judge()
            case Judged():
                self.findings = answer.findings
                self.judged.emit()
            case Exported():
                self._is_exporting = False
                self.exported.emit(answer.num_lines, "")
            case Warned() if self._is_exporting:
                self._is_exporting = False
                self.exported.emit(0, answer.message)
            case Progress():
                self.progressed.emit(answer.done / max(1.0, answer.total))
            case _:
                return

    def _fail(self, sentence: str) -> None:
        self._forget("failed")
        self.problem = sentence
        self.changed.emit()

    def _read_errors(self) -> None:
        self._errors = (self._errors + self._process.readAllStandardError().data())[-4000:]

    def _ended(self) -> None:
        words = self._errors.decode(errors="replace").strip().splitlines()[-1:]
        self._fail(f"The preview ended unexpectedly{f': {words[0][:200]}' if words else ''}.")

    def _broke(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self._fail(f"The preview cannot be started: {self._process.errorString()}.")


def _has_tokenizer(folder: Path) -> bool:
    from core.models.allowed import TOKENIZER_FILES

    return any((folder / name).is_file() for name in TOKENIZER_FILES)


def _end(process: QProcess) -> None:
    """End a worker that has nothing to save."""
    if process.state() != QProcess.ProcessState.NotRunning:
        process.blockSignals(True)
        process.kill()
        process.waitForFinished(KILL_MS)
        process.blockSignals(False)
