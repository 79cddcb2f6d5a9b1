"""How a row is read once its format is known: a Row out of its columns."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from core.data.mapping import Meaning, as_words
from core.data.messages import (
    columns_of,
    in_order,
    kind_of,
    read_answer,
    read_messages,
    read_text,
    read_tools,
    read_turn,
    short,
)
from core.data.row import Format, Message, Row, RowError
from core.data.transcripts import read_pair, read_transcript

GOOD, BAD = (True, 1, "true", "True", "1"), (False, 0, "false", "False", "0")
TEXTS = ("system", "prompt", "completion", "text")


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) != len(pairs):
        repeated = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise RowError("repeated key", f"has {short(repeated)} twice")
    return tree


DECODER = json.JSONDecoder(object_pairs_hook=_without_repeats)


@dataclass(frozen=True)
class Layout:
    """A format and the columns that a file keeps it in."""

    format: Format
    columns: tuple[str, ...]
    """Empty where `meaning` maps them."""
    meaning: Meaning = field(default_factory=Meaning)
    confidence: float = 1.0
    """How sure the format is, from 0 to 1."""
    seen: str = ""
    """What speaks for it, in words."""
    has_transcripts: bool = False
    """Conversations are one text each, their turns marked “Human:” and “Assistant:”."""


PLAIN_TEXT = Layout("text", (), seen="plain text")
EXPECTED = "messages (a list of role and content), prompt and completion, instruction and output, or text"


def decode(raw: bytes) -> dict[str, Any]:
    """The JSON object in a row's bytes. Raises RowError."""
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise RowError("not UTF-8", f"byte {error.start + 1} is not UTF-8; save the file as UTF-8") from None
    try:
        tree = DECODER.decode(text)
    except json.JSONDecodeError as error:
        if not text.strip():
            raise RowError("not an object", "nothing where an object {…} was expected") from None
        column = f"column {error.colno}" + (f" of its line {error.lineno}" if error.lineno > 1 else "")
        raise RowError("invalid JSON", f"invalid JSON at {column}: {_why(error.msg)}") from None
    except RecursionError:
        raise RowError("invalid JSON", "nested too deeply") from None
    except ValueError:  # Python refuses integers of over 4,300 digits
        raise RowError("invalid JSON", "holds a number with thousands of digits") from None
    if not isinstance(tree, dict):
        raise RowError("not an object", f"{kind_of(tree)} where an object {{…}} was expected")
    return tree


def read_row(tree: dict[str, Any], layout: Layout, line: int) -> Row:
    """One row of a file with this layout. Raises RowError that says exactly what is wrong."""
    meaning = layout.meaning
    if meaning.mapping:
        found = meaning.apply(tree)
        columns = _mapped_columns(layout.format, found)
        row = _read(_as_texts(found), layout.format, columns, line, layout.has_transcripts)
    else:
        for column in layout.columns:
            if column not in tree:
                raise RowError("missing field", f"has no {short(column)} (found {columns_of([tree])})")
        row = _read(tree, layout.format, layout.columns, line, layout.has_transcripts)
    if not (meaning.split or meaning.stratum or meaning.group):
        return row
    split, stratum, group = (
        as_words(tree.get(name)) if name else "" for name in (meaning.split, meaning.stratum, meaning.group)
    )
    split = split or ("train" if meaning.split else "")
    return Row(row.line, row.messages, row.text, row.chosen, row.rejected, label=row.label, tools=row.tools,
               split=split, stratum=stratum, group=group)  # fmt: skip


def _read(tree: dict[str, Any], kind: Format, columns: tuple[str, ...], line: int, has_transcripts: bool) -> Row:
    if kind == "text":
        text = _plain(tree[columns[0]] if columns else tree["text"], columns[0] if columns else "text")
        if not text.strip():
            raise RowError("empty text", "text is empty")
        return Row(line, (), text)
    if kind == "preference":
        return _read_preference(tree, line, has_transcripts)
    label = None
    if kind == "kto":
        label = _verdict(tree[columns[-1]], columns[-1])
        columns = columns[:-1]
    if len(columns) == 1:
        read = read_transcript if has_transcripts else read_messages
        messages = read(tree[columns[0]], columns[0])
    else:
        prompt, answer = columns
        messages = read_turn(tree[prompt], "user", prompt)
        if kind == "instruction" and (more := read_text(tree.get("input") or "", "input")).strip():
            messages[-1] = Message("user", f"{messages[-1].content}\n\n{more}")
        messages += read_answer(_as_answer(tree[answer]), answer)
    messages = in_order(messages)
    if messages[-1].role != "assistant":
        raise RowError("no answer", f"ends with the {messages[-1].role}'s message: there is no answer to learn")
    messages = _after_system(tree, messages)
    return Row(line, tuple(messages), label=label, tools=read_tools(tree.get("tools")))


def _read_preference(tree: dict[str, Any], line: int, has_transcripts: bool) -> Row:
    """A prompt with a better and a worse answer; whole conversations share their first messages."""
    if has_transcripts:
        prompt, chosen, rejected = read_pair(tree["chosen"], tree["rejected"])
        return Row(line, tuple(_after_system(tree, prompt)), chosen=tuple(chosen), rejected=tuple(rejected))
    chosen, rejected = (read_answer(tree[name], name) for name in ("chosen", "rejected"))
    prompt = read_turn(tree["prompt"], "user", "prompt") if tree.get("prompt") is not None else []
    shared = 0
    while shared < min(len(chosen), len(rejected)) - 1 and chosen[shared] == rejected[shared]:
        shared += 1
    if shared and not prompt:
        prompt = chosen[:shared]
    for answers in (chosen, rejected):
        if answers[-1].role != "assistant":
            raise RowError("no answer", "chosen and rejected must end with an answer")
    prompt = _after_system(tree, prompt) if prompt else prompt
    return Row(line, tuple(prompt), chosen=tuple(chosen[shared:]), rejected=tuple(rejected[shared:]))


def _after_system(tree: dict[str, Any], messages: list[Message]) -> list[Message]:
    """The messages after what a column of the row has the system say, where they have no such message."""
    system = read_text(tree.get("system") or "", "system")
    return [Message("system", system), *messages] if system.strip() and messages[0].role != "system" else messages


def _mapped_columns(kind: Format, found: dict[str, Any]) -> tuple[str, ...]:
    """The columns of a mapped row, which go by the names of their roles."""
    names = {"preference": (), "messages": ("messages",), "prompt": ("prompt", "completion"), "text": ("text",)}
    if kind == "kto":
        return ("messages", "label") if "messages" in found else ("prompt", "completion", "label")
    return names[kind]


def _as_texts(found: dict[str, Any]) -> dict[str, Any]:
    """Numbers in a column that is mapped to words are words."""
    return {
        role: as_words(value) if role in TEXTS and isinstance(value, bool | int | float) else value
        for role, value in found.items()
    }


def _as_answer(value: Any) -> Any:
    """The number of a class is an answer as much as its name is."""
    return as_words(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _verdict(value: Any, column: str) -> bool:
    if isinstance(value, bool | int | str) and value in (*GOOD, *BAD):
        return value in GOOD
    raise RowError("not text", f"{column} is neither true nor false")


def _plain(value: Any, name: str) -> str:
    return read_text(value, name)


def _why(message: str) -> str:
    """The JSON reader's message as the end of a sentence that has named the place already."""
    return (message[:1].lower() + message[1:]).removesuffix(" at").removesuffix(" starting").rstrip(": ")
