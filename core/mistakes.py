"""What is wrong with a config: the path it belongs to, and a sentence that says how to mend it."""

from __future__ import annotations

import datetime
import difflib
from dataclasses import dataclass
from typing import Any

from core.errors import HoneError


@dataclass(frozen=True)
class Mistake:
    """One thing wrong with a config: the dotted path it belongs to and a sentence."""

    path: str
    message: str


class ConfigError(HoneError):
    """A config that cannot be used; `mistakes` has one entry per wrong value."""

    def __init__(self, mistakes: list[Mistake], where: str = "") -> None:
        text = " ".join(f"{m.path}: {m.message}" if m.path else m.message for m in mistakes)
        text = " ".join(text.split())  # an unknown key may hold anything
        super().__init__(f"{where}: {text}" if where else text, path=mistakes[0].path)
        self.mistakes = mistakes


def nearest(name: str, known: tuple[str, ...]) -> str:
    """ " Did you mean …?" where a known name is like it, or all known names."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f" Did you mean {close[0]}?" if close else f" Known ones: {', '.join(known)}."


def shown(value: Any) -> str:
    """A value that a person wrote, on one line and not too long."""
    if isinstance(value, dict):
        value = value.get("kind")
    # A few aliased lines of YAML can nest into a billion words: only scalars are ever written out.
    text = " ".join(str(value).split()) if isinstance(value, (str, int, float, datetime.date)) else "This"
    return text if len(text) <= 40 else text[:39] + "…"
