"""Every reader against files that someone, or something, has damaged: rows and problems, or one sentence, always.

Two hundred inputs for each reader here. The long battery takes ten thousand for each, some twenty minutes:

    python packaging/launch.py test tests/core/test_data_fuzz.py -m battery
"""

from __future__ import annotations

import gzip
import io
import itertools
import json
import shutil
import time
import warnings
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from core import places
from core.data import table_file
from core.data.check import check
from core.data.fingerprint import fingerprint
from core.data.rows import Problem, Row, first_rows, open_rows
from core.errors import HoneError
from core.sections import DataSection

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import pyarrow as pa
    import pyarrow.parquet as parquet

MOST_SECONDS = 2.0
TREES: list[dict[str, object]] = [
    {"prompt": "What is a hat?", "completion": "A warm “thing”.", "n": 1.5},
    {"prompt": "🦊 שועל\n", "completion": 'né \\ " } ]', "n": None},
    {"prompt": "c", "completion": "d", "more": [{"a": [1, {}]}]},
]
CHATS = [{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}] * 3
LINES = "\n".join(json.dumps(tree, ensure_ascii=False) for tree in TREES).encode()
TABLE = b'prompt,completion\n"two\nlines",b\nc,"say ""hi"""\nd,e\n'
SOUP = {
    "json": [b"{", b"}", b"[", b"]", b'"', b"\\", b",", b":", b"\n", b"\r", b" ", b'"prompt"', b'"completion"',
             b"null", b"1e9", b"NaN", b"\xef\xbb\xbf", b"\xff", b"\xc3\xa9", b"\\ud83d", b"\0", LINES],
    "table": [b'"', b",", b"\n", b"\r\n", b"\r", b'""', b"a", b"\t", b";", b"\xff", b"prompt", b"sep=;", TABLE],
    "text": [b"\n", b"\n\n", b" ", b"a", b"\xc3\xa9", b"\xc3", b"\xf0\x9f\xa6\x8a", b"h" * 1600, b"\r", b"word "],
    "packed": [b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"\x1f\x8b\x08", b"PAR1", b"ARROW1",
               b"\xff\xff\xff\xff", b"\0" * 8, b"\xff" * 4, LINES],
}  # fmt: skip


def _zip() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jsonl", LINES)
        archive.writestr("b/c.csv", TABLE)
    return made.getvalue()


def _parquet(trees: list[dict[str, object]]) -> bytes:
    made = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(trees), made)
    return made.getvalue()


def _arrow(is_stream: bool) -> bytes:
    made, table = io.BytesIO(), pa.Table.from_pylist([{"text": "one"}, {"text": None}])
    with (pa.ipc.new_stream if is_stream else pa.ipc.new_file)(made, table.schema) as writer:
        writer.write_table(table)
    return made.getvalue()


EDITS = b"".join(
    json.dumps(line).encode() + b"\n"
    for line in (
        {"hone": "edits", "version": 1},
        {"edit": "exclude", "row": "a" * 32, "size": 30, "line": 1},
        {"edit": "set", "row": "b" * 32, "nth": 1, "size": 40, "field": "completion", "value": "x"},
        {"edit": "add", "value": TREES[2]},
    )
)
READERS: dict[str, tuple[str, list[bytes], str]] = {
    "lines": ("a.jsonl", [LINES, "\n".join(map(json.dumps, CHATS)).encode()], "json"),
    "list": ("a.json", [json.dumps(TREES, indent=1).encode(), json.dumps(CHATS).encode()], "json"),
    "inner list": ("a.json", [json.dumps({"data": TREES, "n": [1]}, indent=1).encode()], "json"),
    "sequence": ("a.json", ["\n".join(json.dumps(tree, indent=1) for tree in TREES).encode(), LINES[:-5]], "json"),
    "text": ("a.md", ["# Hat\n\nOnce é 🦊.\n\n".encode() * 30, b"word " * 900], "text"),
    "csv": ("a.csv", [TABLE, TABLE.replace(b",", b";"), b"sep=;\n" + TABLE.replace(b",", b";")], "table"),
    "tsv": ("a.tsv", [TABLE.replace(b",", b"\t")], "table"),
    "utf-16": ("a.jsonl", [LINES.decode().encode("utf-16"), TABLE.decode().encode("utf-16")], "json"),
    "gzip": ("a.jsonl.gz", [gzip.compress(LINES), gzip.compress(LINES * 40)], "packed"),
    "zip": ("a.zip", [_zip()], "packed"),
    "parquet": ("a.parquet", [_parquet(TREES), _parquet(CHATS)], "packed"),  # type: ignore[arg-type]
    "arrow": ("a.arrow", [_arrow(True), _arrow(False)], "packed"),
    "overlay": ("a.jsonl.hone.jsonl", [EDITS], "json"),
}


@st.composite
def damaged(draw: st.DrawFn, reader: str) -> bytes:
    """A good file that was cut, spliced and overwritten in a few places; or a soup of the signs it is made of."""
    _, good, soup = READERS[reader]
    pieces = st.sampled_from(SOUP[soup]) | st.binary(max_size=6)
    if draw(st.integers(0, 3)) == 0:
        return b"".join(draw(st.lists(pieces, max_size=30)))
    content = draw(st.sampled_from(good))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(content)))
        end = draw(st.integers(start, min(len(content), start + draw(st.sampled_from([0, 1, 4, 40, 4000])))))
        kind = draw(st.sampled_from(["replace", "cut", "double", "tail"]))
        if kind == "replace":
            content = content[:start] + draw(pieces) + content[end:]
        elif kind == "cut":
            content = content[:start] + content[end:]
        elif kind == "double":
            content = content[:end] + content[start:]
        else:
            content = content[:start]
    return content


_numbers = itertools.count()


def read(folder: Path, reader: str, content: bytes) -> None:
    """Read a file in every way there is."""
    name, _, _ = READERS[reader]
    place = folder / str(next(_numbers))  # a name of its own: what is unpacked is kept by name, size and time
    place.mkdir()
    (place / name).write_bytes(content)
    source = place / name
    if reader == "overlay":
        source = place / "a.jsonl"
        source.write_bytes(LINES)
    began = time.process_time()
    try:
        rows = open_rows(str(source))
        found = list(rows)
        assert len(found) == len(rows) > 0
        assert all(isinstance(row, Row | Problem) and row.line >= 1 for row in found)
        assert all(row.reason and "\n" not in row.reason for row in found if isinstance(row, Problem))
        assert [rows[number] for number in range(-min(3, len(rows)), 0)] == found[-3:]
        first = first_rows(str(source))[1]
        assert first == found[: len(first)]
        report = check(DataSection(source=str(source)))
        assert report.num_used + report.num_skipped == len(rows)
        assert fingerprint(str(source)) == report.sha256
    except HoneError as error:
        assert error.path == "data.source"
        assert "\n" not in error.message
        assert error.message.endswith(".")
    assert time.process_time() - began < MOST_SECONDS
    shutil.rmtree(place)
    shutil.rmtree(places.cache_folder() / "data", ignore_errors=True)


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables are read here and not apart: it is ten times as quick, and a crash is seen."""
    monkeypatch.setattr(table_file, "write_apart", table_file.write_rows)


CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


@pytest.mark.parametrize("reader", READERS)
@settings(max_examples=200, deadline=None, suppress_health_check=CHECKS)
@given(data=st.data())
def test_any_damaged_file_gives_rows_or_one_sentence(tmp_path: Path, reader: str, data: st.DataObject) -> None:
    read(tmp_path, reader, data.draw(damaged(reader)))


@pytest.mark.battery
@pytest.mark.parametrize("reader", READERS)
@settings(max_examples=10_000, deadline=None, suppress_health_check=CHECKS, database=None,
          phases=[Phase.generate, Phase.shrink])  # fmt: skip
@given(data=st.data())
def test_ten_thousand_damaged_files_of_each_kind(tmp_path: Path, reader: str, data: st.DataObject) -> None:
    read(tmp_path, reader, data.draw(damaged(reader)))
