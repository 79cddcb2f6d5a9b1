"""Edits of a dataset's rows, by number: leave one out, set a field, add one, take the last edit back."""

from __future__ import annotations

import json
from typing import Any

from core.data import formats
from core.data.overlay import Edit, Overlay, change_overlay, overlay_file, value_at, with_value
from core.data.part import TEXT_ROW
from core.data.row import Problem, RowError
from core.data.rows import Rows, open_rows
from core.data.source import wrong


def exclude(source: str, numbers: list[int], rows: Rows | None = None) -> Overlay:
    """Leave these rows, counted from 0, out of training. Raises HoneError when there is no such row.

    Here and below, `rows` are those that the numbers count, where they are open already: a run's, mixed or mapped.
    """
    rows = rows or open_rows(source)
    made = []
    for number in dict.fromkeys(numbers):
        _require(rows, number)
        row = rows[number]
        if isinstance(row, Problem) and row.kind == "left out":
            raise wrong(f"{source}: row {number + 1:,} is left out already.")
        key, nth, size, line = rows.key_of(number)
        made.append(Edit(edit="exclude", row=key, nth=nth, size=size, line=line))
    return change_overlay(source, made)[0]


def set_field(source: str, number: int, place: str, value: Any, rows: Rows | None = None) -> Overlay:
    """Set a column of a row, counted from 0, or a place within one such as messages.1.content.

    Raises HoneError when there is no such row, it cannot be read at all, or the place is none of it.
    """
    rows = rows or open_rows(source)
    _require(rows, number)
    try:
        with_value(rows.tree_of(number), place, value)
    except RowError as bad:
        raise wrong(f"{source}: row {number + 1:,} {bad.reason}.") from None
    key, nth, size, line = rows.key_of(number)
    edit = Edit(edit="set", row=key, nth=nth, size=size, line=line, field=place, value=value)
    return change_overlay(source, [edit])[0]


def add_row(source: str, row: dict[str, Any], rows: Rows | None = None) -> Overlay:
    """Add a row with the columns that the others have. Raises HoneError that says what it lacks."""
    layout = (rows or open_rows(source)).layout
    try:
        formats.read_row(row, TEXT_ROW if layout == formats.PLAIN_TEXT else layout, 1)
    except RowError as bad:
        raise wrong(f"This row cannot be added to {source}: it {bad.reason}.") from None
    return change_overlay(source, [Edit(edit="add", value=row)])[0]


def undo(source: str) -> Edit:
    """Take back the last edit, which is returned. Raises HoneError when there is none."""
    undone = change_overlay(source, undo=True)[1]
    assert undone is not None
    return undone


def as_value(source: str, number: int, place: str, text: str, rows: Rows | None = None) -> Any:
    """What a typed text means at a place: text where text stands or nothing does, else JSON. Raises HoneError."""
    rows = rows or open_rows(source)
    _require(rows, number)
    if isinstance(value_at(rows.tree_of(number), place), str | None):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise wrong(f"{place} of row {number + 1:,} holds no text; give its new value as JSON.") from None


def _require(rows: Rows, number: int) -> None:
    if not 0 <= number < len(rows):
        raise wrong(f"{rows.source} has {len(rows):,} rows; {number + 1:,} is none of them.")


__all__ = ["add_row", "as_value", "exclude", "overlay_file", "set_field", "undo"]
