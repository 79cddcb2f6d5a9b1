"""Hub datasets on this machine: hub:OWNER/NAME[:CONFIG][@SPLIT], and the parts of them that are downloaded.

A part is one split of one configuration. Its files lie in the Hugging Face cache; a record names them, written
when all have arrived, so that what is half downloaded is never taken for whole. Never goes to the network.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from core import durable
from core.errors import HoneError

HUB = "hub:"
NAME = r"[A-Za-z0-9][\w.-]{0,95}"
SOURCE = re.compile(rf"(?:{HUB})?({NAME}(?:/{NAME})?)(?::([\w.+-]{{1,120}}))?(?:@([\w.+-]{{1,120}}))?")
DEFAULT_CONFIG, DEFAULT_SPLIT = "default", "train"


@dataclass(frozen=True)
class HubSource:
    """A dataset's name, and which part of it; empty takes the usual one."""

    name: str
    config: str = ""
    split: str = ""

    def __str__(self) -> str:
        return f"{HUB}{self.name}" + f":{self.config}" * bool(self.config) + f"@{self.split}" * bool(self.split)


@dataclass(frozen=True)
class StoredPart:
    """A part that is wholly on this machine. `folder` holds its files and nothing else."""

    source: HubSource
    commit: str
    folder: Path
    files: tuple[str, ...]


def parse(source: str) -> HubSource:
    """A source taken apart, with or without its hub:. Raises HoneError(path="data.source")."""
    found = SOURCE.fullmatch(source.strip())
    if not found or ".." in source:
        raise _wrong(f"{source[:80]!r} is not hub:OWNER/NAME, with :CONFIG and @SPLIT where there are several.")
    return HubSource(found[1], found[2] or "", found[3] or "")


def find_part(source: str) -> StoredPart:
    """The downloaded part that a source names. Raises HoneError(path="data.source") where there is none."""
    wanted = parse(source)
    here = [
        part for part in stored_parts(wanted.name)
        if wanted.config in ("", part.source.config) and wanted.split in ("", part.source.split)
    ]  # fmt: skip
    if not here:
        others = [str(part.source) for part in stored_parts(wanted.name)]
        known = f"; of it there is {', '.join(others)}" if others else ""
        raise _wrong(
            f"{wanted} is not on this machine{known}; press Download or run "
            f"`hone download --data {str(wanted).removeprefix(HUB)}`."
        )
    usual = choose([(part.source.config, part.source.split) for part in here])
    if usual is None:
        names = ", ".join(str(part.source) for part in here)
        raise _wrong(f"{wanted} is on this machine in several parts: {names}; choose one.")
    return next(part for part in here if (part.source.config, part.source.split) == usual)


def choose(parts: list[tuple[str, str]]) -> tuple[str, str] | None:
    """The usual one of parts given as configuration and split: the only one, or the one of the usual names."""
    configs = list(dict.fromkeys(config for config, _ in parts))
    config = configs[0] if len(configs) == 1 else DEFAULT_CONFIG
    splits = [split for name, split in parts if name == config]
    split = splits[0] if len(splits) == 1 else DEFAULT_SPLIT
    return (config, split) if split in splits else None


def stored_parts(name: str = "") -> list[StoredPart]:
    """The parts of a dataset, or of all, that are wholly here, by name."""
    pattern = folder_of(name).name if name else "datasets--*"
    return [part for path in sorted(_cache().glob(f"{pattern}/hone/*.json")) if (part := _read(path))]


def record(part: StoredPart) -> None:
    """Say that a part is whole."""
    content = {
        "name": part.source.name, "config": part.source.config, "split": part.source.split,
        "commit": part.commit, "files": list(part.files),
    }  # fmt: skip
    target = folder_of(part.source.name) / "hone" / f"{part.source.config}@{part.source.split}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    durable.write_file(target, json.dumps(content, indent=1))


def folder_of(name: str) -> Path:
    """The folder of a dataset in the Hugging Face cache."""
    return _cache() / f"datasets--{name.replace('/', '--')}"


def files_folder(source: HubSource, commit: str) -> Path:
    """The folder of a part's files."""
    return folder_of(source.name) / "hone" / commit / f"{source.config}@{source.split}"


def _read(path: Path) -> StoredPart | None:
    try:
        tree = json.loads(path.read_bytes())
        source = parse(f"{tree['name']}:{tree['config']}@{tree['split']}")
        folder = files_folder(source, str(tree["commit"]))
        files = tuple(map(str, tree["files"]))
    except (OSError, ValueError, RecursionError, KeyError, TypeError, HoneError):
        return None
    is_whole = bool(files) and re.fullmatch(r"[0-9a-f]{40}", str(tree["commit"]))
    if not is_whole or not all((folder / name).is_file() for name in files):
        return None
    return StoredPart(source, str(tree["commit"]), folder, files)


def _cache() -> Path:
    from core.models.source import hub_cache

    return hub_cache()


def _wrong(message: str) -> HoneError:
    return HoneError(message, path="data.source")
