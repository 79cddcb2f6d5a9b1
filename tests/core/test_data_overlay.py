"""Edits beside a dataset: the source is never written, rows are known by content, and the fingerprint follows."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from pathlib import Path

import pytest

from core import places
from core.data.check import check
from core.data.edits import add_row, as_value, exclude, set_field, undo
from core.data.fingerprint import fingerprint
from core.data.mapping import Meaning
from core.data.overlay import overlay_file, read_overlay
from core.data.rows import Problem, Row, first_rows, open_rows
from core.data.source import open_data
from core.errors import HoneError
from core.sections import DataSection


def pair(number: int, answer: str = "") -> str:
    return json.dumps({"prompt": f"question {number}", "completion": answer or f"answer {number}"})


def write(path: Path, *lines: str) -> str:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def answers(source: str) -> list[str]:
    """What each row answers; its kind of problem in < >."""
    return [row.messages[-1].content if isinstance(row, Row) else f"<{row.kind}>" for row in open_rows(source)]


def test_edits_change_what_is_read_and_never_the_source(tmp_path: Path) -> None:
    source = write(tmp_path / "a.jsonl", *map(pair, range(4)))
    before = Path(source).read_bytes()
    exclude(source, [1])
    set_field(source, 2, "completion", "mended “🦊”")
    add_row(source, {"prompt": "new", "completion": "one"})
    assert answers(source) == ["answer 0", "<left out>", "mended “🦊”", "answer 3", "one"]
    assert Path(source).read_bytes() == before
    assert overlay_file(source) == tmp_path / "a.jsonl.hone.jsonl"
    rows = open_rows(source)
    assert rows.num_changed == 3
    assert [rows.file_of(number) for number in (0, 4)] == ["", "a.jsonl.hone.jsonl"]
    assert rows[4].line == 4
    assert check(DataSection(source=source)).reasons == {"left out": 1}
    assert first_rows(source)[1] == rows[:4]


def test_undo_takes_edits_back_one_by_one_and_leaves_nothing(tmp_path: Path) -> None:
    source = write(tmp_path / "a.jsonl", *map(pair, range(3)))
    exclude(source, [0])
    set_field(source, 0, "completion", "x")
    assert answers(source)[0] == "<left out>"
    assert undo(source).edit == "set"
    assert undo(source).edit == "exclude"
    assert answers(source) == ["answer 0", "answer 1", "answer 2"]
    assert [path.name for path in tmp_path.glob("a.*")] == ["a.jsonl"]
    with pytest.raises(HoneError, match="nothing to undo"):
        undo(source)


def test_edits_stay_with_their_rows_when_others_are_added_or_moved(tmp_path: Path) -> None:
    source = write(tmp_path / "a.jsonl", *map(pair, range(4)))
    exclude(source, [1])
    set_field(source, 3, "completion", "mended")
    write(tmp_path / "a.jsonl", pair(9), pair(3), *map(pair, range(3)), pair(8))
    assert answers(source) == ["answer 9", "mended", "answer 0", "<left out>", "answer 2", "answer 8"]


def test_of_equal_rows_only_the_one_that_was_meant_is_left_out(tmp_path: Path) -> None:
    source = write(tmp_path / "a.jsonl", pair(1), pair(2), pair(1), pair(1))
    exclude(source, [2])
    assert answers(source) == ["answer 1", "answer 2", "<left out>", "answer 1"]
    exclude(source, [3])
    assert answers(source) == ["answer 1", "answer 2", "<left out>", "<left out>"]
    with pytest.raises(HoneError, match="left out already"):
        exclude(source, [2])


def test_the_fingerprint_follows_edits_and_comes_back_with_undo(tmp_path: Path) -> None:
    source = write(tmp_path / "a.jsonl", *map(pair, range(3)))
    plain = fingerprint(source)
    assert plain == hashlib.sha256(Path(source).read_bytes()).hexdigest()
    exclude(source, [0])
    edited = fingerprint(source)
    assert edited != plain
    set_field(source, 1, "completion", "x")
    assert fingerprint(source) not in (plain, edited)
    undo(source)
    assert fingerprint(source) == edited == check(DataSection(source=source)).sha256
    undo(source)
    assert fingerprint(source) == plain


@pytest.mark.parametrize("kind", ["list", "sequence", "table", "text", "gzip", "folder", "parquet"])
def test_every_kind_of_source_can_be_edited(tmp_path: Path, kind: str) -> None:
    import gzip

    trees = [{"prompt": f"question {n}", "completion": f"answer {n}"} for n in range(3)]
    path, field = tmp_path / "a.json", "completion"
    if kind == "list":
        path.write_text(json.dumps(trees, indent=2))
    elif kind == "sequence":
        path.write_text("\n".join(json.dumps(tree, indent=2) for tree in trees))
    elif kind == "table":
        path, text = tmp_path / "a.csv", io.StringIO()
        csv.writer(text).writerows([("prompt", "completion"), *(tree.values() for tree in trees)])
        path.write_text(text.getvalue())
    elif kind == "text":
        path, field = tmp_path / "a.txt", "text"
        path.write_text("\n\n".join("answer " * 200 + str(n) for n in range(3)))
    elif kind == "gzip":
        path = tmp_path / "a.jsonl.gz"
        path.write_bytes(gzip.compress("\n".join(map(json.dumps, trees)).encode()))
    elif kind == "folder":
        path = tmp_path / "rows"
        path.mkdir()
        for number, tree in enumerate(trees):
            (path / f"{number}.jsonl").write_text(json.dumps(tree))
    else:
        import pyarrow as pa
        import pyarrow.parquet as parquet

        path = tmp_path / "a.parquet"
        parquet.write_table(pa.Table.from_pylist(trees), path)
    source = str(path)
    whole = list(open_rows(source))
    exclude(source, [2])
    set_field(source, 1, field, "mended")
    add_row(source, {"text": "added"} if kind == "text" else {"prompt": "new", "completion": "added"})
    first, second, third, added = open_rows(source)
    assert first == whole[0]
    assert isinstance(third, Problem)
    assert third.kind == "left out"
    for row, said in ((second, "mended"), (added, "added")):
        assert (row.text or row.messages[-1].content) == said
    assert all(data.container != "edits" for data in open_data(source))


def test_added_rows_can_be_edited_too(tmp_path: Path) -> None:
    source = write(tmp_path / "a.jsonl", pair(0))
    add_row(source, {"prompt": "new", "completion": "one"})
    set_field(source, 1, "completion", "two")
    assert answers(source) == ["answer 0", "two"]
    exclude(source, [1])
    assert answers(source) == ["answer 0", "<left out>"]


def test_places_within_a_row_are_set(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    source = write(tmp_path / "a.jsonl", json.dumps({"messages": turns, "n": 1}))
    set_field(source, 0, "messages.1.content", "c")
    assert answers(source) == ["c"]
    assert as_value(source, 0, "messages.1.content", "7") == "7"
    assert as_value(source, 0, "n", "7") == 7
    assert as_value(source, 0, "messages", '[{"role": "user"}]') == [{"role": "user"}]
    for place in ("messages.2.content", "messages.x", "n.a"):
        with pytest.raises(HoneError, match="no place"):
            set_field(source, 0, place, "d")
    with pytest.raises(HoneError, match="as JSON"):
        as_value(source, 0, "messages", "no list")


def test_rows_that_cannot_be_are_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "a.jsonl", pair(0), "{broken")
    for number in (-1, 2, 99):
        with pytest.raises(HoneError, match="none of them"):
            exclude(source, [number])
    with pytest.raises(HoneError, match="has no completion"):
        add_row(source, {"prompt": "a"})
    with pytest.raises(HoneError, match="invalid JSON"):
        set_field(source, 1, "completion", "x")
    assert not overlay_file(source).exists()
    exclude(source, [1])
    assert answers(source) == ["answer 0", "<left out>"]


def test_bundled_data_and_folders_that_cannot_be_written_are_edited_from_the_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exclude("sample:poems", [0])
    assert overlay_file("sample:poems").parent == places.home() / "edits"
    assert isinstance(open_rows("sample:poems")[0], Problem)
    source = write(tmp_path / "a.jsonl", pair(0), pair(1))
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda path, mode: False)
        exclude(source, [0])
        assert overlay_file(source).parent == places.home() / "edits"
        assert answers(source) == ["<left out>", "answer 1"]


@pytest.mark.parametrize(
    "content", ["", "{}", '{"hone": "edits", "version": 1}\n{"edit": "eat"}', "\0\xff", "[" * 9999]
)
def test_a_damaged_file_of_edits_is_named(tmp_path: Path, content: str) -> None:
    source = write(tmp_path / "a.jsonl", pair(0))
    overlay_file(source).write_text(content, encoding="latin-1")
    with pytest.raises(HoneError) as caught:
        open_rows(source)
    assert "a.jsonl.hone.jsonl" in caught.value.message
    assert caught.value.path == "data.source"


def test_a_folder_does_not_take_edits_for_data(tmp_path: Path) -> None:
    source = write(tmp_path / "a.jsonl", pair(0), pair(1))
    exclude(source, [0])
    assert len(open_rows(str(tmp_path))) == 2
    assert read_overlay(str(tmp_path)).edits == ()


def test_columns_of_any_name_are_edited_through_their_mapping(tmp_path: Path) -> None:
    source = write(tmp_path / "a.jsonl", json.dumps({"ask": "why", "reply": "so"}))
    meaning = Meaning((("completion", "reply"), ("prompt", "ask")))
    set_field(source, 0, "reply", "thus", open_rows(source, meaning=meaning))
    add_row(source, {"ask": "how", "reply": "well"}, open_rows(source, meaning=meaning))
    with pytest.raises(HoneError):
        add_row(source, {"ask": "how"}, open_rows(source, meaning=meaning))
    rows = open_rows(source, meaning=meaning)
    assert [row.messages[-1].content for row in rows if isinstance(row, Row)] == ["thus", "well"]


def test_rows_of_a_mix_are_edited_in_their_own_source(tmp_path: Path) -> None:
    a, b = (write(tmp_path / name, pair(1), pair(2), pair(1)) for name in ("a.jsonl", "b.jsonl"))
    rows = open_rows(a, [f"2*{b}", b])
    number = next(n for n in range(3, 9) if rows[n].line == 3)
    assert rows.source_of(number) == b
    exclude(b, [number], rows)
    assert answers(a) == ["answer 1", "answer 2", "answer 1"]
    assert answers(b) == ["answer 1", "answer 2", "<left out>"]
