"""Keeps the tokens of a dataset on disk, so that a resumed run or another try starts at once.

An entry is a folder of two Arrow files with a manifest of their hashes: what is torn, old or changed is made anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import tokenizers
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from core import durable, places
from core.data.mapping import Meaning
from core.data.marks import MARKS, Marks
from core.data.row import Problem, Row
from core.sections import DataSection
from core.worker.examples import Encoder
from core.worker.template import ChatTemplate
from core.worker.tokens import Tokens, tokenising

LAYOUT = 3
"""Of the files, and of what rows are read as; an entry of another one is not found."""
MOST_BYTES = 8 * 2**30
"""Of all entries together; the ones not used for longest go first."""
SEQUENCES, ROWS = "sequences.arrow", "rows.arrow"
OUTCOMES, WORDS = ("refusals", "remarks"), ("reasons", "remark_names")


def cached_tokens(
    key: str, rows: Sequence[Row | Problem], encoder: Encoder, report: Callable[[int], None] = lambda done: None
) -> Tokens:
    """The tokens of these rows; `report` is told now and then how many are done. See `caching_tokens`."""
    work = caching_tokens(key, rows, encoder)
    while True:
        try:
            report(next(work))
        except StopIteration as done:
            return done.value


def caching_tokens(key: str, rows: Sequence[Row | Problem], encoder: Encoder) -> Generator[int, None, Tokens]:
    """The tokens of these rows: those kept under this key, else made now and kept. A full disk only costs the next
    run its start."""
    folder = entry_of(key)
    if (found := read(folder)) is not None and found.num_rows == len(rows):
        with contextlib.suppress(OSError):
            os.utime(folder)
        yield len(rows)
        return found
    made = yield from tokenising(rows, encoder)
    with contextlib.suppress(OSError, pa.ArrowException):
        write(folder, made)
        sweep(folder.parent)
    return made


def key_of(
    sha256: str,
    tokenizer: PreTrainedTokenizerBase,
    template: ChatTemplate,
    train_on: str,
    data: DataSection,
    seed: int,
) -> str:
    """The hash of all that the tokens hang on: the data with its edits (its `sha256`), what its columns mean,
    tokenizer, template, what is trained, and the policies that change what is read or looked for. The others, as
    the length limit and the split, are applied to tokens that are kept."""
    rust: Any = tokenizer.backend_tokenizer  # pyright: ignore[reportAttributeAccessIssue]
    own = hashlib.sha256(rust.to_str().encode()).hexdigest()
    parts = [
        LAYOUT, tokenizers.__version__, sha256, own, tokenizer.special_tokens_map,
        template.source, template.date if template.is_dated else "", train_on, data.roles,
        astuple(Meaning.of(data)), seed if data.more else 0,
        data.on_control == "cut", data.on_personal != "ignore",
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def entry_of(key: str) -> Path:
    """The folder of an entry."""
    return places.cache_folder() / "tokens" / key[:40]


def write(folder: Path, made: Tokens) -> None:
    """Keep tokens in a folder, which appears whole or not at all. Raises OSError."""

    def fill(staged: Path) -> None:
        sequences = pa.table({
            "row": _to_arrow(made.rows),
            "tokens": pa.LargeListArray.from_arrays(_to_arrow(made.starts), _to_arrow(made.tokens)),
            "spans": pa.LargeListArray.from_arrays(_to_arrow(made.span_starts * 2), _to_arrow(made.spans)),
        })  # fmt: skip
        words = {name: json.dumps(getattr(made, name)).encode() for name in WORDS}
        numbers = {name: _to_arrow(getattr(made.marks, name)) for name in MARKS}
        numbers |= {name: _to_arrow(getattr(made, name)) for name in OUTCOMES}
        rows = pa.table(numbers).replace_schema_metadata(words)
        for name, table in ((SEQUENCES, sequences), (ROWS, rows)):
            with pa.OSFile(str(staged / name), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
                writer.write_table(table)

    folder.parent.mkdir(parents=True, exist_ok=True)
    durable.write_folder(folder, fill)


def read(folder: Path) -> Tokens | None:
    """What is kept in a folder; None where there is nothing, or nothing whole."""
    if not durable.is_whole(folder):
        return None
    try:
        with pa.OSFile(str(folder / SEQUENCES)) as file:
            sequences = pa.ipc.open_file(file).read_all().combine_chunks()
        with pa.OSFile(str(folder / ROWS)) as file:
            rows = pa.ipc.open_file(file).read_all().combine_chunks()
        words: dict[str, Any] = {
            name: tuple(json.loads((rows.schema.metadata or {})[name.encode()])) for name in WORDS
        }
        tokens, starts = _lists(sequences, "tokens")
        spans, span_starts = _lists(sequences, "spans")
        numbers = {name: _column(rows, name).astype(np.int64) for name in (*MARKS, *OUTCOMES)}
        return Tokens(
            tokens=tokens.astype(np.int32, copy=False),
            starts=starts,
            spans=spans.astype(np.int32, copy=False).reshape(-1, 2),
            span_starts=span_starts // 2,
            rows=_column(sequences, "row").astype(np.int64),
            marks=Marks(**{name: numbers.pop(name) for name in MARKS}),
            **numbers,
            **words,
        )
    except (OSError, pa.ArrowException, KeyError, ValueError, IndexError):
        return None


def sweep(folder: Path, most_bytes: int = MOST_BYTES, now: float | None = None) -> None:
    """Delete what killed writers left, and the entries not used for longest until the rest is small enough."""
    now = time.time() if now is None else now
    entries = []
    for path in folder.iterdir():
        age = now - path.stat().st_mtime
        if path.name.startswith(durable.STAGING_PREFIX):
            if age > 24 * 3600:  # another run may be writing it
                shutil.rmtree(path, ignore_errors=True)
        elif path.is_dir():
            entries.append((age, sum(file.stat().st_size for file in path.iterdir()), path))
    left = sum(size for _, size, _ in entries)
    for _, size, path in sorted(entries, reverse=True)[:-1]:
        if left <= most_bytes:
            break
        shutil.rmtree(path, ignore_errors=True)
        left -= size


def _lists(table: pa.Table, name: str) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The values of a column of lists, and where each list begins in them."""
    column = table.column(name)
    if not column.num_chunks:
        return np.zeros(0, np.int32), np.zeros(1, np.int64)
    (chunk,) = column.chunks
    return _to_numpy(chunk.values), _to_numpy(chunk.offsets).astype(np.int64)


def _column(table: pa.Table, name: str) -> NDArray[Any]:
    """The numbers of a column that stands in one piece."""
    column = table.column(name)
    return _to_numpy(column.chunk(0)) if column.num_chunks else np.zeros(0, np.int64)


# pyarrow's own ways to and from numpy load pandas, which nothing else here needs: 46 MiB, and half a second.


def _to_arrow(numbers: NDArray[Any]) -> pa.Array:
    flat = np.ascontiguousarray(numbers).reshape(-1)
    return pa.Array.from_buffers(pa.from_numpy_dtype(flat.dtype), len(flat), [None, pa.py_buffer(flat)])


def _to_numpy(numbers: pa.Array) -> NDArray[Any]:
    dtype = np.dtype(numbers.type.to_pandas_dtype())
    _, content = numbers.buffers()
    if content is None:
        return np.zeros(0, dtype)
    return np.frombuffer(content, dtype)[numbers.offset : numbers.offset + len(numbers)]
