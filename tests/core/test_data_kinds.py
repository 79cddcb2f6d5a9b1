"""Tables, archives, columns on disk and folders: each gives its rows with their lines, or one sentence."""

from __future__ import annotations

import csv
import gzip
import io
import json
import struct
import time
import warnings
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.data import table_file, tables, unpack
from core.data.check import check
from core.data.rows import Problem, Row, first_rows, open_rows
from core.errors import HoneError
from core.sections import DataSection

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import pyarrow as pa
    import pyarrow.parquet as parquet

PAIRS = [("What is a hat?", "A warm thing."), ("Two\nlines, “quoted”", 'He said "no".'), ("🦊 שועל", "né")]
LINES = "\n".join(json.dumps({"prompt": prompt, "completion": answer}) for prompt, answer in PAIRS)


def pairs(source: Path | str) -> list[tuple[str, str]]:
    rows = open_rows(str(source))
    assert rows.format == "prompt"
    assert [row for row in rows if isinstance(row, Problem)] == []
    return [(row.messages[0].content, row.messages[1].content) for row in rows if isinstance(row, Row)]


def sentence(source: Path | str) -> str:
    with pytest.raises(HoneError) as caught:
        open_rows(str(source))
    assert caught.value.path == "data.source"
    assert "\n" not in caught.value.message
    assert caught.value.message.endswith(".")
    return caught.value.message


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(("name", "separator"), [("a.csv", ","), ("a.csv", ";"), ("a.csv", "\t"), ("a.tsv", "\t")])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_tables_are_read_as_they_were_written(tmp_path, name, separator, end, bom):
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator=end)
    writer.writerows([("Prompt ", "Completion"), *PAIRS])
    file = written(tmp_path / name, bom + text.getvalue().encode())
    assert pairs(file) == PAIRS
    assert [row.line for row in open_rows(str(file))] == [2, 3, 5]
    assert first_rows(str(file))[1] == list(open_rows(str(file)))


def test_ragged_rows_and_open_quotes_spoil_only_themselves(tmp_path):
    file = written(
        tmp_path / "a.csv",
        'prompt,completion\na,b\nonly one\n\na,b,c\nmore,"two\nlines"\na,5" disk\n"never closed,x\nlast,row\n',
    )
    found = list(open_rows(str(file)))
    told = {row.line: (row.kind, row.reason) for row in found if isinstance(row, Problem)}
    assert told == {
        3: ("ragged row", "has 1 fields where the header has 2"),
        5: ("ragged row", "has 3 fields where the header has 2"),
        9: ("ragged row", "opens a quote that is never closed"),
    }
    assert [row.line for row in found if isinstance(row, Row)] == [2, 6, 8, 10]
    assert [row.messages[1].content for row in found[3:5]] == ["two\nlines", '5" disk']
    assert check(DataSection(source=str(file))).reasons == {"ragged row": 3}


def test_a_quote_that_nobody_closes_does_not_swallow_the_table(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "MOST_QUOTED_BYTES", 200)
    rows = "".join(f"p{number},c{number}\n" for number in range(100))
    found = open_rows(str(written(tmp_path / "a.csv", f'prompt,completion\n"open,x\n{rows}')))
    assert len(found) == 101
    assert sum(isinstance(row, Problem) for row in found) == 1


def test_header_mistakes_are_told(tmp_path):
    assert "'prompt' twice" in sentence(written(tmp_path / "a.csv", "prompt,prompt\na,b\n"))
    assert "columns id, note" in sentence(written(tmp_path / "a.csv", "id,note\n1,b\n"))
    assert "holds no rows" in sentence(written(tmp_path / "a.csv", "prompt,completion\n"))


def test_messages_in_a_field_of_a_table(tmp_path):
    chat = json.dumps([{"role": "user", "content": "a, b"}, {"role": "assistant", "content": "c"}])
    text = io.StringIO()
    csv.writer(text).writerows([("id", "messages"), ("1", chat), ("2", "[oops")])
    good, bad = open_rows(str(written(tmp_path / "a.csv", text.getvalue())))
    assert [message.content for message in good.messages] == ["a, b", "c"]
    assert bad.kind == "invalid JSON"


@pytest.mark.parametrize("columns", [("question", "response"), ("problem", "solution"), ("Human", "Assistant")])
def test_common_names_of_columns_are_known(tmp_path, columns):
    text = io.StringIO()
    csv.writer(text).writerows([columns, *PAIRS])
    assert pairs(written(tmp_path / "a.csv", text.getvalue())) == PAIRS


def test_gzip_of_lines_and_of_a_table(tmp_path):
    assert pairs(written(tmp_path / "a.jsonl.gz", gzip.compress(LINES.encode()))) == PAIRS
    assert pairs(written(tmp_path / "a.csv.gz", gzip.compress(b"prompt,completion\na,b\n"))) == [("a", "b")]
    text = open_rows(str(written(tmp_path / "a.txt.gz", gzip.compress(b"One.\n\nTwo."))))
    assert text.format == "text"


def test_damaged_archives_are_told(tmp_path):
    packed = gzip.compress(LINES.encode() * 50)
    assert "damaged gzip" in sentence(written(tmp_path / "a.jsonl.gz", packed[: len(packed) // 2]))
    assert "damaged gzip" in sentence(written(tmp_path / "b.jsonl.gz", packed[:30] + b"\0\0" + packed[32:]))
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jsonl", LINES * 50)
    whole = (tmp_path / "a.zip").read_bytes()
    assert "damaged zip" in sentence(written(tmp_path / "b.zip", whole[: len(whole) // 2]))
    assert "damaged zip" in sentence(written(tmp_path / "c.zip", whole[:60] + b"\xff\xff\xff" + whole[63:]))


def test_an_archive_that_grows_without_end_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(unpack, "SMALL_BYTES", 2**20)
    began = time.monotonic()
    assert "200 times its size" in sentence(written(tmp_path / "a.jsonl.gz", gzip.compress(bytes(2**25))))
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jsonl", bytes(2**25))
    assert "200 times its size" in sentence(tmp_path / "a.zip")
    assert time.monotonic() - began < 20
    assert list((unpack.places.cache_folder() / "data").iterdir()) == []


@pytest.mark.parametrize(
    "name", ["../evil.jsonl", "/etc/evil.jsonl", "a/../../evil.jsonl", "C:\\evil.jsonl", "..\\e.jsonl"]
)
def test_an_archive_that_names_files_outside_itself_stays_closed(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("good.jsonl", LINES)
        archive.writestr(name, LINES)
    assert "outside itself" in sentence(tmp_path / "a.zip")
    assert not list(tmp_path.rglob("*evil*"))


def test_a_zip_of_several_files_names_them_in_problems(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("part/2.csv", "prompt,completion\nc,d\nragged\n")
        archive.writestr("part/1.jsonl", LINES)
        archive.writestr("__MACOSX/1.jsonl", "junk")
        archive.writestr("picture.png", b"\x89PNG")
    rows = open_rows(str(tmp_path / "a.zip"))
    assert [type(row).__name__ for row in rows] == ["Row"] * 4 + ["Problem"]
    assert rows[4].line == 3
    assert rows[4].reason.startswith("part/2.csv: has 1 fields")
    assert [rows[number] for number in (4, 0, 3)] == [list(rows)[number] for number in (4, 0, 3)]
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("picture.png", b"\x89PNG")
    assert "without a file that Hone reads" in sentence(tmp_path / "b.zip")


def test_a_zip_with_a_password_is_told(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.jsonl", LINES)
    content = bytearray((tmp_path / "a.zip").read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.index(mark) + place
        content[at : at + 2] = struct.pack("<H", 1)
    assert "password" in sentence(written(tmp_path / "a.zip", bytes(content)))


def test_parquet_and_arrow(tmp_path):
    table = pa.table({"prompt": [p for p, _ in PAIRS], "completion": [c for _, c in PAIRS], "id": [1, 2, 3]})
    parquet.write_table(table, tmp_path / "a.parquet")
    with pa.OSFile(str(tmp_path / "a.arrow"), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    with pa.OSFile(str(tmp_path / "b.arrow"), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)
    for name in ("a.parquet", "a.arrow", "b.arrow"):
        assert pairs(tmp_path / name) == PAIRS
        assert [row.line for row in open_rows(str(tmp_path / name))] == [1, 2, 3]
    cut = (tmp_path / "a.parquet").read_bytes()
    assert "damaged table" in sentence(written(tmp_path / "b.parquet", cut[: len(cut) // 2]))
    chats = pa.table(
        {"messages": [[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], None]}
    )
    parquet.write_table(chats, tmp_path / "c.parquet")
    good, bad = open_rows(str(tmp_path / "c.parquet"))
    assert good.messages[1].content == "b"
    assert bad.kind == "not text"


def test_a_folder_of_texts_and_a_folder_of_rows(tmp_path):
    (tmp_path / "texts" / "inner").mkdir(parents=True)
    written(tmp_path / "texts" / "b.md", "# Two")
    written(tmp_path / "texts" / "inner" / "a.txt", "One.")
    written(tmp_path / "texts" / ".hidden.txt", "no")
    written(tmp_path / "texts" / "empty.txt", "")
    rows = open_rows(str(tmp_path / "texts"))
    assert [row.text for row in rows] == ["# Two", "One."]
    before = check(DataSection(source=str(tmp_path / "texts"))).sha256
    written(tmp_path / "texts" / "c.txt", "Three.")
    assert check(DataSection(source=str(tmp_path / "texts"))).sha256 != before
    written(tmp_path / "texts" / "d.jsonl", LINES)
    assert "mixes plain text" in sentence(tmp_path / "texts")
    (tmp_path / "one").mkdir()
    written(tmp_path / "one" / "a.jsonl", LINES)
    assert pairs(tmp_path / "one") == PAIRS
    written(tmp_path / "one" / "b.jsonl.gz", gzip.compress(LINES.encode()))
    assert pairs(tmp_path / "one") == PAIRS * 2


def test_unpacking_is_done_once_and_again_when_the_file_changes(tmp_path, monkeypatch):
    file = written(tmp_path / "a.jsonl.gz", gzip.compress(LINES.encode()))
    assert pairs(file) == PAIRS
    with monkeypatch.context() as patch:
        patch.setattr(unpack, "UNPACKERS", {})
        assert pairs(file) == PAIRS
    written(file, gzip.compress(LINES.encode() + b"\n" + LINES.encode()))
    assert pairs(file) == PAIRS * 2


@pytest.fixture
def tables_read_here(monkeypatch):
    """In this process and not apart, which is ten times as quick."""
    monkeypatch.setattr(table_file, "write_apart", table_file.write_rows)


CHECKS = [HealthCheck.function_scoped_fixture]


@settings(max_examples=200, deadline=None, suppress_health_check=CHECKS)
@given(
    st.lists(st.sampled_from([b'"', b",", b"\n", b"\r", b"a", b"\xff", b"\0", b'""', b"bc\n", b"\t"]), max_size=40)
)
def test_any_table_gives_rows_or_one_error(tmp_path, parts):
    file = written(tmp_path / "a.csv", b"prompt,completion\nx,y\n" + b"".join(parts))
    try:
        rows = open_rows(str(file))
    except HoneError as error:
        assert error.path == "data.source"
        return
    assert all(isinstance(row, (Row, Problem)) for row in rows)
    assert all(row.line > 1 for row in rows)


FIELD = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), min_size=1).filter(str.strip)


@settings(max_examples=100, deadline=None, suppress_health_check=CHECKS)
@given(st.lists(st.tuples(FIELD, FIELD), min_size=1, max_size=8))
def test_any_fields_come_back_as_they_were(tmp_path, rows):
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([("prompt", "completion"), *rows])
    assert pairs(written(tmp_path / "a.csv", text.getvalue())) == rows


@settings(max_examples=150, deadline=None, suppress_health_check=CHECKS)
@given(st.sampled_from([b"PK\x03\x04", b"\x1f\x8b\x08", b"PAR1", b"ARROW1"]), st.binary(max_size=200))
def test_any_archive_gives_rows_or_one_error(tables_read_here, tmp_path, start, content):
    with pytest.raises(HoneError) as caught:
        open_rows(str(written(tmp_path / "a.jsonl", start + content)))
    assert "damaged" in caught.value.message


def test_a_reader_of_tables_that_dies_is_told_as_a_damaged_table(tmp_path, monkeypatch):
    parquet.write_table(pa.table({"text": ["a"]}), tmp_path / "a.parquet")
    with monkeypatch.context() as patch:
        patch.setattr("core.launch.worker_python", lambda: "/bin/false")
        assert "damaged table (reading it breaks off)" in sentence(tmp_path / "a.parquet")
    with monkeypatch.context() as patch:
        patch.setattr(unpack, "FREE_BYTES", 2**60)
        assert "does not fit on the disk" in sentence(tmp_path / "a.parquet")
    assert open_rows(str(tmp_path / "a.parquet"))[0].text == "a"
