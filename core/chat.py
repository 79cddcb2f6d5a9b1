"""What a window or a command line says to the chat worker, and a blocking client for it. No torch here.

Commands go to the worker's stdin as JSON lines, events of core.events come back on its stdout. Each Load is
answered by one Ready or one Failed, each Ask by one Replied per column or one Failed.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, BinaryIO, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from core.columns import Column, check_together
from core.errors import HoneError
from core.events import Event, Failed, Progress, Ready, Replied, Token, Warned, decode
from core.launch import PROJECT, worker_command, worker_environment
from core.models.source import locate_model
from core.sections import ModelSection

MAX_ADVICE_BYTES = 1 << 16


class Spoken(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class Message(Spoken):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class Sampling(Spoken):
    """How the next token is chosen. Equal settings and seed give equal text, whatever the neighbours do."""

    temperature: float = Field(default=0.7, ge=0, le=5)
    """Freedom of choice; 0 always takes the likeliest word."""
    top_p: float = Field(default=0.95, gt=0, le=1)
    """Choose among the likeliest words that together reach this probability; 1 keeps all."""
    top_k: int = Field(default=0, ge=0, le=1_000_000)
    """Choose among this many likeliest words; 0 keeps all."""
    repetition_penalty: float = Field(default=1.0, ge=0.1, le=10)
    """Above 1, words already used become less likely; 1 changes nothing."""
    max_tokens: int = Field(default=256, ge=1, le=1_000_000)
    """Longest answer, in tokens."""
    seed: int = Field(default=42, ge=0, le=2**31 - 1)
    """Start of the dice; change it for another answer."""


def advised_sampling(model: ModelSection) -> Sampling:
    """What a model's makers advise in its generation_config.json, where they advise to sample; ours otherwise."""
    try:
        path = locate_model(model.source, model.revision).path / "generation_config.json"
        with path.open("rb") as file:
            advice = json.loads(file.read(MAX_ADVICE_BYTES))
    except (HoneError, OSError, ValueError, RecursionError):
        return Sampling()
    if not isinstance(advice, dict) or advice.get("do_sample") is not True:
        return Sampling()
    names = ("temperature", "top_p", "top_k", "repetition_penalty")
    found = {name: advice[name] for name in names if advice.get(name) is not None}
    try:
        return Sampling.model_validate(found)
    except ValidationError:
        return Sampling()


class Load(Spoken):
    """Bring these columns into memory and drop all others; what is loaded already is kept."""

    type: Literal["load"] = "load"
    columns: tuple[Column, ...]
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    threads: int = Field(default=0, ge=0, le=1024)
    """CPU threads; 0 takes one per core."""


class Ask(Spoken):
    """Answer: for each column asked, by its place in Load, the conversation so far, a user's turn last."""

    type: Literal["ask"] = "ask"
    conversations: dict[int, tuple[Message, ...]]
    system: str = ""
    sampling: Sampling = Sampling()
    template: bool = True
    """Write the conversation through the chat template; off, the last turn is continued as plain text."""
    seeds: dict[int, int] = {}
    """Seeds of single columns where they differ from the sampling's, as after Regenerate."""


class StopAnswer(Spoken):
    """End the answers under way; each column replies with what it has."""

    type: Literal["stop"] = "stop"


class Quit(Spoken):
    type: Literal["quit"] = "quit"


Command = Load | Ask | StopAnswer | Quit
_adapter: TypeAdapter[Command] = TypeAdapter(Annotated[Command, Field(discriminator="type")])


def encode_command(command: Command) -> bytes:
    """The command as one JSON line, newline included."""
    return command.model_dump_json().encode() + b"\n"


def decode_command(line: bytes) -> Command:
    """The command in one line. Raises HoneError for anything else."""
    try:
        return _adapter.validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "it"
        raise HoneError(f"The chat worker did not understand a command: {place}: {first['msg']}.") from None


def ask_all(prompt: str, columns: Sequence[int], *, system: str = "", sampling: Sampling | None = None) -> Ask:
    """One prompt to several columns."""
    turn = (Message(role="user", content=prompt),)
    return Ask(conversations=dict.fromkeys(columns, turn), system=system, sampling=sampling or Sampling())


class ChatClient:
    """A chat worker as a blocking object: load columns, ask, iterate over events. Use it as a context manager.

    with ChatClient() as chat:
        chat.load(compared([run]))
        for event in chat.ask("Tell me about a fox."): ...
    """

    def __init__(self) -> None:
        self._log: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the worker
        try:
            self._process = subprocess.Popen(
                worker_command("chat"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                env=worker_environment(),
                cwd=PROJECT,
            )
        except OSError as error:
            self._log.close()
            raise HoneError(f"The chat worker cannot be started ({error.strerror}).") from None
        self.columns: tuple[Column, ...] = ()

    def load(
        self,
        columns: Sequence[Column],
        *,
        device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
        threads: int = 0,
        said: Callable[[Progress | Warned], None] | None = None,
    ) -> Ready:
        """Load the columns and wait until they can answer. Raises HoneError when they cannot."""
        check_together(list(columns))
        self.send(Load(columns=tuple(columns), device=device, threads=threads))
        for event in self.events():
            match event:
                case Ready():
                    self.columns = tuple(columns)
                    return event
                case Progress() | Warned() if said is not None:
                    said(event)
                case _:
                    continue
        raise self._death()

    def ask(
        self,
        prompt: str | Ask,
        *,
        columns: Sequence[int] | None = None,
        system: str = "",
        sampling: Sampling | None = None,
    ) -> Iterator[Token | Replied | Warned]:
        """Tokens as they come and one Replied per column, then end. Raises HoneError when answering fails."""
        asked = range(len(self.columns)) if columns is None else columns
        ask = ask_all(prompt, asked, system=system, sampling=sampling) if isinstance(prompt, str) else prompt
        waiting = set(ask.conversations)
        self.send(ask)
        while waiting:
            event = next(self.events(), None)
            if event is None:
                raise self._death()
            if isinstance(event, Token | Replied | Warned):
                if isinstance(event, Replied):
                    waiting.discard(event.column)
                yield event

    def answers(self, prompt: str | Ask, *, system: str = "", sampling: Sampling | None = None) -> list[Replied]:
        """The finished answers of all asked columns, in the columns' order."""
        replies = [e for e in self.ask(prompt, system=system, sampling=sampling) if isinstance(e, Replied)]
        return sorted(replies, key=lambda reply: reply.column)

    def stop(self) -> None:
        """End the answers under way; may be called from another thread."""
        self.send(StopAnswer())

    def send(self, command: Command) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(encode_command(command))
            self._process.stdin.flush()
        except OSError:
            raise self._death() from None

    def events(self) -> Iterator[Event]:
        """Events as they arrive, until the worker ends. Raises HoneError for a Failed."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event = decode(line)
            if isinstance(event, Failed):
                raise HoneError(event.message, path=event.path)
            if event is not None:
                yield event

    def close(self) -> None:
        """End the worker and free what it holds."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(OSError):  # it may have gone already
            self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _death(self) -> HoneError:
        self._process.wait()
        self._log.seek(0)
        words = self._log.read().decode(errors="replace").strip().splitlines()
        return HoneError(died(words[-1] if words else ""))


def died(last_words: str) -> str:
    """What to say when the worker has ended by itself; killed for memory leaves no words."""
    reason = f"its last words: {last_words[:200]}" if last_words else "most likely for lack of memory"
    return f"The chat worker ended unexpectedly, {reason}; load again, with fewer columns or a quantised base."
