"""The licence that a model's own card states."""

from __future__ import annotations

import re
from pathlib import Path

MOST_READ = 20_000


def licence_of(folder: Path) -> str:
    """As its README.md states it in the lines at the top; empty where it does not."""
    try:
        with (folder / "README.md").open(encoding="utf-8", errors="replace") as file:
            card = file.read(MOST_READ)
    except OSError:
        return ""
    front = re.match(r"---\s*\n(.*?)\n---", card, re.DOTALL)
    stated = re.search(r"^licen[sc]e:\s*[\"']?([^\"'\n]+)", front[1], re.MULTILINE) if front else None
    return stated[1].strip() if stated else ""
