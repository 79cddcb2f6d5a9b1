"""Reads conversations and texts out of a row's columns: who speaks, what is said, which tools are called."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from core.data.row import Message, Role, RowError

ROLES: dict[str, Role] = {
    "system": "system", "developer": "system",
    "user": "user", "human": "user",
    "assistant": "assistant", "gpt": "assistant", "model": "assistant", "bot": "assistant",
    "function_call": "assistant", "tool_call": "assistant",
    "tool": "tool", "function": "tool", "ipython": "tool", "observation": "tool", "tool_response": "tool",
}  # fmt: skip
CALLING = ("function_call", "tool_call")
"""Roles whose words are a call of a tool, as some ShareGPT data has it."""
REASONING = ("reasoning_content", "thinking", "reasoning")
BESIDE = ("name", "tool_call_id")


def read_messages(value: Any, column: str) -> list[Message]:
    """The messages in a column. Raises RowError."""
    if isinstance(value, str) and value.lstrip()[:1] == "[":  # a list kept in a field of a table
        value = _json(value, column)
    if not isinstance(value, list):
        raise RowError("not text", f"{column} is {kind_of(value)}, not a list of messages")
    if not value:
        raise RowError("no answer", f"{column} is an empty list")
    return [_message(item, number) for number, item in enumerate(value, 1)]


def read_turn(value: Any, role: Role, column: str) -> list[Message]:
    """A column that holds one message's text, or a list of messages. Raises RowError."""
    if isinstance(value, list):
        return read_messages(value, column)
    text = read_text(value, column)
    if not text.strip():
        raise RowError("empty message", f"{column} is empty")
    return [Message(role, text)]


def read_answer(value: Any, column: str) -> list[Message]:
    """Like `read_turn`, of the assistant. Raises RowError."""
    if value is None:
        raise RowError("no answer", f"{column} is null: there is no answer to learn")
    if isinstance(value, str) and not value.strip():
        raise RowError("empty answer", f"{column} is empty")
    return read_turn(value, "assistant", column)


def read_tools(value: Any) -> str:
    """The tools of a row as a JSON list; empty for none. Raises RowError."""
    if isinstance(value, str) and value.strip():
        value = _json(value, "tools")
    if not value:
        return ""
    if not isinstance(value, list) or not all(isinstance(tool, dict) for tool in value):
        raise RowError("not text", f"tools is {kind_of(value)}, not a list of objects")
    return json.dumps(value, ensure_ascii=False)


def in_order(messages: list[Message]) -> list[Message]:
    """At most one system message, first; then user and assistant in turn, and after a call of tools their results.
    An empty system message is left out. Raises RowError."""
    expected: tuple[Role, ...] = ("system", "user")
    for number, message in enumerate(messages, 1):
        if message.role not in expected:
            after = f"follows {messages[number - 2].role}" if number > 1 else "comes first"
            order = "a system message may come first, then user and assistant take turns"
            if message.role == "tool":
                order = "the result of a tool follows the assistant's call of it"
            raise RowError("wrong role order", f"message {number} ({message.role}) {after}; {order}")
        if message.role == "assistant":
            expected = ("tool", "user") if calls_tools(message) else ("user",)
        elif message.role == "tool":
            expected = ("tool", "assistant")
        else:
            expected = ("assistant",) if message.role == "user" else ("user",)
    spoken = [message for message in messages if message.content.strip() or message.more]
    if not spoken or spoken[-1].role == "system":
        raise RowError("no answer", "has no message of a user or assistant")
    return spoken


def calls_tools(message: Message) -> bool:
    """Whether an assistant's message calls a tool."""
    return bool(message.more) and "tool_calls" in json.loads(message.more)


def read_text(value: Any, name: str) -> str:
    """A string, or the text parts of a list of content parts. Raises RowError for anything else."""
    if isinstance(value, list) and value and all(_is_text_part(part) for part in value):
        value = "".join(part["text"] for part in value)
    if not isinstance(value, str):
        raise RowError("not text", f"{name} is {kind_of(value)}, not text")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            half = f"\\u{ord(value[error.start]):04x}"
            raise RowError("not text", f"{name} holds {half}, which is half a character") from None
    return value


def columns_of(objects: Sequence[dict[str, Any]], limit: int = 12) -> str:
    """The columns that occur in these rows, as text for a sentence."""
    names = list(dict.fromkeys(name for tree in objects for name in tree))
    shown = ", ".join(short(name) for name in names[:limit]) or "none"
    return shown + (", …" if len(names) > limit else "")


def kind_of(value: Any) -> str:
    """What a value is, in words."""
    kinds = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "text",
        list: "a list",
        dict: "an object",
    }
    return "null" if value is None else kinds[type(value)]


def short(name: str) -> str:
    """A name out of the data, fit for a sentence."""
    shown = name if len(name) <= 40 else name[:39] + "…"
    return shown.encode(errors="replace").decode() if shown.isprintable() and shown else repr(shown)


def _message(item: Any, number: int) -> Message:
    if not isinstance(item, dict):
        raise RowError("not text", f"message {number} is {kind_of(item)}, not an object with role and content")
    role_key = "role" if "role" in item else "from"
    content_key = "content" if "content" in item else "value"
    calls = _calls(item, number)
    for key, name in ((role_key, "role"), (content_key, "content")):
        if key not in item and not (name == "content" and calls):
            raise RowError("missing field", f"message {number} has no {name} (found {columns_of([item])})")
    role = item[role_key]
    if not isinstance(role, str) or role not in ROLES:
        shown = short(role) if isinstance(role, str) else kind_of(role)
        raise RowError(
            "unknown role", f"message {number} has the role {shown}; known are system, user, assistant and tool"
        )
    where = f"message {number} ({ROLES[role]})"
    content = item.get(content_key)
    if role in CALLING:
        calls, content = _called(content, where), ""
    if content is None and calls:
        content = ""
    if content is None and ROLES[role] == "assistant":
        raise RowError("no answer", f"{where} has no content")
    text = read_text(content, f"content of {where}")
    if not text.strip() and ROLES[role] == "assistant" and not calls:
        raise RowError("empty answer", f"{where} is empty")
    if not text.strip() and ROLES[role] == "user":
        raise RowError("empty message", f"{where} is empty")
    return Message(ROLES[role], text, _more(item, calls))


def _more(item: dict[str, Any], calls: list[dict[str, Any]]) -> str:
    """What a template may want beside the content, as JSON; empty for nothing."""
    if len(item) == 2 and not calls:  # role and content, as nearly all are
        return ""
    found: dict[str, Any] = {name: item[name] for name in BESIDE if isinstance(item.get(name), str)}
    reasoning = next((item[name] for name in REASONING if isinstance(item.get(name), str) and item[name]), "")
    if reasoning:
        found["reasoning_content"] = read_text(reasoning, "reasoning")
    if calls:
        found["tool_calls"] = calls
    return json.dumps(found, ensure_ascii=False) if found else ""


def _calls(item: dict[str, Any], number: int) -> list[dict[str, Any]]:
    """The calls of tools in a message, their arguments as objects: that is how templates want them."""
    value = item.get("tool_calls")
    if not value:
        return []
    if not isinstance(value, list):
        raise RowError("not text", f"tool_calls of message {number} is {kind_of(value)}, not a list")
    found = []
    for call in value:
        function = call.get("function", call) if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise RowError("missing field", f"a call in message {number} names no function")
        arguments = function.get("arguments", {})
        if isinstance(arguments, str):
            arguments = _json(arguments or "{}", f"arguments of a call in message {number}")
        beside = {"id": call["id"]} if isinstance(call.get("id"), str) else {}
        found.append(
            {**beside, "type": "function", "function": {"name": function["name"], "arguments": arguments}}
        )
    return found


def _called(content: Any, where: str) -> list[dict[str, Any]]:
    """A call that stands in a message's own words."""
    call = _json(content, f"content of {where}") if isinstance(content, str) else content
    if not isinstance(call, dict) or not isinstance(call.get("name"), str):
        raise RowError("missing field", f"{where} is a call that names no function")
    return [{"type": "function", "function": {"name": call["name"], "arguments": call.get("arguments", {})}}]


def _json(text: str, name: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise RowError("invalid JSON", f"{name} is no valid JSON") from None


def _is_text_part(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)
