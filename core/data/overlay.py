"""Edits of a dataset, kept in a file beside it: rows left out, mended, added. The data itself is never written.

A row is known by its content and not by its number, so that its edits stay with it when rows are added elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

import filelock
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from core import durable, places
from core.data.hub_parts import HUB, find_part
from core.data.nested import Span
from core.data.row import RowError
from core.data.source import DataFile, find_data, is_own, wrong
from core.data.spans import LineSpans, ListedSpans, Spans
from core.data.suffixes import OVERLAY_SUFFIX

HEADER = {"hone": "edits", "version": 1}
KEY_DIGITS = 32
MOST_HASHED = 16 * 2**20
MOST_SPACE = 64
"""Bytes of space after a row that are taken for a part of it."""
LOCK_SECONDS = 10.0


class Edit(BaseModel):
    """One change, as it stands on a line of the file. `line` is where the row was at the time, for people."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    edit: Literal["exclude", "set", "add"]
    row: str = ""
    """Key of the row's content; see `key_of`."""
    nth: int = 0
    """Which of several rows with this content, counted from 0."""
    size: int = 0
    """Bytes of the row's content."""
    line: int = 0
    field: str = ""
    """What is set: a column, or a place within one such as messages.1.content."""
    value: Any = None
    """What it is set to, or the row that is added."""


@dataclass(frozen=True)
class Change:
    """All that is changed about one row."""

    is_excluded: bool = False
    values: tuple[tuple[str, Any], ...] = ()

    def applied(self, tree: dict[str, Any]) -> dict[str, Any]:
        """The row with its fields set. Raises RowError when the row has no such place."""
        for place, value in self.values:
            tree = with_value(tree, place, value)
        return tree


@dataclass(frozen=True)
class Overlay:
    """The edits of one source; without any, the file need not exist."""

    path: Path
    edits: tuple[Edit, ...] = ()
    changes: dict[tuple[str, int], Change] = field(default_factory=dict)

    def added(self) -> tuple[DataFile, list[Span]]:
        """The overlay as a file of rows, and where in it the added rows are."""
        spans, offset = [], 0
        if not any(edit.edit == "add" for edit in self.edits):
            return DataFile(self.path, "edits", 0, 0, name=self.path.name), []
        for number, line in enumerate(self.path.read_bytes().splitlines(keepends=True), 1):
            if number > 1 and self.edits[number - 2].edit == "add":
                spans.append(Span(offset, offset + len(line.rstrip(b"\n")), number))
            offset += len(line)
        return DataFile(self.path, "edits", 0, offset, name=self.path.name), spans

    def find(self, file: BinaryIO, spans: Spans | Sequence[Span], seen: Counter[str]) -> dict[int, Change]:
        """Which of a file's rows are changed and how, by number. Only rows of a size that was edited are read.

        `seen` counts rows of equal content from file to file.
        """
        if not self.changes:
            return {}
        sizes = np.unique([edit.size for edit in self.edits if edit.edit != "add"])
        here = spans.sizes() if isinstance(spans, LineSpans | ListedSpans) else _sizes(spans)
        nearest = sizes[np.maximum(0, np.searchsorted(sizes, here, "right") - 1)]
        keys, found = {key for key, _ in self.changes}, dict[int, Change]()
        for number in map(int, np.flatnonzero((here >= nearest) & (here <= nearest + MOST_SPACE))):
            key, _ = key_of(file, spans[number])
            if key in keys:
                if change := self.changes.get((key, seen[key])):
                    found[number] = change
                seen[key] += 1
        return found


def _sizes(spans: Sequence[Span]) -> NDArray[np.int64]:
    return np.array([span.end - span.start for span in spans], np.int64)


def key_of(file: BinaryIO, span: Span) -> tuple[str, int]:
    """A row's key, a hash of its content, and how many bytes that is. Space around it does not count."""
    file.seek(span.start)
    raw = file.read(min(span.end - span.start, MOST_HASHED)).strip()
    return hashlib.sha256(raw).hexdigest()[:KEY_DIGITS], len(raw)


def overlay_file(source: str) -> Path:
    """Where the edits of a source are kept: beside it, or in the user's own folder where that cannot be written.

    Raises HoneError(path="data.source") when there is no such data.
    """
    path = find_data(source)
    beside = path.with_name(path.name + OVERLAY_SUFFIX)
    if not is_own(source) and (beside.exists() or os.access(path.parent, os.W_OK)):
        return beside
    named = source.strip() if is_own(source) else str(path)
    if named.startswith(HUB):  # however little of its part was typed
        named = str(find_part(named).source)
    digest = hashlib.sha256(named.encode()).hexdigest()[:12]
    plain = "".join(sign if sign.isalnum() or sign in "-_." else "-" for sign in Path(named).name)[-60:]
    return places.home() / "edits" / f"{plain}-{digest}{OVERLAY_SUFFIX}"


def read_overlay(source: str) -> Overlay:
    """The edits of a source. Raises HoneError(path="data.source") for a file of edits that cannot be read."""
    path = overlay_file(source)
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return Overlay(path)
    except OSError as error:
        raise wrong(f"{path} cannot be read ({error.strerror}); check its permissions.") from None
    edits: list[Edit] = []
    try:
        if not lines or json.loads(lines[0]) != HEADER:
            raise wrong(f"{path} is named as a file of edits and is none; move it away.")
        for line in lines[1:]:
            edits += [Edit.model_validate_json(line)]
    except (ValueError, ValidationError, RecursionError):
        raise wrong(f"{path} holds edits and is damaged on line {len(edits) + 2}; mend it, or move it.") from None
    return _made(path, edits)


def change_overlay(source: str, add: Iterable[Edit] = (), *, undo: bool = False) -> tuple[Overlay, Edit | None]:
    """Write further edits, or take back the last one, which is returned. Raises HoneError."""
    target = overlay_file(source)
    lock = places.home() / "edits" / ".lock"
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(lock, timeout=LOCK_SECONDS):
            edits = [*read_overlay(source).edits, *add]
            undone = edits.pop() if undo and edits else None
            if undo and undone is None:
                raise wrong(f"{source} has no edits; there is nothing to undo.")
            lines = [json.dumps(HEADER), *(json.dumps(edit.model_dump(exclude_defaults=True)) for edit in edits)]
            if edits:
                durable.write_file(target, "\n".join(lines) + "\n")
            else:
                target.unlink(missing_ok=True)
    except filelock.Timeout:
        raise wrong("Edits are being written by another process; try again.") from None
    except OSError as error:
        raise wrong(f"{target} cannot be written ({error.strerror}); check the folder.") from None
    return _made(target, edits), undone


def with_value(tree: Any, place: str, value: Any) -> Any:
    """A copy of a row with one place in it changed. Raises RowError when the way there does not exist."""
    name, _, rest = place.partition(".")
    if isinstance(tree, dict):
        inner = with_value(tree.get(name), rest, value) if rest else value
        return {**tree, name: inner}
    if isinstance(tree, list) and name.isdigit() and int(name) < len(tree):
        inner = with_value(tree[int(name)], rest, value) if rest else value
        return [*tree[: int(name)], inner, *tree[int(name) + 1 :]]
    raise RowError("missing field", f"has no place {name[:40]!r} to set")


def value_at(tree: Any, place: str) -> Any:
    """What stands at a place of a row; None when nothing does."""
    for name in place.split("."):
        if isinstance(tree, dict):
            tree = tree.get(name)
        elif isinstance(tree, list) and name.isdigit() and int(name) < len(tree):
            tree = tree[int(name)]
        else:
            return None
    return tree


def _made(path: Path, edits: list[Edit]) -> Overlay:
    changes: dict[tuple[str, int], Change] = {}
    for edit in edits:
        if edit.edit != "add":
            before = changes.get((edit.row, edit.nth), Change())
            values = (*before.values, (edit.field, edit.value)) if edit.edit == "set" else before.values
            changes[edit.row, edit.nth] = Change(before.is_excluded or edit.edit == "exclude", values)
    return Overlay(path, tuple(edits), changes)
