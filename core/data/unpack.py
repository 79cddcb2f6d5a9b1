"""Files inside other files: gzip and zip archives, Parquet and Arrow tables, written out once into the cache.

Nothing is loaded whole, no archive chooses where its files go, and none may grow without bound. Archives within
archives stay closed, and are named among what is passed over.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import hashlib
import io
import json
import lzma
import shutil
import struct
import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

import filelock

from core import places
from core.data import shelf, table_file
from core.data.pace import Told, unheard
from core.data.passed import Passed, sort_out
from core.data.suffixes import DATA_SUFFIXES
from core.errors import HoneError
from core.figures import size

BLOCK_BYTES = 2**20
FREE_BYTES = 256 * 2**20
"""Least disk space left when something is unpacked."""
SMALL_BYTES = 64 * 2**20
MOST_RATIO = 200
"""Text shrinks to a fifth, tables of numbers to a fiftieth; what is far beyond is made to fill disks."""
MOST_FILES = 10_000
LAYOUT = 2
"""Of what is written; what another one has written is not found."""
WAIT_SECONDS = 0.2
FULL = "does not fit on the disk when unpacked; free some space"
UNPACKING = "Unpacking"
DAMAGE = (
    zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, struct.error, ValueError, OverflowError, LookupError,
)  # fmt: skip
"""What zipfile raises over an archive that was changed."""


class PackedError(Exception):
    """Why an archive or table cannot be unpacked: the end of a sentence that begins with its name."""


class Unpacked(NamedTuple):
    """Each file with the name it has within, "" for a lone one; and what is passed over."""

    files: list[tuple[str, Path]]
    passed: list[Passed]


class Written(NamedTuple):
    """The same while it is written out, with names of files in the target folder."""

    files: list[tuple[str, str]]
    passed: list[Passed]


def unpack(path: Path, kind: str, told: Told = unheard) -> Unpacked:
    """What is in a file of a packed `kind` (see UNPACKERS).

    Of a zip archive what may hold data. An exception that `told` raises ends the work, and removes what was
    written. Raises PackedError, or HoneError when the cache cannot be written.
    """
    status = path.stat()
    words = f"{LAYOUT} {path} {status.st_size} {status.st_mtime_ns} {kind}"
    key = hashlib.sha256(words.encode()).hexdigest()[:32]
    target = places.cache_folder() / "data" / key
    if not shelf.hold(target):
        staged = target.with_name(f".{key}-{uuid.uuid4().hex}")
        try:
            with _turn(target, told):
                if not shelf.hold(target):  # else another process has done it meanwhile
                    staged.mkdir(parents=True)
                    written = UNPACKERS[kind](path, staged, told)
                    (staged / shelf.MARK).write_text(json.dumps(written))
                    shutil.rmtree(target, ignore_errors=True)
                    staged.rename(target)
                    shelf.hold(target)
                    shelf.sweep(target.parent, shelf.most_bytes(target.parent))
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise PackedError(FULL) from None
            raise HoneError(
                f"{path.name} cannot be unpacked into {target.parent} ({error.strerror or error}).",
                path="data.source",
            ) from None
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    files, passed = json.loads((target / shelf.MARK).read_text())
    return Unpacked([(shown, target / name) for shown, name in files], [Passed(*one) for one in passed])


@contextlib.contextmanager
def _turn(target: Path, told: Told) -> Iterator[None]:
    """Until no other process or thread unpacks the same: else a large archive would stand on the disk twice."""
    lock = filelock.FileLock(target.parent.with_name("locks") / target.name)
    Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
    while True:
        try:
            lock.acquire(timeout=WAIT_SECONDS)
            break
        except filelock.Timeout:
            told(UNPACKING, 0, 0)
    try:
        yield
    finally:
        # Who waits opens the file anew at each try, and finds the work done; in the instant between that opening
        # and its lock it may hold a file that is gone, and would at worst unpack once more, beside the first.
        with contextlib.suppress(OSError):
            Path(lock.lock_file).unlink()
        lock.release()


def _gzip(path: Path, target: Path, told: Told) -> Written:
    inner = path.name.removesuffix(".gz") if path.suffix == ".gz" else path.name
    num_bytes = path.stat().st_size
    try:
        with path.open("rb") as file, gzip.GzipFile(fileobj=file) as packed:
            _copy(packed, target / _plain(inner), num_bytes, lambda _: told(UNPACKING, file.tell(), num_bytes))
    except (EOFError, zlib.error, gzip.BadGzipFile, struct.error):
        raise PackedError("is a damaged gzip archive: it breaks off or was changed; get it again") from None
    return Written([("", _plain(inner))], [])


def _zip(path: Path, target: Path, told: Told) -> Written:
    found: list[tuple[str, str]] = []
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            for member in members:
                place = PurePosixPath(member.filename.replace("\\", "/"))
                if place.is_absolute() or ".." in place.parts or ":" in member.filename[:2]:
                    raise PackedError(
                        "is a zip archive that names files outside itself, so nothing in it is opened"
                    )
            names, passed = sort_out((member.filename, member.file_size) for member in members)
            if not names:
                raise PackedError(_without_data(passed))
            wanted = [member for member in members if member.filename in set(names)]
            if len(wanted) > MOST_FILES:
                raise PackedError(f"is a zip archive of {len(wanted):,} files; Hone opens at most {MOST_FILES:,}")
            done, total = 0, sum(member.file_size for member in wanted)
            _require_space(target, total)
            for number, member in enumerate(sorted(wanted, key=lambda member: member.filename)):
                name = f"{number:05d}-{_plain(PurePosixPath(member.filename).name)}"
                with archive.open(member) as packed:
                    tell = partial(_tell_zip, told, done, total)
                    done += _copy(packed, target / name, path.stat().st_size, tell)
                found.append((member.filename if len(wanted) > 1 else "", name))
    except DAMAGE:
        raise PackedError("is a damaged zip archive; get it again") from None
    except (RuntimeError, NotImplementedError):
        raise PackedError(
            "is a zip archive with a password, or packed in a way that cannot be opened here; unpack it first"
        ) from None
    except OSError as error:
        if error.errno != errno.EINVAL:  # else the archive names a place before its own beginning
            raise
        raise PackedError("is a damaged zip archive; get it again") from None
    return Written(found, passed)


def _tell_zip(told: Told, before: int, total: int, num_bytes: int) -> None:
    """What an archive says of its own size need not be true."""
    told(UNPACKING, min(before + num_bytes, total), total)


def _without_data(passed: list[Passed]) -> str:
    if any(one.why == "archive" for one in passed):
        return "is a zip archive with archives within it; unpack the outer one first"
    return f"is a zip archive without a file that Hone reads ({', '.join(DATA_SUFFIXES)})"


def _utf16(path: Path, target: Path, told: Told) -> Written:
    """Text in two bytes a character, written out as UTF-8."""
    name, num_bytes = _plain(path.name), path.stat().st_size
    try:
        with path.open("rb") as raw, (target / name).open("wb") as file:
            packed = io.TextIOWrapper(raw, encoding="utf-16", newline="")
            while block := packed.read(BLOCK_BYTES):
                file.write(block.encode())
                _require_space(target)
                told(UNPACKING, raw.tell(), num_bytes)
    except UnicodeError:
        raise PackedError("says that it is text in UTF-16 and is not; save it as UTF-8") from None
    return Written([("", name)], [])


def _carriage_returns(path: Path, target: Path, told: Told) -> Written:
    """Text whose lines end as they did on old Macs, with its line ends made newlines."""
    name, num_bytes = _plain(path.name), path.stat().st_size
    with path.open("rb") as packed, (target / name).open("wb") as file:
        while block := packed.read(BLOCK_BYTES):
            while block.endswith(b"\r") and (more := packed.read(1)):
                block += more
            file.write(block.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
            _require_space(target)
            told(UNPACKING, packed.tell(), num_bytes)
    return Written([("", name)], [])


def _table(path: Path, target: Path, told: Told) -> Written:
    try:
        table_file.write_apart(path, target / "rows.jsonl", FREE_BYTES, told)
    except table_file.DamagedError as why:
        raise PackedError(f"is a damaged table ({why}); get it again") from None
    except table_file.GrownError as why:
        raise PackedError(str(why)) from None
    return Written([("", "rows.jsonl")], [])


def _copy(packed: IO[bytes] | gzip.GzipFile, target: Path, packed_bytes: int, told: Callable[[int], None]) -> int:
    """Write out one file; returns its bytes."""
    num_bytes = 0
    with target.open("wb") as file:
        while block := packed.read(BLOCK_BYTES):
            num_bytes += len(block)
            if num_bytes > SMALL_BYTES and num_bytes > MOST_RATIO * packed_bytes:
                raise PackedError(
                    f"grows to over {MOST_RATIO} times its size when unpacked, which no honest data does"
                )
            if num_bytes % (64 * BLOCK_BYTES) < BLOCK_BYTES:
                _require_space(target.parent)
            file.write(block)
            told(num_bytes)
    return num_bytes


def _require_space(folder: Path, num_bytes: int = 0) -> None:
    """Raise PackedError where the disk has no room for so many bytes more."""
    free = shutil.disk_usage(folder).free
    if free < num_bytes + FREE_BYTES:
        needs = f": it takes {size(num_bytes)}, and {size(free)} are free in {folder.parent}" if num_bytes else ""
        raise PackedError(FULL.replace(";", needs + ";"))


def _plain(name: str) -> str:
    """A file name from an archive, without what a file system might take amiss; its suffix stays."""
    kept = "".join(sign if sign.isalnum() or sign in "-_." else "_" for sign in name)
    return kept[-80:].lstrip(".") or "data"


UNPACKERS: dict[str, Callable[[Path, Path, Told], Written]] = {
    "gzip": _gzip,
    "zip": _zip,
    "parquet": _table,
    "arrow": _table,
    "utf-16": _utf16,
    "carriage returns": _carriage_returns,
}
