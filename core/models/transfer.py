"""Receives one file over HTTP, goes on where an earlier try ended, and checks the content against its hash."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from core.models.hub import HubFile

CONNECT_SECONDS, READ_SECONDS = 15.0, 60.0
TRIES = 6


class StoppedError(Exception):
    """The transfer was told to stop; what has arrived stays on disk."""


def receive(
    url: str,
    target: BinaryIO,
    num_bytes: int,
    count: Callable[[int], None],
    pause: Callable[[float], bool],
) -> None:
    """Append what is missing of a file to `target`, an unbuffered file whose position is its end.

    `count` is told of every piece, in bytes; negative when a server starts over. `pause(seconds)` waits between
    tries and answers whether to stop. Gives up after TRIES tries without a byte. Raises the Hub's errors, OSError
    for the disk, StoppedError.
    """
    from huggingface_hub.errors import HfHubHTTPError, HTTPError

    failures = 0
    while target.tell() < num_bytes:
        before = target.tell()
        problem: Exception = TimeoutError("the connection closed early")
        try:
            _request(url, target, num_bytes, count, pause)
        except HfHubHTTPError as error:
            if error.response is None or error.response.status_code < 500:
                raise
            problem = error
        except HTTPError as error:
            problem = error
        failures = 0 if target.tell() > before else failures + 1
        if failures == TRIES:
            raise problem
        if target.tell() < num_bytes and pause(min(8.0, 0.5 * 2**failures)):
            raise StoppedError


def is_right(path: Path, file: HubFile) -> bool:
    """Whether a file on disk has the length and the content that its name in the cache promises."""
    if path.stat().st_size != file.num_bytes:
        return False
    with path.open("rb") as opened:
        if file.is_large:
            return hashlib.file_digest(opened, "sha256").hexdigest() == file.blob
        content = opened.read()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest() == file.blob


def length(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _request(
    url: str, target: BinaryIO, num_bytes: int, count: Callable[[int], None], pause: Callable[[float], bool]
) -> None:
    """One request for the rest of a file."""
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

    had = target.tell()
    headers = build_hf_headers() | {"Accept-Encoding": "identity"}  # else lengths and ranges are of another file
    if had:
        headers["Range"] = f"bytes={had}-"
    timeout = (CONNECT_SECONDS, READ_SECONDS, READ_SECONDS, READ_SECONDS)
    with get_session().stream("GET", url, headers=headers, timeout=timeout, follow_redirects=True) as response:
        hf_raise_for_status(response)
        if had and response.status_code != 206:  # the server knows no ranges and sends the whole
            target.seek(0)
            target.truncate()
            count(-had)
        for piece in response.iter_bytes():
            wanted = piece[: num_bytes - target.tell()]
            target.write(wanted)
            count(len(wanted))
            if pause(0):
                raise StoppedError
