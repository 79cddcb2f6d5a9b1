"""Files inside other files: gzip and zip archives, Parquet and Arrow tables, written out once into the cache.

Nothing is loaded whole, no archive chooses where its files go, and none may grow without bound.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import lzma
import shutil
import struct
import uuid
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO

from core import places
from core.data import shelf, table_file
from core.errors import HoneError

BLOCK_BYTES = 2**20
FREE_BYTES = 256 * 2**20
"""Least disk space left when something is unpacked."""
SMALL_BYTES = 64 * 2**20
MOST_RATIO = 200
"""Text shrinks to a fifth, tables of numbers to a fiftieth; what is far beyond is made to fill disks."""
MOST_FILES = 10_000
FULL = "does not fit on the disk when unpacked; free some space"
DAMAGE = (
    zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, struct.error, ValueError, OverflowError, LookupError,
)  # fmt: skip
"""What zipfile raises over an archive that was changed."""


class Packed(Exception):  # noqa: N818
    """Why an archive or table cannot be unpacked: the end of a sentence that begins with its name."""


def unpack(path: Path, kind: str, suffixes: tuple[str, ...]) -> list[tuple[str, Path]]:
    """The files in one of a packed `kind` (see UNPACKERS), each with the name it has there, "" for a lone one.

    Of a zip archive those with one of the suffixes. Raises Packed, or HoneError when the cache cannot be written.
    """
    status = path.stat()
    key = hashlib.sha256(f"{path} {status.st_size} {status.st_mtime_ns} {kind}".encode()).hexdigest()[:32]
    target = places.cache_folder() / "data" / key
    if not shelf.hold(target):
        staged = target.with_name(f".{key}-{uuid.uuid4().hex}")
        try:
            staged.mkdir(parents=True)
            names = UNPACKERS[kind](path, staged, suffixes)
            (staged / shelf.MARK).write_text(json.dumps(names))
            shutil.rmtree(target, ignore_errors=True)
            staged.rename(target)
            shelf.hold(target)
            shelf.sweep(target.parent, shelf.most_bytes(target.parent))
        except OSError as error:
            if not (target / shelf.MARK).is_file():  # else another process was quicker
                raise HoneError(
                    f"{path.name} cannot be unpacked into {target.parent} ({error.strerror or error}).",
                    path="data.source",
                ) from None
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    names = json.loads((target / shelf.MARK).read_text())
    return [(shown, target / name) for shown, name in names]


def _gzip(path: Path, target: Path, suffixes: tuple[str, ...]) -> list[tuple[str, str]]:
    inner = path.name.removesuffix(".gz") if path.suffix == ".gz" else path.name
    try:
        with gzip.open(path) as packed:
            _copy(packed, target / _plain(inner), path.stat().st_size)
    except (EOFError, zlib.error, gzip.BadGzipFile, struct.error):
        raise Packed("is a damaged gzip archive: it breaks off or was changed; get it again") from None
    return [("", _plain(inner))]


def _zip(path: Path, target: Path, suffixes: tuple[str, ...]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            for member in members:
                place = PurePosixPath(member.filename.replace("\\", "/"))
                if place.is_absolute() or ".." in place.parts or ":" in member.filename[:2]:
                    raise Packed("is a zip archive that names files outside itself, so nothing in it is opened")
            wanted = [member for member in members if _is_data(member.filename, suffixes)]
            if not wanted and any(member.filename.lower().endswith((".zip", ".gz")) for member in members):
                raise Packed("is a zip archive with archives within it; unpack the outer one first")
            if not wanted:
                raise Packed(f"is a zip archive without a file that Hone reads ({', '.join(suffixes)})")
            if len(wanted) > MOST_FILES:
                raise Packed(f"is a zip archive of {len(wanted):,} files; Hone opens at most {MOST_FILES:,}")
            for number, member in enumerate(sorted(wanted, key=lambda member: member.filename)):
                name = f"{number:05d}-{_plain(PurePosixPath(member.filename).name)}"
                with archive.open(member) as packed:
                    _copy(packed, target / name, path.stat().st_size)
                found.append((member.filename if len(wanted) > 1 else "", name))
    except DAMAGE:
        raise Packed("is a damaged zip archive; get it again") from None
    except (RuntimeError, NotImplementedError):
        raise Packed("is a zip archive with a password, or packed in a way that cannot be opened here") from None
    except OSError as error:
        if error.errno != errno.EINVAL:  # else the archive names a place before its own beginning
            raise
        raise Packed("is a damaged zip archive; get it again") from None
    return found


def _utf16(path: Path, target: Path, suffixes: tuple[str, ...]) -> list[tuple[str, str]]:
    """Text in two bytes a character, written out as UTF-8."""
    name = _plain(path.name)
    try:
        with path.open(encoding="utf-16", newline="") as packed, (target / name).open("wb") as file:
            while block := packed.read(BLOCK_BYTES):
                file.write(block.encode())
                _require_space(target)
    except UnicodeError:
        raise Packed("says that it is text in UTF-16 and is not; save it as UTF-8") from None
    return [("", name)]


def _carriage_returns(path: Path, target: Path, suffixes: tuple[str, ...]) -> list[tuple[str, str]]:
    """Text whose lines end as they did on old Macs, with its line ends made newlines."""
    name = _plain(path.name)
    with path.open("rb") as packed, (target / name).open("wb") as file:
        while block := packed.read(BLOCK_BYTES):
            while block.endswith(b"\r") and (more := packed.read(1)):
                block += more
            file.write(block.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
            _require_space(target)
    return [("", name)]


def _table(path: Path, target: Path, suffixes: tuple[str, ...]) -> list[tuple[str, str]]:
    try:
        table_file.write_apart(path, target / "rows.jsonl", FREE_BYTES)
    except table_file.DamagedError as why:
        raise Packed(f"is a damaged table ({why}); get it again") from None
    except table_file.FullError:
        raise Packed(FULL) from None
    return [("", "rows.jsonl")]


def _copy(packed: IO[bytes] | gzip.GzipFile, target: Path, packed_bytes: int) -> None:
    num_bytes = 0
    with target.open("wb") as file:
        while block := packed.read(BLOCK_BYTES):
            num_bytes += len(block)
            if num_bytes > SMALL_BYTES and num_bytes > MOST_RATIO * packed_bytes:
                raise Packed(f"grows to over {MOST_RATIO} times its size when unpacked, which no honest data does")
            if num_bytes % (64 * BLOCK_BYTES) < BLOCK_BYTES:
                _require_space(target.parent)
            file.write(block)


def _require_space(folder: Path) -> None:
    if shutil.disk_usage(folder).free < FREE_BYTES:
        raise Packed(FULL)


def _is_data(name: str, suffixes: tuple[str, ...]) -> bool:
    place = PurePosixPath(name)
    hidden = any(part.startswith((".", "__MACOSX")) for part in place.parts)
    return place.suffix.lower() in suffixes and not hidden


def _plain(name: str) -> str:
    """A file name from an archive, without what a file system might take amiss; its suffix stays."""
    kept = "".join(sign if sign.isalnum() or sign in "-_." else "_" for sign in name)
    return kept[-80:].lstrip(".") or "data"


UNPACKERS: dict[str, Callable[[Path, Path, tuple[str, ...]], list[tuple[str, str]]]] = {
    "gzip": _gzip,
    "zip": _zip,
    "parquet": _table,
    "arrow": _table,
    "utf-16": _utf16,
    "carriage returns": _carriage_returns,
}
