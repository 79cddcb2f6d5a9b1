"""The folder of what was unpacked: who uses what of it, and what goes when it grows too large. The oldest goes
first, and nothing that a live process has opened."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import psutil

MARK = "names.json"
"""The file that is written last into a folder on the shelf, and touched at each use."""
USERS = "users"
MOST_BYTES = 32 * 2**30
MOST_SHARE = 0.1
"""Of the disk that the shelf stands on."""
ABANDONED_SECONDS = 24 * 3600.0
"""After which an unpacking that never ended is removed."""


def hold(folder: Path) -> bool:
    """Say that this process uses a folder, until it ends. False when the folder is not there, or not whole."""
    if not (folder / MARK).is_file():
        return False
    try:
        (folder / USERS).mkdir(exist_ok=True)
        (folder / USERS / str(os.getpid())).write_text(f"{psutil.Process().create_time():.2f}")
        os.utime(folder / MARK)
    except OSError:  # it went at this very moment, or is not ours to write
        return (folder / MARK).is_file()
    return True


def keep(folder: Path, fill: Callable[[Path], None]) -> None:
    """Put a folder on the shelf, whole or not at all; `fill` writes into it, and MARK last. Raises OSError."""
    staged = folder.with_name(f".{folder.name}-{uuid.uuid4().hex}")
    try:
        staged.mkdir(parents=True)
        fill(staged)
        shutil.rmtree(folder, ignore_errors=True)
        staged.rename(folder)
        sweep(folder.parent, most_bytes(folder.parent))
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def is_used(folder: Path) -> bool:
    """Whether a live process holds a folder."""
    for mark in (folder / USERS).glob("*"):
        with contextlib.suppress(psutil.Error, OSError, ValueError):
            if abs(psutil.Process(int(mark.name)).create_time() - float(mark.read_text())) < 1:
                return True
    return False


def most_bytes(shelf: Path) -> int:
    """How large the shelf may grow."""
    return min(MOST_BYTES, int(MOST_SHARE * shutil.disk_usage(shelf).total))


def sweep(shelf: Path, limit: int) -> int:
    """Remove what was used longest ago until at most `limit` bytes are left. Returns the bytes removed."""
    _remove_abandoned(shelf)
    folders = [(mark.stat().st_mtime, mark.parent) for mark in shelf.glob(f"[!.]*/{MARK}")]
    sizes = {folder: _size(folder) for _, folder in folders}
    left, removed = sum(sizes.values()), 0
    for _, folder in sorted(folders):
        if left <= limit:
            break
        if not is_used(folder) and _remove(folder):
            left -= sizes[folder]
            removed += sizes[folder]
    return removed


def _remove(folder: Path) -> bool:
    """Take a folder away under another name first: who opens it meanwhile finds it whole, or not at all."""
    aside = folder.with_name(f".gone-{uuid.uuid4().hex}")
    try:
        folder.rename(aside)
        if is_used(aside):  # someone took it up between the look and the renaming
            aside.rename(folder)
            return False
    except OSError:  # Windows renames no folder with an open file
        return False
    shutil.rmtree(aside, ignore_errors=True)
    return True


def _remove_abandoned(shelf: Path) -> None:
    for path in shelf.glob(".*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > ABANDONED_SECONDS:
                shutil.rmtree(path, ignore_errors=True)


def _size(folder: Path) -> int:
    found = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            found += path.stat().st_size
    return found
