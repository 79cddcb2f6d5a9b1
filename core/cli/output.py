"""How the command line speaks: results on stdout; progress, notes and errors on stderr."""

from __future__ import annotations

import json
import re
import shutil
import sys
import time
from typing import Any

WHOLE = re.compile(r"[\d,]+")
KEPT = "\n\t\u200c\u200d"
"""Beside what is printable: line ends, and what joins letters and emoji."""
SECONDS_BETWEEN_LINES = 10.0  # of progress, where nobody watches a terminal


def say(text: str = "") -> None:
    """A line of the result."""
    print(text, flush=True)


def say_json(document: Any) -> None:
    """The result as the one JSON document; not-a-number becomes null, which JSON lacks a word for."""
    print(json.dumps(_finite(document), ensure_ascii=False, indent=2, default=str), flush=True)


def note(text: str) -> None:
    """A line beside the result."""
    print(text, file=sys.stderr, flush=True)


class ProgressLine:
    """One line on stderr that is rewritten in place; in a log file, a new line every ten seconds."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._shown_at = time.monotonic() - (0 if self._is_terminal else SECONDS_BETWEEN_LINES / 2)
        self._width = 0

    def show(self, text: str) -> None:
        now = time.monotonic()
        if self._is_terminal:
            text = text[: shutil.get_terminal_size().columns - 1]
            sys.stderr.write(f"\r{text:<{self._width}}")
            sys.stderr.flush()
            self._width = len(text)
        elif now - self._shown_at >= SECONDS_BETWEEN_LINES:
            note(text)
            self._shown_at = now

    def told(self, what: str, done: int, total: int) -> None:
        """How far something is, as a share where that is known."""
        self.show(f"{what}: {done / total:.0%}" if total else f"{what} …")

    def note(self, text: str) -> None:
        """A lasting line above the progress."""
        self.clear()
        note(text)

    def clear(self) -> None:
        if self._width:
            sys.stderr.write(f"\r{'':<{self._width}}\r")
            sys.stderr.flush()
            self._width = 0


def table(rows: list[tuple[str, ...]], heads: tuple[str, ...]) -> str:
    """Rows under their heads, in columns wide enough for each; whole numbers stand at the right."""
    lines = [heads, *(tuple(map(printable, row)) for row in rows)]
    columns = range(len(heads))
    widths = [max(len(line[column]) for line in lines) for column in columns]
    sides = [">" if rows and all(WHOLE.fullmatch(row[column]) for row in rows) else "<" for column in columns]
    return "\n".join("  ".join(f"{line[column]:{sides[column]}{widths[column]}}" for column in columns).rstrip()
                     for line in lines)  # fmt: skip


def printable(text: str) -> str:
    """Words of a stranger without control characters, which would be orders to the terminal."""
    return "".join(sign if sign.isprintable() or sign in KEPT else f"\\x{ord(sign):02x}" for sign in text)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value
