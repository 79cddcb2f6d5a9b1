"""The formats that rows can have, in words, and which role each column plays in one that was found out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from core.data.formats import Layout
    from core.data.row import Format


ROLE_ORDER = ("system", "messages", "prompt", "completion", "text", "chosen", "rejected", "label")


@dataclass(frozen=True)
class Shape:
    """A format's name for people, and its roles: those it needs, and those that may be left empty."""

    title: str
    needed: tuple[str, ...]
    optional: tuple[str, ...] = ()

    @property
    def roles(self) -> tuple[str, ...]:
        """In the order a conversation has them."""
        return tuple(sorted((*self.needed, *self.optional), key=ROLE_ORDER.index))


SHAPES: dict[str, Shape] = {
    "messages": Shape("Conversations", ("messages",), ("system",)),
    "prompt": Shape("Prompts and answers", ("prompt", "completion"), ("system",)),
    "text": Shape("Raw text", ("text",)),
    "preference": Shape("Better and worse answers", ("chosen", "rejected"), ("prompt", "system")),
    "kto": Shape("Answers with a verdict", ("prompt", "completion", "label"), ("system",)),
}
TITLES = {
    "messages": "conversations", "prompt": "prompts and answers", "instruction": "instructions and answers",
    "text": "text", "preference": "preference pairs", "kto": "answers with a verdict",
}  # fmt: skip


def in_words(name: str) -> Format:
    """The format whose fields are shown: an instruction is a prompt with a template."""
    return cast("Format", "prompt" if name == "instruction" else name)


def sureness(confidence: float) -> str:
    """How sure it is that a format was told rightly."""
    if confidence >= 0.95:
        return "sure"
    return "likely" if confidence >= 0.75 else "perhaps: please check"


def shape_of(roles: Collection[str]) -> Format:
    """The format that these roles make up, or come nearest to."""
    for name, marks in (("kto", {"label"}), ("preference", {"chosen", "rejected"}), ("messages", {"messages"}),
                        ("text", {"text"})):  # fmt: skip
        if marks & set(roles):
            return cast("Format", name)
    return "prompt"


def mapping_of(layout: Layout, columns: Sequence[str]) -> dict[str, str]:
    """The mapping that says what a layout was found to be."""
    names = list(layout.columns)
    found: dict[str, str] = {}
    if layout.format == "instruction":
        has_input = "input" in columns
        found = {"prompt": f"{{{names[0]}}}\n\n{{input}}" if has_input else names[0], "completion": names[1]}
    elif layout.format in ("messages", "text"):
        found = {layout.format: names[0]} if names else {}
    elif layout.format == "preference":
        found = {"chosen": "chosen", "rejected": "rejected"} | (
            {"prompt": "prompt"} if "prompt" in columns else {}
        )
    elif len(names) > 1:
        found = dict(zip(("prompt", "completion", "label"), names, strict=False))
    if "system" in columns and layout.format not in ("text",):
        found["system"] = "system"
    return found
