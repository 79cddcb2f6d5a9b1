"""How a long reading of data tells how far it is, so that a person may watch it, and end it."""

from __future__ import annotations

import time
from collections.abc import Callable

TELL_SECONDS = 0.2

Told = Callable[[str, int, int], None]
"""Called now and then with what goes on ("Unpacking"), how much is done, and of how much, 0 where nobody knows. An
exception that it raises ends the work, and leaves nothing half done."""


def unheard(what: str, done: int, total: int) -> None:
    """For work that nobody watches."""


def now_and_then(told: Told, seconds: float = TELL_SECONDS) -> Told:
    """The same, called so often at most, for whom it costs something to be told."""
    last = 0.0

    def tell(what: str, done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= seconds:
            last = time.monotonic()
            told(what, done, total)

    return tell
