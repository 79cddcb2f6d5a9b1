"""One row of a dataset: what training learns from, or what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["system", "user", "assistant", "tool"]
Format = Literal["messages", "prompt", "instruction", "text", "preference", "kto"]
Kind = Literal[
    "invalid JSON", "not an object", "repeated key", "missing field", "not text", "no answer", "empty answer",
    "empty message", "empty text", "unknown role", "wrong role order", "not UTF-8", "line too long", "ragged row",
    "left out",
]  # fmt: skip


@dataclass(frozen=True)
class Message:
    role: Role
    content: str
    more: str = ""
    """What a template may want beside the content, as a JSON object: tool_calls, name, reasoning_content …"""


@dataclass(frozen=True)
class Row:
    """A usable row. `line` counts from 1 and is where the row begins in its file.

    Raw text has `text` and no messages. A preference pair has its prompt in `messages`, and two answers. A row of
    KTO is a conversation with a `label`: whether its answer is a good one.
    """

    line: int
    messages: tuple[Message, ...]
    text: str = ""
    chosen: tuple[Message, ...] = ()
    rejected: tuple[Message, ...] = ()
    label: bool | None = None
    tools: str = ""
    """The tools that may be called, as a JSON list."""
    split: str = ""
    """The values of the columns that data.split_column, stratify_by and group_by name."""
    stratum: str = ""
    group: str = ""

    @property
    def texts(self) -> list[str]:
        """Everything that is said in it."""
        said = [message.content for message in self.spoken]
        return [self.text, *said] if self.text else said

    @property
    def spoken(self) -> tuple[Message, ...]:
        """All its messages, those of both answers included."""
        return (*self.messages, *self.chosen, *self.rejected)


@dataclass(frozen=True)
class Problem:
    """A row that cannot be used: `reason` says exactly why, `kind` is what it is counted under."""

    line: int
    reason: str
    kind: Kind


class RowError(Exception):
    """Raised while a row is read; becomes a Problem of the same kind and reason."""

    def __init__(self, kind: Kind, reason: str) -> None:
        super().__init__(reason)
        self.kind: Kind = kind
        self.reason = reason
