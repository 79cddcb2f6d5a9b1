"""The row formats: which columns each has, how one is told from another, and how a row of it is read."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from core.data.row import Format, Message, Role, Row, RowError

ROLES: dict[str, Role] = {
    "system": "system", "developer": "system",
    "user": "user", "human": "user",
    "assistant": "assistant", "gpt": "assistant", "model": "assistant", "bot": "assistant",
}  # fmt: skip


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) != len(pairs):
        repeated = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise RowError("repeated key", f"has {_short(repeated)} twice")
    return tree


DECODER = json.JSONDecoder(object_pairs_hook=_without_repeats)


@dataclass(frozen=True)
class Layout:
    """A format and the columns that a file keeps it in."""

    format: Format
    columns: tuple[str, ...]


LAYOUTS = (
    Layout("preference", ("chosen", "rejected")),
    Layout("messages", ("messages",)),
    Layout("messages", ("conversations",)),
    Layout("instruction", ("instruction", "output")),
    Layout("instruction", ("instruction", "response")),
    Layout("prompt", ("prompt", "completion")),
    Layout("prompt", ("prompt", "response")),
    Layout("prompt", ("prompt", "answer")),
    Layout("prompt", ("question", "answer")),
    Layout("prompt", ("question", "response")),
    Layout("prompt", ("query", "response")),
    Layout("prompt", ("query", "answer")),
    Layout("prompt", ("problem", "solution")),
    Layout("prompt", ("input", "output")),
    Layout("prompt", ("input", "target")),
    Layout("prompt", ("user", "assistant")),
    Layout("prompt", ("human", "assistant")),
    Layout("prompt", ("document", "summary")),
    Layout("prompt", ("article", "highlights")),
    Layout("prompt", ("source", "target")),
    Layout("text", ("text",)),
)
"""In the order of trial: a row fits the first one whose columns it has."""

PLAIN_TEXT = Layout("text", ())
EXPECTED = "messages (a list of role and content), prompt and completion, instruction and output, or text"


def detect(objects: Iterable[dict[str, Any]]) -> Layout | None:
    """The layout that most of these rows have; None when none fits any."""
    votes = Counter(layout for tree in objects if (layout := _layout_of(tree)))
    return votes.most_common(1)[0][0] if votes else None


def columns_of(objects: Iterable[dict[str, Any]], limit: int = 12) -> str:
    """The columns that occur in these rows, as text for a sentence."""
    names = list(dict.fromkeys(name for tree in objects for name in tree))
    shown = ", ".join(_short(name) for name in names[:limit]) or "none"
    return shown + (", …" if len(names) > limit else "")


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
        raise RowError("not an object", f"{_kind(tree)} where an object {{…}} was expected")
    return tree


def read_row(tree: dict[str, Any], layout: Layout, line: int) -> Row:
    """One row of a file with this layout. Raises RowError that says exactly what is wrong."""
    for column in layout.columns:
        if column not in tree:
            raise RowError("missing field", f"has no {column} (found {columns_of([tree])})")
    if layout.format == "text":
        text = _text(tree["text"], "text")
        if not text.strip():
            raise RowError("empty text", "text is empty")
        return Row(line, (), text)
    if layout.format == "preference":
        return _read_preference(tree, line)
    if layout.format == "messages":
        messages = _messages(tree[layout.columns[0]], layout.columns[0])
    else:
        prompt, answer = layout.columns
        messages = _turn(tree[prompt], "user", prompt)
        if layout.format == "instruction" and (more := _text(tree.get("input") or "", "input")).strip():
            messages[-1] = Message("user", f"{messages[-1].content}\n\n{more}")
        messages += _answer(tree[answer], answer)
    messages = _in_order(messages)
    if messages[-1].role != "assistant":
        raise RowError("no answer", "ends with the user's message: there is no answer to learn")
    if (system := _text(tree.get("system") or "", "system")).strip() and messages[0].role != "system":
        messages = [Message("system", system), *messages]
    return Row(line, tuple(messages))


def _read_preference(tree: dict[str, Any], line: int) -> Row:
    """A prompt with a better and a worse answer; whole conversations share their first messages."""
    chosen, rejected = (_answer(tree[name], name) for name in ("chosen", "rejected"))
    prompt = _turn(tree["prompt"], "user", "prompt") if tree.get("prompt") is not None else []
    shared = 0
    while shared < min(len(chosen), len(rejected)) - 1 and chosen[shared] == rejected[shared]:
        shared += 1
    if shared and not prompt:
        prompt = chosen[:shared]
    for answers in (chosen, rejected):
        if answers[-1].role != "assistant":
            raise RowError("no answer", "chosen and rejected must end with an answer")
    return Row(line, tuple(prompt), chosen=tuple(chosen[shared:]), rejected=tuple(rejected[shared:]))


def _layout_of(tree: dict[str, Any]) -> Layout | None:
    return next((layout for layout in LAYOUTS if all(name in tree for name in layout.columns)), None)


def _messages(value: Any, column: str) -> list[Message]:
    if isinstance(value, str) and value.lstrip()[:1] == "[":  # a list kept in a field of a table
        value = decode(f'{{"{column}": {value}}}'.encode(errors="replace"))[column]
    if not isinstance(value, list):
        raise RowError("not text", f"{column} is {_kind(value)}, not a list of messages")
    if not value:
        raise RowError("no answer", f"{column} is an empty list")
    return [_message(item, number) for number, item in enumerate(value, 1)]


def _message(item: Any, number: int) -> Message:
    if not isinstance(item, dict):
        raise RowError("not text", f"message {number} is {_kind(item)}, not an object with role and content")
    role_key = "role" if "role" in item else "from"
    content_key = "content" if "content" in item else "value"
    for key, name in ((role_key, "role"), (content_key, "content")):
        if key not in item:
            raise RowError("missing field", f"message {number} has no {name} (found {columns_of([item])})")
    role = item[role_key]
    if not isinstance(role, str) or role not in ROLES:
        shown = _short(role) if isinstance(role, str) else _kind(role)
        raise RowError(
            "unknown role", f"message {number} has the role {shown}; known are system, user and assistant"
        )
    where = f"message {number} ({ROLES[role]})"
    content = item[content_key]
    if content is None and ROLES[role] == "assistant":
        raise RowError("no answer", f"{where} has no content")
    text = _text(content, f"content of {where}")
    if not text.strip() and ROLES[role] == "assistant":
        raise RowError("empty answer", f"{where} is empty")
    if not text.strip() and ROLES[role] == "user":
        raise RowError("empty message", f"{where} is empty")
    return Message(ROLES[role], text)


def _turn(value: Any, role: Role, column: str) -> list[Message]:
    """A column that holds one message's text, or a list of messages."""
    if isinstance(value, list):
        return _messages(value, column)
    text = _text(value, column)
    if not text.strip():
        raise RowError("empty message", f"{column} is empty")
    return [Message(role, text)]


def _answer(value: Any, column: str) -> list[Message]:
    if value is None:
        raise RowError("no answer", f"{column} is null: there is no answer to learn")
    if isinstance(value, str) and not value.strip():
        raise RowError("empty answer", f"{column} is empty")
    return _turn(value, "assistant", column)


def _in_order(messages: list[Message]) -> list[Message]:
    """At most one system message, first; then user and assistant in turn. An empty system message is left out."""
    expected: tuple[Role, ...] = ("system", "user")
    for number, message in enumerate(messages, 1):
        if message.role not in expected:
            after = f"follows {messages[number - 2].role}" if number > 1 else "comes first"
            order = "a system message may come first, then user and assistant take turns"
            raise RowError("wrong role order", f"message {number} ({message.role}) {after}; {order}")
        expected = ("assistant",) if message.role == "user" else ("user",)
    spoken = [message for message in messages if message.content.strip()]
    if not spoken or spoken[-1].role == "system":
        raise RowError("no answer", "has no message of a user or assistant")
    return spoken


def _text(value: Any, name: str) -> str:
    """A string, or the text parts of a list of content parts. Raises RowError for anything else."""
    if isinstance(value, list) and value and all(_is_text_part(part) for part in value):
        value = "".join(part["text"] for part in value)
    if not isinstance(value, str):
        raise RowError("not text", f"{name} is {_kind(value)}, not text")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            half = f"\\u{ord(value[error.start]):04x}"
            raise RowError("not text", f"{name} holds {half}, which is half a character") from None
    return value


def _is_text_part(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)


def _kind(value: Any) -> str:
    kinds = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "text",
        list: "a list",
        dict: "an object",
    }
    return "null" if value is None else kinds[type(value)]


def _short(name: str) -> str:
    shown = name if len(name) <= 40 else name[:39] + "…"
    return shown.encode(errors="replace").decode() if shown.isprintable() and shown else repr(shown)


def _why(message: str) -> str:
    """The JSON reader's message as the end of a sentence that has named the place already."""
    return (message[:1].lower() + message[1:]).removesuffix(" at").removesuffix(" starting").rstrip(": ")
