"""`hone data edit`: leaves rows out, mends and adds them, in a file beside the data."""

from __future__ import annotations

import argparse
import json
import re
from typing import TYPE_CHECKING, Any

from core.cli.output import say, say_json
from core.config import RunConfig
from core.data.mapping import Meaning
from core.data.overlay import read_overlay
from core.errors import HoneError
from core.figures import whole

if TYPE_CHECKING:
    from core.data.rows import Rows

PLACE = re.compile(r"(\d+)\.([^=]+)=(.*)", re.DOTALL)


def edit_data(options: argparse.Namespace) -> int:
    """Make one edit or take one back. Raises HoneError for a row or a value that cannot be."""
    from core.data import edits
    from core.data.fingerprint import fingerprint

    source = options.file
    if options.undo:
        undone = edits.undo(source)
        what = {
            "exclude": "a row is back in",
            "set": f"{undone.field} is as before",
            "add": "an added row is gone",
        }
        done = f"Undone: {what[undone.edit]}"
        rows = _open(options)
    else:
        before = _open(options)
        done = _edit(source, options, before)
        rows = before.edited()
    overlay = read_overlay(source)
    if options.json:
        document: dict[str, Any] = {"source": source, "edits": str(overlay.path), "num_edits": len(overlay.edits)}
        say_json(
            {**document, "num_rows": len(rows), "num_changed": rows.num_changed, "sha256": fingerprint(source)}
        )
    else:
        say(done)
        count = f"{whole(len(overlay.edits))} edit{'s' * (len(overlay.edits) != 1)}"
        kept = f"{count} in {overlay.path}" if overlay.edits else "no edits left"
        say(f"{whole(len(rows))} rows, {kept}")
    return 0


def _open(options: argparse.Namespace) -> Rows:
    from core.data.rows import open_rows

    meaning = Meaning.of(RunConfig().with_value("data.mapping", options.mapping).data)
    return open_rows(options.file, meaning=meaning)


def _edit(source: str, options: argparse.Namespace, rows: Rows) -> str:
    """Leave rows out, set a field or add a row. Returns what was done, in words."""
    from core.data import edits

    if options.exclude:
        edits.exclude(source, [number - 1 for number in options.exclude], rows)
        numbers = ", ".join(map(whole, options.exclude))
        return f"Left out: row{'s' * (len(options.exclude) > 1)} {numbers}"
    if options.set:
        number, place, text = _place(options.set)
        value = edits.as_value(source, number - 1, place, text, rows)
        edits.set_field(source, number - 1, place, value, rows)
        return f"Set: {place} of row {number}"
    edits.add_row(source, _row(options.add), rows)
    return "Added: one row, at the end"


def _place(text: str) -> tuple[int, str, str]:
    """N.FIELD=VALUE taken apart."""
    if not (found := PLACE.fullmatch(text)):
        raise HoneError(f"--set {text[:80]} is not N.FIELD=VALUE, such as 3.completion=Yes.")
    return int(found[1]), found[2].strip(), found[3]


def _row(text: str) -> dict[str, Any]:
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        raise HoneError(f'--add {text[:80]} is no JSON; give a row such as {{"prompt": …}}.') from None
    if not isinstance(row, dict):
        raise HoneError(f'--add {text[:80]} is no JSON object; give a row such as {{"prompt": …}}.')
    return row
