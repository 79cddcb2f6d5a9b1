"""The places of a row that a person can edit, and the empty row that a new one begins as. No widgets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.pages.new_run.shapes import ROLE_ORDER

if TYPE_CHECKING:
    from core.data.formats import Layout

MOST_PLACES = 400


@dataclass(frozen=True)
class Place:
    """Where a text stands in a row: a column, or one within it such as messages.1.content."""

    path: str
    name: str
    text: str


def places_of(tree: dict[str, Any]) -> list[Place]:
    """Each column of a row, and each message of a conversation, with its text; what is no text stands as JSON."""
    found: list[Place] = []
    for column, value in tree.items():
        if "." in column:
            continue  # the path of an edit is parted at its dots
        if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            found += _messages(column, value)
        else:
            found.append(Place(column, column, as_text(value)))
    return found[:MOST_PLACES]


def _messages(column: str, items: Sequence[dict[str, Any]]) -> list[Place]:
    found = []
    for number, item in enumerate(items):
        key = next((key for key in ("content", "value") if isinstance(item.get(key), str)), "")
        role = item.get("role", item.get("from", ""))
        if key:
            found.append(Place(f"{column}.{number}.{key}", f"{column} {number + 1} · {role}", item[key]))
    return found or [Place(column, column, as_text(list(items)))]


def as_text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)


def new_places(layout: Layout) -> list[Place]:
    """What a new row has to be given, for rows of this layout."""
    from core.data.mapping import columns_in

    meaning = layout.meaning
    if meaning.mapping:
        mapping = sorted(meaning.mapping, key=lambda pair: ROLE_ORDER.index(pair[0]))
        names = [column for role, text in mapping for column in columns_in(text, role)]
        return [Place(name, name, "") for name in dict.fromkeys(names)]
    columns = list(layout.columns)
    if layout.format == "messages":
        return [Place(f"{columns[0]}.0.content", "prompt", ""), Place(f"{columns[0]}.1.content", "answer", "")]
    if layout.format == "preference":
        columns = ["prompt", "chosen", "rejected"]
    return [Place(name, name, "") for name in columns or ["text"]]


def new_row(layout: Layout, texts: dict[str, str]) -> dict[str, Any]:
    """A row of these texts by the paths of their places."""
    if layout.format == "messages" and not layout.meaning.mapping:
        prompt, answer = texts.values()
        talk = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
        return {layout.columns[0]: talk}
    return {path: _meant(path, text, layout) for path, text in texts.items()}


def _meant(path: str, text: str, layout: Layout) -> Any:
    """A verdict is true or false and not a word; a mapped conversation is a list."""
    is_verdict = layout.format == "kto" and text.strip().casefold() in ("true", "false")
    if is_verdict or text.lstrip()[:1] == "[":
        try:
            return json.loads(text.strip().casefold() if is_verdict else text)
        except ValueError:
            return text
    return text
