"""What a worker says: typed events, one JSON line each, with a writer and a tailing reader."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import Annotated, BinaryIO, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError


class BaseEvent(BaseModel):
    """Readers ignore unknown fields, so an older window can read a newer run."""

    model_config = ConfigDict(extra="ignore", frozen=True, ser_json_inf_nan="constants")

    time: float = Field(default_factory=time.time)
    """Seconds since the epoch."""


class Started(BaseEvent):
    """The worker holds the run's lock and has read its config and data."""

    type: Literal["started"] = "started"
    pid: int
    device: str
    total_steps: int
    resumed_from: int = 0
    """Optimizer step of the checkpoint that this process continues; 0 for a fresh start."""
    num_rows: int = 0
    num_eval_rows: int = 0
    num_skipped_rows: int = 0
    num_read_rows: int = 0
    skipped: dict[str, int] = {}
    """Rows left out, by reason; a row counts once."""
    found: dict[str, int] = {}
    """Rows of each kind that is wrong or odd, whatever became of them; a row may be of several."""
    actions: dict[str, str] = {}
    """What became of each of those kinds: keep, cut or skip."""
    num_cut_rows: int = 0
    num_lost_tokens: int = 0
    """Beyond the length limit, in rows that were cut."""
    num_sequences: int = 0
    """Of one epoch: as many as rows, or fewer when they are packed, or more when long texts are split."""
    padding_share: float = 0.0
    """The part of an epoch's positions that hold no token."""
    predicted_peak_bytes: int = 0
    """What the estimate expects by itself, which later runs measure themselves against."""
    planned_peak_bytes: int = 0
    """The same as earlier runs on this machine correct it; equal while there are too few, 0 in older runs."""
    evidence: str = ""
    """What those runs changed, in words; empty while there are too few."""


class Loaded(BaseEvent):
    """Model, adapter and optimizer stand in memory."""

    type: Literal["loaded"] = "loaded"
    num_parameters: int
    num_trainable: int
    seconds: float
    memory_bytes: int = 0


class Step(BaseEvent):
    """One optimizer step."""

    type: Literal["step"] = "step"
    step: int
    epoch: float
    loss: float
    """Mean negative log-likelihood per trained token of this step, in nats."""
    learning_rate: float
    grad_norm: float
    num_tokens: int
    """Tokens of this step that were not padding."""
    tokens_per_second: float
    memory_bytes: int
    peak_bytes: int


class Evaluated(BaseEvent):
    type: Literal["evaluated"] = "evaluated"
    step: int
    loss: float
    is_best: bool = False


class Sampled(BaseEvent):
    type: Literal["sampled"] = "sampled"
    step: int
    prompt: str
    text: str


class Saved(BaseEvent):
    """A checkpoint (or the final adapter) is complete on disk."""

    type: Literal["saved"] = "saved"
    step: int
    folder: str
    """Relative to the run's folder."""
    num_bytes: int


class Warned(BaseEvent):
    """Something happened that the user should know and that did not end the run."""

    type: Literal["warned"] = "warned"
    message: str
    step: int = 0


class Progress(BaseEvent):
    """How far a long job has come: a download, tokenising, loading."""

    type: Literal["progress"] = "progress"
    label: str
    done: float
    total: float = 0.0
    """0 when unknown."""
    unit: Literal["", "bytes", "rows", "steps"] = ""


class Finished(BaseEvent):
    type: Literal["finished"] = "finished"
    reason: Literal["done", "stopped", "early", "diverged"]
    step: int
    peak_bytes: int = 0
    seconds: float = 0.0


class Failed(BaseEvent):
    """The job ended by an error. `message` is one sentence with a remedy; the traceback is in worker.log."""

    type: Literal["failed"] = "failed"
    message: str
    path: str = ""
    """Config path of the mistake, when it belongs to a field."""


class Ready(BaseEvent):
    """The chat worker has loaded its base and adapters. One entry per column, in the order asked for."""

    type: Literal["ready"] = "ready"
    columns: list[str]
    logit_differences: list[float]
    """Largest absolute logit difference to the base on a probe prompt; 0 for the base itself."""
    memory_bytes: int = 0


class Token(BaseEvent):
    """A piece of text for one chat column."""

    type: Literal["token"] = "token"
    column: int
    text: str


class Replied(BaseEvent):
    """A chat column has finished its answer."""

    type: Literal["replied"] = "replied"
    column: int
    text: str
    reason: Literal["end", "length", "stopped"]
    num_tokens: int
    tokens_per_second: float


Event = (
    Started | Loaded | Step | Evaluated | Sampled | Saved | Warned | Progress | Finished | Failed
    | Ready | Token | Replied
)  # fmt: skip
TERMINAL = (Finished, Failed)

_adapter: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="type")])


def encode(event: Event) -> bytes:
    """The event as one JSON line, newline included."""
    return event.model_dump_json().encode() + b"\n"


def decode(line: bytes) -> Event | None:
    """The event in one line; None for a type this version does not know or a torn line."""
    try:
        return _adapter.validate_json(line)
    except ValidationError:
        return None


class EventWriter:
    """Appends events to a file, one unbuffered write each, so that a reader never waits for a flush."""

    def __init__(self, path: Path) -> None:
        heal_torn_line(path)
        self._file: BinaryIO = path.open("ab", buffering=0)
        self._is_torn = False

    def write(self, event: Event) -> None:
        """Append one event. Raises OSError, and leaves the file readable, when the disk is full."""
        line = b"\n" * self._is_torn + encode(event)
        written = self._file.write(line)
        self._is_torn = written != len(line)
        if self._is_torn:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._file.name)

    def close(self) -> None:
        self._file.close()


class EventReader:
    """Reads what has been appended to a file since the last call; never loses or repeats an event."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0

    def read(self, most_bytes: int = -1) -> list[Event]:
        """All whole lines appended since the last call; empty when the file does not exist yet.

        With `most_bytes` about that many at a time: empty then means that the end is reached.
        """
        while True:
            lines = self.lines(most_bytes)
            events = [event for line in lines if (event := decode(line)) is not None]
            if events or not lines or most_bytes < 0:
                return events

    def lines(self, most_bytes: int = -1) -> list[bytes]:
        """The same as `read`, undecoded, for readers with an eye for one kind of event."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                chunk = file.read(most_bytes)
                if b"\n" not in chunk:
                    chunk += file.readline()
        except OSError:  # not there yet, or a network folder that is away for a moment
            return []
        end = chunk.rfind(b"\n") + 1
        self._offset += end
        return chunk[:end].splitlines()

    def num_unread_bytes(self) -> int:
        """How much has been appended since the last call; 0 when the file does not exist yet."""
        try:
            return max(0, self.path.stat().st_size - self._offset)
        except OSError:
            return 0


def heal_torn_line(path: Path) -> None:
    """End a line that a killed writer left unfinished, so that the next event starts on its own line."""
    if path.exists() and path.stat().st_size:
        with path.open("rb+") as file:
            file.seek(-1, 2)
            if file.read(1) != b"\n":
                file.write(b"\n")
