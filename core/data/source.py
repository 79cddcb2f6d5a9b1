"""Finds a dataset on this machine and the files it is kept in. Knows nothing of rows."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from core import places
from core.data import hub_parts
from core.data.hub_parts import HUB
from core.data.pace import Told, unheard
from core.data.passed import Passed, sort_out
from core.data.row import RowError
from core.data.suffixes import (
    JSON_SUFFIXES,
    OVERLAY_SUFFIX,
    PACKED_SUFFIXES,
    READABLE,
    TABLE_SUFFIXES,
    TEXT_SUFFIXES,
)
from core.data.tables import read_header
from core.data.unpack import PackedError, unpack
from core.errors import HoneError

SAMPLE = "sample:"
HEAD_BYTES = 65_536
BOM = b"\xef\xbb\xbf"
SAMPLE_SUFFIXES = (".jsonl", ".txt")
PACKED_KINDS = {
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"\x1f\x8b": "gzip",
    b"PAR1": "parquet",
    b"ARROW1": "arrow",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
ARCHIVES = ("zip", "gzip")
STREAM = b"\xff\xff\xff\xff"
"""How an Arrow file of `datasets` begins."""
MOST_FILES = 10_000
OTHER_KINDS = {
    b"%PDF": "a PDF file",
    b"\x80\x04": "a Python pickle",
    b"\xfd7zXZ": "an xz archive",
    b"\x28\xb5\x2f\xfd": "a zstandard archive",
    b"SQLite format 3": "a database",
    b"\xff\xfe\0\0": "text in UTF-32, which is to be saved as UTF-8",
    b"version https://git-lfs": "a Git LFS pointer and not the data, which git lfs pull fetches",
}
TAR_MARK = slice(257, 262)
INNER_LIST = re.compile(
    rb'\{\s*"(?:data|rows|examples|items|records|instances|samples|dataset|train|training)"\s*:\s*\[(?=\s*\{)'
)
"""How an object begins that holds nothing but a list of rows, to the list's bracket."""
WEB_PAGES = (b"<!doctype html", b"<html")

Container = Literal["lines", "list", "inner list", "sequence", "text", "table", "edits"]


@dataclass(frozen=True)
class DataFile:
    """A file of rows: a JSON object on each line, a JSON list of objects, such a list within an object, objects in
    sequence over any lines, plain text, a table of text, or rows added by edits."""

    path: Path
    container: Container
    start: int
    """Where its first row may begin, in bytes: after a byte order mark, and after a table's header."""
    num_bytes: int
    name: str = ""
    """What it is called within a folder or archive of several files; empty for a lone file."""
    columns: tuple[str, ...] = ()
    """Of a table."""
    separator: str = ""
    line: int = 1
    """The line that `start` stands on."""


def find_data(source: str) -> Path:
    """The file or folder that `source` (a path, sample:NAME or hub:OWNER/NAME) names.

    Raises HoneError(path="data.source").
    """
    source = source.strip()
    if not source:
        raise wrong("No dataset is chosen; give sample:poems or the path of a JSONL or text file.")
    if source.startswith(SAMPLE):
        return _sample(source)
    if source.startswith(HUB):
        return hub_parts.find_part(source).folder
    path = Path(source).expanduser()
    try:
        if path.is_dir():
            return path.resolve()
        if not path.exists():
            raise wrong(f"{source} does not exist; give the path of a data file.")
        if not path.is_file():
            raise wrong(f"{source} is not a file; give the path of a data file.")
        return path.resolve()
    except (OSError, ValueError):  # a name too long for the system, or with a NUL in it
        raise wrong(f"{source[:80]!r} cannot be a path; give the path of a data file.") from None


def open_data(source: str, told: Told = unheard) -> tuple[DataFile, ...]:
    """The files that `source` names, each looked at far enough to know how its rows are kept: one file, those of
    an archive, or those of a folder, in the order of their names.

    What is packed is unpacked first; `told` hears of it. Raises HoneError(path="data.source") for a file that is
    empty, unreadable, damaged, or of no kind Hone reads.
    """
    return look_into(source, told)[0]


def look_into(source: str, told: Told = unheard) -> tuple[tuple[DataFile, ...], tuple[Passed, ...]]:
    """The same, and what of the folder or archive is passed over."""
    path = find_data(source)
    if not path.is_dir():
        return _files_in(path, source, told)
    listed, passed = list_files(path, source)
    if len(listed) == 1:
        files, more = _files_in(listed[0], str(listed[0]), told)
        return files, (*passed, *more)
    found: list[DataFile] = []
    for file in listed:
        inside = file.relative_to(path).as_posix()
        files, more = _files_in(file, str(file), told)
        found += [replace(one, name=f"{inside}/{one.name}".rstrip("/")) for one in files]
        passed += [Passed(f"{inside}/{one.name}", one.why) for one in more]
    return tuple(found), tuple(passed)


def list_files(folder: Path, source: str) -> tuple[list[Path], list[Passed]]:
    """The files of a folder that may hold rows, and what is passed over."""
    files = (
        (path.relative_to(folder).as_posix(), path.stat().st_size)
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(OVERLAY_SUFFIX)
    )
    names, passed = sort_out(files, PACKED_SUFFIXES)
    if not names:
        raise wrong(f"{source} is a folder without a data file; {READABLE}.")
    if len(names) > MOST_FILES:
        raise wrong(f"{source} is a folder of {len(names):,} files; give one with at most {MOST_FILES:,}.")
    return sorted(folder / name for name in names), passed


def _files_in(path: Path, source: str, told: Told) -> tuple[tuple[DataFile, ...], tuple[Passed, ...]]:
    """The file itself, or what is packed in it, and what of that is passed over."""
    head, size = _head(path, source)
    kind = _packed_kind(path, head)
    if not kind:
        return (_look_at(path, source, head, size),), ()
    found = []
    try:
        unpacked = unpack(path, kind, told)
        for name, inner in unpacked.files:
            shown = f"{name} in {source}" if name else source
            head, size = _head(inner, shown)
            if (within := _packed_kind(inner, head)) in ARCHIVES:
                raise wrong(f"{shown} holds an archive within an archive; unpack the outer one first.")
            if within:
                found += [replace(one, name=name) for one in _files_in(inner, shown, told)[0]]
            else:
                found.append(replace(_look_at(inner, shown, head, size), name=name))
    except PackedError as why:
        raise wrong(f"{source} {why}.") from None
    return tuple(found), tuple(unpacked.passed)


def _packed_kind(path: Path, head: bytes) -> str:
    """How the content of a file is packed, so that it must be written out to be read; empty where it need not."""
    if head.startswith(STREAM) and path.suffix.lower() == ".arrow":
        return "arrow"
    if head.startswith(tuple(OTHER_KINDS)):
        return ""
    if kind := next((kind for start, kind in PACKED_KINDS.items() if head.startswith(start)), ""):
        return kind
    return "carriage returns" if b"\r" in head and b"\n" not in head and b"\0" not in head else ""


def _head(path: Path, source: str) -> tuple[bytes, int]:
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES), path.stat().st_size
    except OSError as error:
        raise wrong(f"{source} cannot be read ({error.strerror}); check its permissions.") from None


def _look_at(path: Path, source: str, head: bytes, size: int) -> DataFile:
    _refuse_other_kinds(source, head)
    start = len(BOM) if head.startswith(BOM) else 0
    body = head[start:].lstrip()
    if not body and len(head) == size:
        raise wrong(f"{source} is empty; give a file with at least one row.")
    suffix = path.suffix.lower()
    if suffix in TEXT_SUFFIXES:
        return DataFile(path, "text", start, size)
    if body[:16].lower().startswith(WEB_PAGES):
        raise wrong(f"{source} is a web page, perhaps an error in place of the data; get the file again.")
    if suffix in TABLE_SUFFIXES and body[:2] != b'{"':
        return _table(path, source, head[start:], start, size)
    if body[:1] == b"[" and body[1:].lstrip()[:1] in (b"{", b"]", b""):
        return DataFile(path, "list", start, size)
    if inner := INNER_LIST.match(body):
        place = head.index(body[:64], start) + inner.end() - 1
        return DataFile(path, "inner list", place, size, line=1 + head.count(b"\n", 0, place))
    if body[:1] == b"{" or suffix in JSON_SUFFIXES:
        return DataFile(path, "sequence" if _is_sequence(body) else "lines", start, size)
    raise wrong(f"{source} is neither JSON nor named as text; {READABLE}.")


def _is_sequence(body: bytes) -> bool:
    """Whether the first JSON object takes several lines, or another follows it on its line."""
    line = body.split(b"\n", 1)[0].rstrip()
    if line == b"{" and b"\n" in body:
        return True
    text = body.decode(errors="replace")
    try:
        tree, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(tree, dict) and ("\n" in text[:end] or text[end:].lstrip(" \t")[:1] == "{")


def _table(path: Path, source: str, head: bytes, start: int, size: int) -> DataFile:
    try:
        header = read_header(head, TABLE_SUFFIXES[path.suffix.lower()])
    except RowError as bad:
        raise wrong(f"{source} cannot be read as a table: {bad.reason}.") from None
    if header.num_bytes == HEAD_BYTES - start:
        raise wrong(f"{source} has a header of over {HEAD_BYTES:,} bytes on its line 1; it is no table.")
    return DataFile(
        path, "table", start + header.num_bytes, size,
        columns=header.columns, separator=header.separator, line=1 + header.num_lines,
    )  # fmt: skip


def sample_names() -> list[str]:
    """Names of the bundled datasets; those of prompts held out for scoring are not for training."""
    files = (path for path in _samples().glob("*") if path.suffix in SAMPLE_SUFFIXES)
    return sorted(path.stem for path in files if not path.stem.endswith("-heldout"))


def is_own(source: str) -> bool:
    """Whether a source names data that is bundled or from the Hub, and so is no file of the user's."""
    return source.strip().startswith((SAMPLE, HUB))


def wrong(message: str, path: str = "data.source") -> HoneError:
    return HoneError(message, path=path)


def _samples() -> Path:
    return places.RESOURCES / "samples"


def _sample(source: str) -> Path:
    name = source.removeprefix(SAMPLE)
    for suffix in SAMPLE_SUFFIXES:
        if re.fullmatch(r"[\w-]{1,64}", name) and (path := _samples() / f"{name}{suffix}").is_file():
            return path
    known = ", ".join(SAMPLE + name for name in sample_names()) or "none in this installation"
    raise wrong(f"{source[:80]} is not a bundled dataset; there is {known}.")


def _refuse_other_kinds(source: str, head: bytes) -> None:
    for start, kind in OTHER_KINDS.items():
        if head.startswith(start):
            raise wrong(f"{source} is {kind}; {READABLE}.")
    if head[TAR_MARK] == b"ustar":
        raise wrong(f"{source} is a tar archive; unpack it first, and give the folder.")
    if b"\0" in head:
        raise wrong(f"{source} is not text: it holds zero bytes; {READABLE}.")
