"""Datasets on the Hugging Face Hub: search, their parts, their first rows. Goes to the network when asked.

A dataset's files are those of the branch that the Hub itself writes as Parquet, where it has one; else its own.
"""

from __future__ import annotations

import contextlib
import fnmatch
import re
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.data.hub_parts import DEFAULT_CONFIG, DEFAULT_SPLIT, HubSource, choose, parse
from core.data.row import Format, Problem, Row, RowError
from core.data.source import open_data
from core.data.suffixes import DATA_SUFFIXES, SUFFIXES
from core.errors import HoneError
from core.models.hub import ASK_SECONDS, BLOB, HubFile, host, in_words

PARQUET_BRANCH = "refs/convert/parquet"
FILE_NAME = re.compile(r"(?:[\w=+-][\w .=+-]{0,119}/){0,6}[\w=+-][\w .=+-]{0,119}")
CONVERTED = re.compile(r"([\w.+-]+)/(partial-)?([\w.+-]+)/\d+\.parquet")
SPLITS = {
    "train": "train", "training": "train", "test": "test", "testing": "test", "eval": "test", "evaluation": "test",
    "dev": "validation", "val": "validation", "valid": "validation", "validation": "validation",
}  # fmt: skip
SPLIT_WORD = re.compile(rf"(?:^|[/_.\s-])({'|'.join(SPLITS)})(?=[/_.\s-]|$)", re.IGNORECASE)
HEAD_BYTES = 2**20
ROWS_TAG = "size_categories:"
DOWNLOADS_GO_ON = ", it goes on where it was"
"""What failures of a download say, and a look has nothing of."""


@dataclass(frozen=True)
class Dataset:
    """A dataset as a search finds it."""

    name: str
    downloads: int
    likes: int
    about: str
    is_gated: bool
    rows: str
    """How many rows it has, as the Hub puts it: 1K<n<10K."""


@dataclass(frozen=True)
class HubPart:
    """One split of one configuration, at one commit."""

    source: HubSource
    commit: str
    files: tuple[HubFile, ...]
    is_partial: bool = False
    """The Hub converted only the first gigabytes."""

    @property
    def num_bytes(self) -> int:
        return sum(file.num_bytes for file in self.files)


@dataclass(frozen=True)
class Preview:
    """The first rows of a part: their columns as they are, and what Hone understands of them."""

    trees: list[dict[str, Any]]
    """At most as many rows as asked for; those that cannot be read are not among them."""
    format: Format | None
    rows: list[Row | Problem]
    reason: str
    """Why nothing is understood, where the format is None: the columns fit none, and want a mapping."""
    num_bytes: int
    """What was fetched for it."""

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for tree in self.trees for name in tree))


def search(words: str, limit: int = 20) -> list[Dataset]:
    """Datasets whose name or topic has these words, the most downloaded first. Raises HoneError."""
    from huggingface_hub import constants
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

    if not words.strip():
        raise HoneError("There is nothing to search for; give a word or two.")
    wanted = {"search": words.strip(), "sort": "downloads", "direction": -1, "limit": limit}
    try:
        # Not HfApi.list_datasets, which tries a network that is not there for half a minute.
        answer = get_session().get(
            f"{constants.ENDPOINT}/api/datasets", params=wanted, headers=build_hf_headers(), timeout=ASK_SECONDS
        )
        hf_raise_for_status(answer)
        found: list[dict[str, Any]] = answer.json()
        return [_found(found[number]) for number in range(len(found))]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _wrong(f"{host()} answers, and not as a Hugging Face Hub; check HF_ENDPOINT.") from None
    except Exception as error:
        raise _told(error, words) from None


def _found(info: dict[str, Any]) -> Dataset:
    tags = [str(tag) for tag in info.get("tags") or []]
    return Dataset(
        name=str(info["id"]),
        downloads=int(info.get("downloads") or 0),
        likes=int(info.get("likes") or 0),
        about=" ".join(str(info.get("description") or "").split())[:300],
        is_gated=bool(info.get("gated")),
        rows=next((tag.partition(":")[2] for tag in tags if tag.startswith(ROWS_TAG)), ""),
    )


def parts_of(name: str) -> list[HubPart]:
    """The configurations and splits of a dataset, with their files. Raises HoneError when the Hub has none."""
    name = parse(name).name
    own = _info(name, "")
    converted = _info(name, PARQUET_BRANCH, optional=True) if own else None
    parts = _converted(name, converted) if converted else []
    if not parts or any(part.is_partial for part in parts):
        parts = _own_parts(name, own) or parts
    if not parts:
        raise _wrong(f"{name} has no file that Hone reads on the Hub, such as .parquet, .jsonl or .csv.")
    return parts


def find_part(source: str) -> HubPart:
    """The part that a source names. Raises HoneError that lists the parts when there are several."""
    wanted = parse(source)
    parts = parts_of(wanted.name)
    fitting = [
        part for part in parts
        if wanted.config in ("", part.source.config) and wanted.split in ("", part.source.split)
    ]  # fmt: skip
    usual = choose([(part.source.config, part.source.split) for part in fitting]) if fitting else None
    if usual is None:
        names = [str(part.source) for part in fitting or parts]
        shown = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
        what = "has several parts" if fitting else f"has no part {wanted.config}@{wanted.split}".rstrip("@")
        raise _wrong(f"{wanted.name} {what}; choose one of {shown}.")
    return next(part for part in fitting if (part.source.config, part.source.split) == usual)


def preview(part: HubPart, count: int = 100, is_wanted: Callable[[], bool] = lambda: True) -> Preview:
    """The first rows of a part, read from the start of its first file; nothing is kept. Raises HoneError."""
    from core.data.remote import RemoteFile

    file = part.files[0]
    with tempfile.TemporaryDirectory(prefix="hone-preview-") as folder:
        try:
            remote = RemoteFile(file_url(part, file), file.num_bytes, is_wanted)
            place = _first_lines(remote, file.name, Path(folder), count)
        except HoneError:
            raise
        except Exception as error:
            raise _told(error, part.source.name) from None
        if place is None:
            raise _wrong(f"{file.name} of {part.source.name} is packed and has no preview; download it to look.")
        return _understood(str(part.source), place, count, remote.num_fetched)


def _understood(name: str, place: Path, count: int, num_bytes: int) -> Preview:
    """The rows of a local file with the beginning of a remote one."""
    from core.data.part import read_tree, reading
    from core.data.rows import first_rows
    from core.data.spans import first_spans

    trees, (data,) = [], open_data(str(place))
    with reading(name, data) as file:
        for span in first_spans(file, data, count):
            with contextlib.suppress(RowError):
                trees.append(read_tree(file, span, data))
    try:
        found, rows = first_rows(str(place), count)
        return Preview(trees, found, rows, "", num_bytes)
    except HoneError as error:
        return Preview(trees, None, [], error.message.replace(str(place), name), num_bytes)


def file_url(part: HubPart, file: HubFile) -> str:
    """Where a file of a part is fetched from."""
    from huggingface_hub import hf_hub_url

    return hf_hub_url(part.source.name, file.name, repo_type="dataset", revision=part.commit)


def _first_lines(remote: Any, name: str, folder: Path, count: int) -> Path | None:
    """A local file with the first rows of a remote one; None for one that cannot be read from its start."""
    suffix = Path(name.removesuffix(".gz")).suffix.lower()
    if name.endswith(".parquet"):
        import json

        import pyarrow.parquet as parquet

        place = folder / "rows.jsonl"
        table = parquet.ParquetFile(remote, buffer_size=2**16, pre_buffer=False)
        batch = next(table.iter_batches(count), None)
        rows = batch.to_pylist() if batch is not None else []
        place.write_text("".join(json.dumps(row, default=str) + "\n" for row in rows))
        return place
    if suffix not in SUFFIXES or name.endswith(".zip"):
        return None
    head = remote.read(HEAD_BYTES)
    if name.endswith(".gz"):
        head = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head, 8 * HEAD_BYTES)
    is_whole = remote.tell() >= remote.num_bytes
    place = folder / f"rows{suffix}"
    place.write_bytes(head if is_whole else head[: head.rfind(b"\n") + 1] or head)
    return place


def _info(name: str, revision: str, optional: bool = False) -> Any:
    """What the Hub says of a dataset at a revision; None for an optional one that it does not have."""
    from huggingface_hub import HfApi, errors

    try:
        return HfApi().dataset_info(name, revision=revision or None, files_metadata=True, timeout=ASK_SECONDS)
    except Exception as error:
        if optional and isinstance(error, errors.HfHubHTTPError):
            return None
        raise _told(error, name) from None


def _files(info: Any) -> dict[str, HubFile]:
    """The files of an answer whose names and hashes can safely become names of files here."""
    found = {}
    for sibling in info.siblings or []:
        blob = sibling.lfs.sha256 if sibling.lfs else sibling.blob_id
        name = sibling.rfilename
        if blob and sibling.size and BLOB.fullmatch(blob) and FILE_NAME.fullmatch(name) and ".." not in name:
            found[name] = HubFile(name, sibling.size, blob, sibling.lfs is not None)
    return found


def _converted(name: str, info: Any) -> list[HubPart]:
    grouped: dict[tuple[str, str, bool], list[HubFile]] = {}
    for file_name, file in sorted(_files(info).items()):
        if found := CONVERTED.fullmatch(file_name):
            grouped.setdefault((found[1], found[3], bool(found[2])), []).append(file)
    return [
        HubPart(HubSource(name, config, split), _commit(info), tuple(files), is_partial)
        for (config, split, is_partial), files in grouped.items()
    ]


def _own_parts(name: str, info: Any) -> list[HubPart]:
    """The parts that the card declares, or else that the names of the files tell."""
    files = {
        file_name: file for file_name, file in sorted(_files(info).items())
        if Path(file_name.removesuffix(".gz")).suffix.lower() in (*DATA_SUFFIXES, ".zip")
        and not Path(file_name).name.upper().startswith(("README", "LICENSE"))
    }  # fmt: skip
    grouped: dict[tuple[str, str], list[HubFile]] = {}
    for config, split, patterns in _declared(info):
        chosen = [file for file_name, file in files.items() if _matches(file_name, patterns)]
        if chosen:
            grouped.setdefault((config, split), []).extend(chosen)
    if not grouped:
        for file_name, file in files.items():
            word = SPLIT_WORD.search(file_name)
            split = SPLITS[word[1].lower()] if word else DEFAULT_SPLIT
            grouped.setdefault((DEFAULT_CONFIG, split), []).append(file)
    return [
        HubPart(HubSource(name, config, split), _commit(info), tuple(chosen))
        for (config, split), chosen in grouped.items()
        if all(re.fullmatch(r"[\w.+-]{1,120}", part) for part in (config, split))
    ]


def _declared(info: Any) -> list[tuple[str, str, list[str]]]:
    """Configuration, split and file patterns that a dataset's card declares; a malformed card declares nothing."""
    card = info.card_data.to_dict() if info.card_data else {}
    found = []
    try:
        for config in card.get("configs") or []:
            name, data_files = str(config.get("config_name", DEFAULT_CONFIG)), config.get("data_files") or []
            if isinstance(data_files, str):
                data_files = [{"split": DEFAULT_SPLIT, "path": data_files}]
            for entry in data_files:
                entry = {"path": entry} if isinstance(entry, str) else entry
                paths = entry["path"] if isinstance(entry["path"], list) else [entry["path"]]
                found.append((name, str(entry.get("split", DEFAULT_SPLIT)), [str(path) for path in paths]))
    except (AttributeError, KeyError, TypeError):
        return []
    return found


def _matches(name: str, patterns: list[str]) -> bool:
    return any(
        fnmatch.fnmatchcase(name, shape) or name.startswith(pattern.rstrip("/") + "/")
        for pattern in patterns
        for shape in (pattern, pattern.replace("**/", ""))
    )


def _commit(info: Any) -> str:
    if not re.fullmatch(r"[0-9a-f]{40}", info.sha or ""):
        raise _wrong(f"{host()} answers, and not as a Hugging Face Hub; check HF_ENDPOINT.")
    return info.sha


def _told(error: Exception, name: str) -> HoneError:
    """A failure of the network or the Hub as one sentence about a dataset."""
    told = in_words(error, name, what="dataset").message
    return _wrong(told.replace(DOWNLOADS_GO_ON, ""))


def _wrong(message: str) -> HoneError:
    return HoneError(message, path="data.source")
