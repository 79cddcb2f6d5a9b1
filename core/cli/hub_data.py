"""`hone data search` and `hone data about`: finds datasets on the Hub, and looks at them before a download."""

from __future__ import annotations

import argparse
import dataclasses

from core.cli.datasets import row_in_words
from core.cli.output import note, say, say_json, table
from core.data.hub_parts import HUB
from core.data.row import Problem
from core.figures import size, whole


def search_data(options: argparse.Namespace) -> int:
    """List datasets that have the words. Raises HoneError when the Hub cannot be asked."""
    from core.data.hub import search

    found = search(" ".join(options.words))
    if options.json:
        say_json({"datasets": [dataclasses.asdict(dataset) for dataset in found]})
    elif not found:
        say("Nothing is called so; try other words.")
    else:
        rows = [
            (data.name, whole(data.downloads), _rows_in_words(data.rows), "yes" if data.is_gated else "")
            for data in found
        ]
        say(table(rows, ("NAME", "DOWNLOADS", "ROWS", "ASKS FOR TERMS")))
    return 0


def show_dataset(options: argparse.Namespace) -> int:
    """List a dataset's parts, and the first rows of one. Raises HoneError when the Hub cannot be asked."""
    from core.data.hub import find_part, parts_of, preview

    parts = parts_of(options.source)
    if options.json:
        document = [
            {"source": str(part.source), "num_bytes": part.num_bytes, "num_files": len(part.files),
             "is_partial": part.is_partial}
            for part in parts
        ]  # fmt: skip
    else:
        say(table([(str(part.source), size(part.num_bytes), whole(len(part.files))) for part in parts],
                  ("PART", "SIZE", "FILES")))  # fmt: skip
        document = []
    part = find_part(options.source) if options.rows > 0 else None
    found = preview(part, options.rows) if part else None
    if options.json:
        shown = {
            "shown": str(part.source) if part else "",
            "format": found.format,
            "columns": found.columns,
            "reason": found.reason,
            "trees": found.trees,
            "rows": [dataclasses.asdict(row) for row in found.rows],
            "num_bytes_fetched": found.num_bytes,
        } if found else {}  # fmt: skip
        say_json({"parts": document, **shown})
    elif found:
        assert part is not None
        say(f"\nThe first rows of {part.source}, with the columns {', '.join(found.columns) or 'none'}")
        say(found.reason or f"Rows of kind “{found.format}”")
        for number, row in enumerate(found.rows, 1):
            say(f"\nRow {number}" + (f": {row.reason}" if isinstance(row, Problem) else ""))
            for line in [] if isinstance(row, Problem) else row_in_words(row):
                say(line)
        say(f"\nGet it with hone download --data {str(part.source).removeprefix(HUB)}")
        note(f"{size(found.num_bytes)} were fetched for this look")
    return 0


def _rows_in_words(tag: str) -> str:
    """How many rows a dataset has: the Hub says 1K<n<10K, n<1K or n>1T."""
    return tag.replace("<n<", " to ").replace("n<", "under ").replace("n>", "over ")
