"""What tells data from other data: a hash of its content and edits, and a stamp that costs next to nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from core.data.mix import parse_sources
from core.data.overlay import overlay_file
from core.data.source import find_data, list_files, wrong

_fingerprints: dict[tuple[str, int, int], str] = {}
"""Hashing a large file takes seconds, and the same file comes again."""


def fingerprint(source: str, more: Sequence[str] = ()) -> str:
    """The sha256 of the file that `source` names, or of the names and contents of a folder's files; with edits or
    further sources (`data.more`), of all of them together.

    Raises HoneError(path="data.source").
    """
    given = parse_sources(source, more)
    if len(given) == 1:
        return fingerprint_of(source)
    parts = [f"{one.weight:g} {_content_and_edits(one.source)}" for one in given]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def fingerprints(source: str, more: Sequence[str] = ()) -> dict[str, str]:
    """The fingerprint of each source by itself, to tell which of them has changed. Raises HoneError likewise."""
    return {given.source: fingerprint_of(given.source) for given in parse_sources(source, more)}


def fingerprint_of(source: str) -> str:
    """The fingerprint of one source, with its edits."""
    found = _content_and_edits(source)
    return hashlib.sha256(f"1 {found}".encode()).hexdigest() if " edits " in found else found


def _content_and_edits(source: str) -> str:
    edits = overlay_file(source)
    edited = f" edits {_sha256(edits, str(edits))}" if edits.is_file() else ""
    return f"{_content(source)}{edited}"


def stamp(source: str, more: Sequence[str] = ()) -> tuple[tuple[str, int, int], ...]:
    """What changes when data or its edits do, at next to no cost: paths, sizes and times. For who keeps rows open.

    Raises HoneError(path="data.source").
    """
    found = []
    for given in parse_sources(source, more):
        path = find_data(given.source)
        for place in [
            path,
            *(list_files(path, given.source)[0] if path.is_dir() else []),
            overlay_file(given.source),
        ]:
            try:
                status = place.stat()
            except OSError:  # no edits, or data that is gone, which who opens it is told
                continue
            found.append((f"{given.weight:g}*{place}", status.st_size, status.st_mtime_ns))
    return tuple(found)


def _content(source: str) -> str:
    path = find_data(source)
    if not path.is_dir():
        return _sha256(path, source)
    parts = [
        f"{file.relative_to(path).as_posix()} {_sha256(file, str(file))}" for file in list_files(path, source)[0]
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _sha256(path: Path, source: str) -> str:
    try:
        status = path.stat()
        key = (str(path), status.st_size, status.st_mtime_ns)
        if key not in _fingerprints:
            with path.open("rb") as file:
                _fingerprints[key] = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise wrong(f"{source} cannot be read ({error.strerror}); check its permissions.") from None
    return _fingerprints[key]
