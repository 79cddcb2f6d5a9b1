"""One row of the data as it will be learnt: each message with its role, trained text tinted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from app.theme import restyle
from app.widgets.label import Label

if TYPE_CHECKING:
    from core.data.row import Message, Problem, Row

MOST_LETTERS = 6000


class RowView(QScrollArea):
    """`show_row` replaces what is shown. Text is plain and cut where it would not be read anyway."""

    def __init__(self) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("Row of the data")
        self._blocks: list[Block] = []
        inside = QWidget()
        inside.setObjectName("clear")
        self._column = QVBoxLayout(inside)
        self._column.setContentsMargins(0, 0, 8, 0)
        self._column.setSpacing(8)
        self._column.addStretch()
        self.setWidget(inside)

    def show_row(self, row: Row | Problem | None, train_on: str) -> None:
        """`train_on` as in data.train_on; empty for a row of which nothing is learnt."""
        blocks = _blocks_of(row, train_on)
        while len(self._blocks) < len(blocks):
            self._blocks.append(Block())
            self._column.insertWidget(len(self._blocks) - 1, self._blocks[-1])
        for block, content in zip(self._blocks, blocks, strict=False):
            block.show_text(*content)
        for block in self._blocks[len(blocks) :]:
            block.hide()
        self.verticalScrollBar().setValue(0)


class Block(QFrame):
    """A role at the left, its text at the right."""

    def __init__(self) -> None:
        super().__init__()
        self._role = Label("", "small")
        self._role.setFixedWidth(64)
        self._role.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._text = Label("", wrap=True)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        row = QHBoxLayout(self)
        row.setContentsMargins(10, 7, 10, 7)
        row.setSpacing(8)
        row.addWidget(self._role, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self._text, 1)

    def show_text(self, role: str, text: str, state: str) -> None:
        self._role.setText(role)
        cut = text[:MOST_LETTERS] + (" …" if len(text) > MOST_LETTERS else "")
        self._text.setText(cut)
        restyle(self, state=state)
        self.show()


def _blocks_of(row: Row | Problem | None, train_on: str) -> list[tuple[str, str, str]]:
    """Role, text and tint ("trained", "rejected" or "") of each block."""
    if row is None:
        return []
    if (reason := getattr(row, "reason", None)) is not None:
        return [("problem", reason, "rejected")]
    row = cast("Row", row)
    if row.text and not row.messages:
        return [("text", row.text, "trained" if train_on else "")]
    last = len(row.messages) - 1
    if row.label is False:  # a verdict of KTO: learnt from as what not to say
        return [
            (
                _role(message) if index < last else "bad answer",
                _said(message),
                "rejected" if index == last else "",
            )
            for index, message in enumerate(row.messages)
        ]
    good = "good answer" if row.label else ""
    blocks = [
        (
            good if good and index == last else _role(message),
            _said(message),
            "trained" if _is_trained(message, index == last, train_on) else "",
        )
        for index, message in enumerate(row.messages)
    ]
    for messages, name, tint in ((row.chosen, "chosen", "trained"), (row.rejected, "rejected", "rejected")):
        blocks += [(name, _said(message), tint if train_on else "") for message in messages]
    return blocks


def _role(message: Message) -> str:
    return {"user": "prompt", "assistant": "answer"}.get(message.role, message.role)


def _said(message: Message) -> str:
    """What a message says, and which tools it calls with what."""
    calls = json.loads(message.more).get("tool_calls", []) if message.more else []
    called = [f"{call['function']['name']} {json.dumps(call['function']['arguments'])}" for call in calls]
    return "\n".join([message.content, *called] if message.content else called)


def _is_trained(message: Message, is_last: bool, train_on: str) -> bool:
    if train_on in ("all", ""):
        return train_on == "all"
    return message.role == "assistant" and (train_on == "answers" or is_last)
