"""Writes that survive a kill: staged beside the target, flushed to disk, renamed into place, folder synced."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

MANIFEST = "manifest.json"
STAGING_PREFIX = ".staging-"


def write_file(path: Path, content: bytes | str) -> None:
    """Replace a file's content in one step: a reader sees the old or the new, never a mixture."""
    staged = _aside(path)
    try:
        with staged.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        staged.replace(path)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_folder(target: Path, fill: Callable[[Path], None]) -> int:
    """Make a whole folder appear at once: `fill` writes into a staging folder, then a manifest with the
    sha256 of each file is added and the folder is renamed. Returns its size in bytes.

    An existing target is replaced only after the new one is complete on disk.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    staged, old = _aside(target), _aside(target)
    try:
        staged.mkdir()
        fill(staged)
        files = sorted(path for path in staged.rglob("*") if path.is_file())
        manifest = {str(path.relative_to(staged).as_posix()): sha256(path) for path in files}
        size = sum(path.stat().st_size for path in files)
        for path in staged.rglob("*"):
            _sync(path)
        write_file(staged / MANIFEST, json.dumps({"sha256": manifest}, indent=1))
        if target.exists():
            target.rename(old)
        staged.rename(target)
    except BaseException:
        if old.exists() and not target.exists():
            old.rename(target)
        shutil.rmtree(staged, ignore_errors=True)
        raise
    sync_folder(target.parent)
    shutil.rmtree(old, ignore_errors=True)
    return size


def is_whole(folder: Path) -> bool:
    """Whether every file that the folder's manifest names is there with the right content."""
    try:
        expected = json.loads((folder / MANIFEST).read_bytes())["sha256"]
        return bool(expected) and all(sha256(folder / name) == digest for name, digest in expected.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False


def sweep(folder: Path) -> None:
    """Remove what killed writers left behind. Only for the one who holds the run's lock.

    A writer killed between its two renames has left the target whole under another name: that one moves back.
    """
    left = sorted(folder.glob(f"{STAGING_PREFIX}*"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in left:
        target = folder / path.name.removeprefix(STAGING_PREFIX).partition("-")[2]
        if path.is_dir() and target != folder and not target.exists() and is_whole(path):
            path.rename(target)
        elif path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _aside(target: Path) -> Path:
    """A name beside the target that no one else uses and from which the target's own can be read."""
    return target.with_name(f"{STAGING_PREFIX}{uuid.uuid4().hex}-{target.name}")


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Make a rename inside the folder durable; Windows has no such call and needs none."""
    _sync(folder)


def _sync(path: Path) -> None:
    if os.name != "posix" and path.is_dir():
        return
    # Windows refuses to sync a file opened for reading.
    handle = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        with contextlib.suppress(OSError) if path.is_dir() else contextlib.nullcontext():
            os.fsync(handle)
    finally:
        os.close(handle)
