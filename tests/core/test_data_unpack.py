"""What is packed is unpacked within bounds, one at a time, watched, and ended without a trace; what is not read is
named."""

from __future__ import annotations

import gzip
import threading
import time
import zipfile
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from core import places
from core.data import table_file, unpack
from core.data.passed import Passed, in_words, sort_out
from core.data.rows import open_rows
from core.data.source import look_into, open_data
from core.errors import HoneError

LINE = '{"prompt": "What is a hat?", "completion": "A warm thing."}\n'


class EndedError(Exception):
    """What a person who has waited enough raises."""


def zipped(path: Path, *members: tuple[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def shelf() -> list[str]:
    """What stands in the folder of what was unpacked."""
    folder = places.cache_folder() / "data"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def sentence(path: Path) -> str:
    with pytest.raises(HoneError) as caught:
        open_rows(str(path))
    return caught.value.message


def test_archives_within_an_archive_are_named_beside_the_files_that_are_read(tmp_path):
    inner = zipped(tmp_path / "inner.zip", ("b.jsonl", LINE)).read_bytes()
    outer = zipped(
        tmp_path / "a.zip",
        ("a.jsonl", LINE), ("inner.zip", inner), ("c.jsonl.gz", gzip.compress(LINE.encode())), ("d.tar.gz", b"."),
        ("empty.jsonl", ""), ("README.md", "# About"), ("e.png", b"\x89PNG"), (".DS_Store", "x"),
        ("__MACOSX/._a.jsonl", "x"),
    )  # fmt: skip
    files, passed = look_into(str(outer))
    assert [file.name for file in files] == [""] and len(open_rows(str(outer))) == 1
    assert {one.name: one.why for one in passed} == {
        "inner.zip": "archive", "c.jsonl.gz": "archive", "d.tar.gz": "archive", "empty.jsonl": "empty",
        "README.md": "about the data", "e.png": "other",
    }  # fmt: skip
    assert look_into(str(outer))[1] == passed  # found again where it was unpacked before
    assert in_words(passed) == (
        "Passed over: c.jsonl.gz, d.tar.gz, inner.zip (archives within it, which stay closed: unpack them first); "
        "empty.jsonl (empty); README.md (about the data); e.png (of no kind that Hone reads)."
    )


def test_a_folder_names_what_it_and_its_archives_leave_out(tmp_path):
    folder = tmp_path / "set"
    (folder / "data").mkdir(parents=True)
    (folder / "README.md").write_text("# A card")
    (folder / "picture.png").write_bytes(b"\x89PNG")
    (folder / "data" / "a.jsonl").write_text(LINE)
    zipped(folder / "data" / "b.zip", ("b.jsonl", LINE), ("inner.zip", b"PK"))
    files, passed = look_into(str(folder))
    assert [file.name for file in files] == ["data/a.jsonl", "data/b.zip"]
    assert [one.name for one in passed] == ["README.md", "picture.png", "data/b.zip/inner.zip"]
    assert len(open_rows(str(folder))) == 2


def test_a_readme_among_texts_is_a_text():
    texts = [("README.md", 9), ("one.txt", 9)]
    assert sort_out(texts) == (["README.md", "one.txt"], [])
    assert sort_out([*texts, ("a.jsonl", 9)]) == (["a.jsonl", "one.txt"], [Passed("README.md", "about the data")])


def test_a_long_list_is_cut_short():
    passed = [Passed(f"{number}.png", "other") for number in range(5)]
    assert in_words(passed) == "Passed over: 0.png, 1.png, 2.png and 2 more (of no kind that Hone reads)."
    assert in_words([]) == ""


def packed_in(folder: Path, kind: str) -> Path:
    """Several megabytes in a file of this kind."""
    lines, path = LINE * 80_000, folder / f"a.{kind}"
    if kind == "zip":
        return zipped(path, ("a.jsonl", lines[: len(LINE) * 40_000]), ("b.jsonl", lines[len(LINE) * 40_000 :]))
    if kind == "jsonl.gz":
        path.write_bytes(gzip.compress(lines.encode(), 1))
    elif kind == "parquet":
        parquet.write_table(
            pa.table({"prompt": [str(n) for n in range(80_000)], "completion": ["b"] * 80_000}), path
        )
    else:
        path = folder / "utf16.jsonl"
        path.write_bytes(lines.encode("utf-16"))
    return path


@pytest.mark.parametrize("kind", ["zip", "jsonl.gz", "parquet", "utf-16"])
def test_unpacking_tells_how_far_it_is_and_ends_without_a_trace(tmp_path, kind):
    path, told = packed_in(tmp_path, kind), list[tuple[str, int, int]]()

    def enough(what: str, done: int, total: int) -> None:
        told.append((what, done, total))
        raise EndedError

    with pytest.raises(EndedError):
        open_data(str(path), enough)
    assert len(told) == 1 and shelf() == []
    told.clear()
    files = open_data(str(path), lambda *said: told.append(said))
    assert {what for what, _, _ in told} == {"Unpacking"} and sum(file.num_bytes for file in files) > 2**20
    shares = [done / total for _, done, total in told]
    assert shares == sorted(shares) and shares[0] > 0 and shares[-1] <= 1


def test_two_who_open_the_same_archive_unpack_it_once(tmp_path, monkeypatch):
    path, began = packed_in(tmp_path, "jsonl.gz"), Counter[str]()
    gzipped = unpack.UNPACKERS["gzip"]

    def slow(*given):
        began["gzip"] += 1
        time.sleep(0.5)
        return gzipped(*given)

    monkeypatch.setitem(unpack.UNPACKERS, "gzip", slow)
    waited: list[tuple[str, int, int]] = []
    threads = [
        threading.Thread(target=open_data, args=(str(path), lambda *said: waited.append(said))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert began["gzip"] == 1 and ("Unpacking", 0, 0) in waited and len(shelf()) == 1
    assert not list((places.cache_folder() / "locks").iterdir()), "no lock is left behind"


def test_an_archive_larger_than_the_disk_is_told_before_anything_is_written(tmp_path, monkeypatch):
    path = packed_in(tmp_path, "zip")
    free = unpack.FREE_BYTES + 2**20
    monkeypatch.setattr(unpack.shutil, "disk_usage", lambda _: type("Disk", (), {"free": free, "total": 2**40}))
    assert "it takes 4.58 MiB, and 257 MiB are free in" in sentence(path)
    assert shelf() == []


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_a_table_that_says_one_long_text_in_every_row_is_stopped(tmp_path, monkeypatch, kind):
    """A few kilobytes stand for gigabytes: of the disk, and of memory where a batch is taken whole."""
    long = pa.DictionaryArray.from_arrays(pa.array([0] * 4000, pa.int32()), pa.array(["h" * 2**20]))
    table, path = pa.table({"text": long}), tmp_path / f"a.{kind}"
    if kind == "parquet":
        parquet.write_table(table, path, compression="zstd")
    else:
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
    assert path.stat().st_size < 3 * 2**20
    monkeypatch.setattr(table_file, "write_apart", table_file.write_rows)
    monkeypatch.setattr(table_file, "SMALL_BYTES", 2**20)
    monkeypatch.setattr(table_file, "MOST_RATIO", 8)
    monkeypatch.setattr(table_file, "ENOUGH_BYTES", 2**20)
    assert "grows to over 8 times its size when unpacked" in sentence(path)
    monkeypatch.setattr(table_file, "MOST_RATIO", 10**6)
    free = 2**30
    monkeypatch.setattr(
        table_file.shutil, "disk_usage", lambda _: type("Disk", (), {"free": free, "total": 2**40})
    )
    began = time.monotonic()
    assert "it takes about 3.91 GiB, and" in sentence(path)
    assert shelf() == [] and time.monotonic() - began < 20


def test_a_table_with_long_and_short_rows_is_written_whole(tmp_path):
    texts = ["a" * 2**20 if number % 50 == 0 else str(number) for number in range(300)]
    parquet.write_table(pa.table({"text": texts}), tmp_path / "a.parquet", row_group_size=120)
    assert [row.text for row in open_rows(str(tmp_path / "a.parquet"))] == texts
