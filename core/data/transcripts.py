"""Conversations written as one text, each turn after a blank line and its speaker: “Human: …”, “Assistant: …”.

So are the pairs of HH-RLHF (Bai et al. 2022). A text that is not written so is refused with its reason.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from core.data.messages import in_order, read_text
from core.data.row import Message, Role, RowError

TURN = re.compile(r"(?:\A\s*|\n\r?\n)(Human|Assistant):")
"""How a turn begins: at the very beginning, or after an empty line."""
SPEAKERS: dict[str, Role] = {"Human": "user", "Assistant": "assistant"}
LEAST_SHARE = 0.5
"""Of rows that must be written so, for the data to be taken for it."""


def is_transcript(value: Any) -> bool:
    """Whether a value begins with a turn of “Human:”, and one of “Assistant:” follows."""
    if not isinstance(value, str) or not value.lstrip().startswith("Human:"):
        return False
    return any(match[1] == "Assistant" for match in TURN.finditer(value))


def share_of(trees: Sequence[dict[str, Any]], columns: Sequence[str]) -> float:
    """The share of rows that have a transcript in each of these columns; 0 where it is too small to go by."""
    rows = [[tree.get(column) for column in columns] for tree in trees]
    share = sum(all(map(is_transcript, values)) for values in rows) / max(1, len(rows))
    return share if share >= LEAST_SHARE else 0.0


def read_transcript(value: Any, column: str) -> list[Message]:
    """The messages of a transcript, without the space around each. Raises RowError."""
    if value is None:
        raise RowError("no answer", f"{column} is null: there is no answer to learn")
    text = read_text(value, column)
    turns = list(TURN.finditer(text))
    if not turns or turns[0].start():
        raise RowError("wrong role order", f"{column} does not begin with “Human:”, as the other rows do")
    found = []
    for number, (turn, end) in enumerate(zip(turns, [*(t.start() for t in turns[1:]), len(text)], strict=True), 1):
        role, content = SPEAKERS[turn[1]], text[turn.end() : end].strip()
        if not content:
            kind = "empty answer" if role == "assistant" else "empty message"
            raise RowError(kind, f"turn {number} of {column} ({turn[1]}) is empty")
        found.append(Message(role, content))
    try:
        return in_order(found)
    except RowError as bad:
        raise RowError(bad.kind, f"in {column}, {bad.reason}") from None


def read_pair(chosen: Any, rejected: Any) -> tuple[list[Message], list[Message], list[Message]]:
    """The turns that two transcripts begin with in common, and where each goes on with another answer. Raises
    RowError."""
    one, two = read_transcript(chosen, "chosen"), read_transcript(rejected, "rejected")
    for messages, column in ((one, "chosen"), (two, "rejected")):
        if messages[-1].role != "assistant":
            raise RowError("no answer", f"{column} ends with the human's turn: there is no answer to learn")
    shared = 0
    while shared < min(len(one), len(two)) - 1 and one[shared] == two[shared]:
        shared += 1
    if one[shared].role != "assistant" or two[shared].role != "assistant":
        where = f"at turn {shared + 1}, which is the human's"
        raise RowError("wrong role order", f"chosen and rejected part {where}: they answer different prompts")
    return one[:shared], one[shared:], two[shared:]
