"""A comparison as the window sees it: columns, their conversations, and the chat worker that answers for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from PySide6.QtCore import QCoreApplication, QObject, QProcess, QProcessEnvironment, QTimer, Signal

from core import places
from core.chat import Ask, Command, Load, Message, Sampling, StopAnswer, advised_sampling, died, encode_command
from core.columns import Column, check_together
from core.errors import HoneError
from core.events import Event, Failed, Progress, Ready, Replied, Token, Warned, decode
from core.launch import PROJECT, worker_command, worker_environment

State = Literal["idle", "loading", "ready", "answering", "failed"]
TICK_MS = 33
KILL_MS = 2000


@dataclass(eq=False)
class Conversation:
    """One column and what was said in it. While it is answering, `partial` grows and becomes the last message."""

    column: Column
    messages: list[Message] = field(default_factory=list)
    partial: str = ""
    is_answering: bool = False
    difference: float | None = None
    """Largest logit difference to the base; None until the worker has measured it."""
    tokens_per_second: float = 0.0
    was_cut: bool = False
    """Whether the last answer ended at the length limit or by Stop."""
    num_tries: int = 0
    """How often the last question was asked again; each try throws other dice."""

    @property
    def is_identical(self) -> bool:
        """Whether the column's weights change nothing: a warning for anything but the base."""
        return self.column.kind != "base" and self.difference == 0

    @property
    def last_answer(self) -> str:
        return self.messages[-1].content if self.messages and self.messages[-1].role == "assistant" else ""

    def end_answer(self, text: str) -> None:
        self.messages.append(Message(role="assistant", content=text))
        self.partial, self.is_answering = "", False


class Comparison(QObject):
    """The worker starts with the first columns and ends with `close`; it never outlives the window."""

    columns_changed = Signal()
    state_changed = Signal()
    asked = Signal()
    streamed = Signal(list)
    """Places of the columns whose text has grown, at most once a tick."""
    replied = Signal(int)
    refused = Signal(str)
    """A question that could not be answered, to be put back into the composer; `problem` says why."""
    warned = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.conversations: list[Conversation] = []
        self.state: State = "idle"
        self.progress = ""
        self.problem = ""
        self.memory_bytes = 0
        self.sampling = self.usual_sampling = Sampling()
        self.system = ""
        self.uses_template = True
        self.device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
        self.threads = 0
        self._num_loads = 0
        self._unread = b""
        self._owed: set[int] = set()
        self._process = QProcess(self)
        self._process.readyReadStandardOutput.connect(self._wake)
        self._process.finished.connect(self._ended)
        self._process.errorOccurred.connect(self._not_started)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._drain)
        if (app := QCoreApplication.instance()) is not None:
            app.aboutToQuit.connect(self.close)

    @property
    def columns(self) -> list[Column]:
        return [conversation.column for conversation in self.conversations]

    @property
    def has_turns(self) -> bool:
        return any(conversation.messages for conversation in self.conversations)

    def warm(self) -> None:
        """Start the worker ahead of the first columns: its libraries take seconds to load."""
        self._start()

    def open(self, columns: Sequence[Column]) -> None:
        """Show exactly these columns and load them; conversations of those that stay are kept.

        Raises HoneError when they cannot stand side by side; then nothing changes.
        """
        wanted = list(columns)
        if wanted:
            check_together(wanted)
        if twice := next((column for column in wanted if wanted.count(column) > 1), None):
            raise HoneError(f"{twice.name} ({twice.badge}) is already there.")
        self._end_answers()
        kept = {conversation.column: conversation for conversation in self.conversations}
        self.conversations = [kept.get(column) or Conversation(column) for column in wanted]
        self.problem = ""
        if wanted:
            self._take_advice(wanted[0])
            self._load()
        else:
            self._set_state("idle")
        self.columns_changed.emit()

    def remove(self, place: int) -> None:
        self.open([column for index, column in enumerate(self.columns) if index != place])

    def retry(self) -> None:
        """Load the same columns again, after a failure."""
        self.open(self.columns)

    def set_sampling(self, **changes: Any) -> None:
        """Change how answers are chosen, from the next question on."""
        self.sampling = Sampling.model_validate({**self.sampling.model_dump(), **changes})
        self.state_changed.emit()

    def ask(self, prompt: str) -> None:
        """Put one question to all columns. Does nothing unless they are ready."""
        if self.state != "ready" or not prompt.strip():
            return
        for conversation in self.conversations:
            conversation.messages.append(Message(role="user", content=prompt))
            conversation.num_tries = 0
        self._send_ask(range(len(self.conversations)))

    def regenerate(self, place: int) -> None:
        """Let one column answer its last question again, with other dice."""
        conversation = self.conversations[place]
        if self.state != "ready" or not conversation.messages:
            return
        if conversation.messages[-1].role == "assistant":
            conversation.messages.pop()
        conversation.num_tries += 1
        self._send_ask([place])

    def stop(self) -> None:
        """End the answers under way; what is written stays."""
        if self.state == "answering":
            self._send(StopAnswer())

    def clear(self) -> None:
        """Begin a new conversation in every column."""
        self.stop()
        self._end_answers()
        for conversation in self.conversations:
            conversation.messages.clear()
        self.columns_changed.emit()

    def close(self) -> None:
        """End the worker now."""
        self._timer.stop()
        if self._process.state() != QProcess.ProcessState.NotRunning:
            self._process.blockSignals(True)
            self._process.kill()  # it has nothing to save
            self._process.waitForFinished(KILL_MS)
            self._process.blockSignals(False)

    def _take_advice(self, column: Column) -> None:
        """Begin with what the base's makers advise, unless a person has chosen otherwise."""
        is_untouched = self.sampling == self.usual_sampling
        self.usual_sampling = advised_sampling(column.model)
        if is_untouched:
            self.sampling = self.usual_sampling

    # Talking to the worker

    def _load(self) -> None:
        self._start()
        self._num_loads += 1
        self.progress = "Starting"
        self._set_state("loading")
        self._send(Load(columns=tuple(self.columns), device=self.device, threads=self.threads))

    def _send_ask(self, places: Sequence[int]) -> None:
        self.problem = ""
        self._owed = set(places)
        seeds = {}
        for place in places:
            conversation = self.conversations[place]
            conversation.partial, conversation.is_answering, conversation.was_cut = "", True, False
            if conversation.num_tries:
                seeds[place] = (self.sampling.seed + conversation.num_tries) % 2**31
        self._set_state("answering")
        self.asked.emit()
        self._send(
            Ask(
                conversations={place: tuple(self.conversations[place].messages) for place in places},
                system=self.system,
                sampling=self.sampling,
                template=self.uses_template,
                seeds=seeds,
            )
        )

    def _start(self) -> None:
        if self._process.state() != QProcess.ProcessState.NotRunning:
            return
        self._unread, self._num_loads, self._owed = b"", 0, set()
        log = places.cache_folder() / "chat.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        environment = QProcessEnvironment()
        for name, value in worker_environment().items():
            environment.insert(name, value)
        command, *arguments = worker_command("chat")
        self._process.setProcessEnvironment(environment)
        self._process.setWorkingDirectory(str(PROJECT))
        self._process.setStandardErrorFile(str(log))
        self._process.start(command, arguments)

    def _send(self, command: Command) -> None:
        self._process.write(encode_command(command))

    def _wake(self) -> None:
        if not self._timer.isActive():
            self._timer.start()

    def _drain(self) -> None:
        """Take all that has arrived since the last tick."""
        *lines, self._unread = (self._unread + self._process.readAllStandardOutput().data()).split(b"\n")
        grown: dict[int, None] = {}
        for line in lines:
            event = decode(line)
            if isinstance(event, Token) and self._is_current(event.column):
                self.conversations[event.column].partial += event.text
                grown[event.column] = None
            elif event is not None:
                self._take(event, grown)
        if grown:
            self.streamed.emit(list(grown))

    def _take(self, event: Event, grown: dict[int, None]) -> None:
        match event:
            case Progress():
                self.progress = event.label
                self.state_changed.emit()
            case Warned():
                self.warned.emit(event.message)
            case Ready():
                self._take_ready(event)
            case Replied() if self._num_loads == 0:
                grown.pop(event.column, None)
                self._take_reply(event)
            case Failed():
                self._take_failure(event)
            case _:
                return

    def _is_current(self, place: int) -> bool:
        """Whether text for a place is meant for the column that stands there now."""
        return self._num_loads == 0 and place < len(self.conversations) and self.conversations[place].is_answering

    def _take_ready(self, event: Ready) -> None:
        self._num_loads = max(0, self._num_loads - 1)
        if self._num_loads or not self.conversations:
            return
        for conversation, difference in zip(self.conversations, event.logit_differences, strict=True):
            conversation.difference = difference
        self.memory_bytes = event.memory_bytes
        self._set_state("ready")

    def _take_reply(self, event: Replied) -> None:
        is_wanted = self._is_current(event.column)
        if is_wanted:
            conversation = self.conversations[event.column]
            conversation.end_answer(event.text)
            conversation.tokens_per_second = event.tokens_per_second
            conversation.was_cut = event.reason != "end"
        self._owed.discard(event.column)
        if self.state == "answering" and not self._owed:
            self._set_state("ready")
        if is_wanted:
            self.replied.emit(event.column)

    def _take_failure(self, event: Failed) -> None:
        self.problem = event.message
        if self.state == "answering":
            self._withdraw()
            self._set_state("ready")
            return
        self._num_loads = max(0, self._num_loads - 1)
        if self._num_loads == 0:
            self._set_state("failed")

    def _withdraw(self) -> None:
        """Take a question back that could not be answered, so that the conversation still ends with an answer."""
        prompt = ""
        for conversation in self.conversations:
            if conversation.is_answering:
                conversation.partial, conversation.is_answering = "", False
                prompt = conversation.messages.pop().content
        self._owed.clear()
        self.columns_changed.emit()
        if prompt:
            self.refused.emit(prompt)

    def _end_answers(self) -> None:
        """Keep what is written of answers that nobody waits for any more."""
        for conversation in self.conversations:
            if conversation.is_answering:
                conversation.end_answer(conversation.partial)
                conversation.was_cut = True

    def _not_started(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self.problem = f"The chat worker cannot be started ({self._process.errorString()})."
            self._set_state("failed")

    def _ended(self) -> None:
        self._drain()
        self._end_answers()
        if self.conversations:
            self.problem = died(_last_words())
            self._set_state("failed")
            self.columns_changed.emit()

    def _set_state(self, state: State) -> None:
        self.state = state
        self.state_changed.emit()


def _last_words() -> str:
    try:
        lines = (places.cache_folder() / "chat.log").read_text(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1] if lines else ""
