"""How a long reading of data tells how far it is, so that a person may watch it, and end it."""

from __future__ import annotations

from collections.abc import Callable

Told = Callable[[str, int, int], None]
"""Called now and then with what goes on ("Unpacking"), how much is done, and of how much, 0 where nobody knows. An
exception that it raises ends the work, and leaves nothing half done."""


def unheard(what: str, done: int, total: int) -> None:
    """For work that nobody watches."""
