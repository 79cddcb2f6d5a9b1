"""Which rows are held out to evaluate on: a matter of a row's content, so that it stays when rows are added."""

from __future__ import annotations

import hashlib
import json

from core.data.row import Row


def place(row: Row, seed: int) -> float:
    """A number in [0, 1) from a row's content and the seed; rows below the share held out are held out."""
    content = [[message.role, message.content] for message in row.messages] or row.text
    digest = hashlib.sha256(json.dumps([seed, content]).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
