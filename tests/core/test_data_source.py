"""Finding a dataset, and the sentence for each file that is none."""

from __future__ import annotations

import hashlib
import os

import pytest

from core import places
from core.data.edits import exclude
from core.data.fingerprint import fingerprint, stamp
from core.data.rows import open_rows
from core.data.source import find_data, open_data, sample_names
from core.errors import HoneError


def sentence(source, opener=open_rows) -> str:
    """The message of the error that opening must raise, which is one sentence at the right field."""
    with pytest.raises(HoneError) as caught:
        opener(str(source))
    assert caught.value.path == "data.source"
    assert "\n" not in caught.value.message
    assert caught.value.message.endswith(".")
    return caught.value.message


def test_every_bundled_dataset_opens():
    assert {"poems", "notes", "facts", "broken"} <= set(sample_names())
    assert not [name for name in sample_names() if "heldout" in name]
    for name in sample_names():
        assert len(open_rows(f"sample:{name}")) > 0


def test_held_out_prompts_can_be_found_though_they_are_not_offered():
    assert find_data("sample:poems-heldout").name == "poems-heldout.jsonl"


@pytest.mark.parametrize("name", ["nothing", "../starter/README", "", "a/b", "poems.jsonl", "x" * 5000])
def test_an_unknown_sample_is_told_the_known(name):
    assert "sample:poems" in sentence(f"sample:{name}", find_data)


def test_paths_are_absolute_relative_or_from_home(tmp_path, monkeypatch):
    file = tmp_path / "rows ä.jsonl"
    file.write_text('{"text": "a"}')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for source in (str(file), "rows ä.jsonl", "./rows ä.jsonl", "~/rows ä.jsonl", f"  {file} "):
        assert find_data(source) == file.resolve()


def test_things_that_are_no_file_are_named(tmp_path):
    assert "does not exist" in sentence(tmp_path / "nowhere.jsonl")
    (tmp_path / "empty").mkdir()
    assert "a folder without a data file" in sentence(tmp_path / "empty")
    assert "No dataset" in sentence(" ")
    assert sentence("a\0b")
    assert "cannot be a path" in sentence("x" * 5000)


@pytest.mark.skipif(os.name == "nt", reason="needs a device file")
def test_a_device_is_no_file():
    assert "not a file" in sentence("/dev/null")


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b" \n\t\r\n", b"\n\n\n"])
@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.txt"])
def test_an_empty_file_is_told_so(tmp_path, content, name):
    (tmp_path / name).write_bytes(content)
    assert "is empty" in sentence(tmp_path / name)


def test_blank_lines_beyond_the_first_look_are_an_empty_file_too(tmp_path):
    for name in ("a.jsonl", "a.txt"):
        (tmp_path / name).write_bytes(b"\n" * 100_000)
        assert "holds no rows" in sentence(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"PK\x03\x04rest", "a damaged zip archive"),
        (b"\x1f\x8b\x08rest", "a damaged gzip archive"),
        (b"PAR1rest", "a damaged table"),
        (b"%PDF-1.7", "a PDF file"),
        (b"\x80\x04\x95rest", "a Python pickle"),
        ('{"text": "a"}'.encode("utf-16") + b"\0", "UTF-16"),
        ('{"text": "a"}'.encode("utf-32"), "UTF-32"),
        (b'{"text": "a\0b"}', "zero bytes"),
    ],
)
def test_other_kinds_of_file_are_named(tmp_path, content, kind):
    for name in ("a.jsonl", "a.txt"):
        (tmp_path / name).write_bytes(content)
        assert kind in sentence(tmp_path / name)


def test_json_is_known_by_its_look_whatever_its_name(tmp_path):
    for name, content, container in (
        ("a.data", '{"text": "a"}\n', "lines"),
        ("a", '[{"text": "a"}]', "list"),
        ("a.json", '{"text": "a"}\n{"text": "b"}\n', "lines"),
        ("a.jsonl", ' [ {"text": "a"}]', "list"),
        ("a.txt", '{"text": "a"}\n', "text"),
    ):
        (tmp_path / name).write_text(content)
        assert open_data(str(tmp_path / name))[0].container == container


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_read_permission_is_named(tmp_path):
    (tmp_path / "a.jsonl").write_text("{}")
    (tmp_path / "a.jsonl").chmod(0)
    assert "permissions" in sentence(tmp_path / "a.jsonl")


def test_columns_that_fit_no_format_are_listed(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"titel": 1, "inhalt": 2}\n{"more": 3}\n')
    message = sentence(tmp_path / "a.jsonl")
    assert "titel, inhalt, more" in message
    assert "prompt and completion" in message


def test_a_file_without_one_good_line_is_told_the_first_mistake(tmp_path):
    (tmp_path / "a.jsonl").write_text('\n{"text": \n[1]\n')
    assert "line 2: invalid JSON at column 10" in sentence(tmp_path / "a.jsonl")


def test_objects_spread_over_lines_are_read_where_they_begin(tmp_path):
    (tmp_path / "a.json").write_text('{\n "text": "a"\n}\n\n{"text": "}{"} junk\n{\n "text": "c"')
    rows = open_rows(str(tmp_path / "a.json"))
    assert [(row.line, getattr(row, "kind", "")) for row in rows] == [
        (1, ""), (5, ""), (5, "invalid JSON"), (6, "invalid JSON"),
    ]  # fmt: skip
    assert rows[1].text == "}{"
    assert "breaks off" in rows[3].reason


def test_the_fingerprint_is_sha256_and_follows_changes(tmp_path, monkeypatch):
    file = tmp_path / "a.jsonl"
    file.write_bytes(b"abc")
    assert fingerprint(str(file)) == hashlib.sha256(b"abc").hexdigest()
    calls = []
    real = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda *given: calls.append(given) or real(*given))
    assert fingerprint(str(file)) == hashlib.sha256(b"abc").hexdigest()
    assert not calls
    file.write_bytes(b"abcd")
    assert fingerprint(str(file)) == hashlib.sha256(b"abcd").hexdigest()
    assert calls
    with pytest.raises(HoneError):
        fingerprint(str(tmp_path / "gone"))


def test_a_bundled_dataset_needs_its_resources(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "RESOURCES", tmp_path)
    assert "none in this installation" in sentence("sample:poems")


def test_the_stamp_changes_with_data_edits_and_weights(tmp_path):
    file = tmp_path / "rows" / "a.jsonl"
    file.parent.mkdir()
    file.write_text('{"text": "a"}\n{"text": "b"}')
    found = [stamp(str(file)), stamp(str(file), [f"2*{file}"]), stamp(str(file.parent))]
    assert found[0] == stamp(str(file))
    exclude(str(file), [0])
    found.append(stamp(str(file)))
    file.write_text('{"text": "abc"}\n{"text": "b"}')
    found += [stamp(str(file)), stamp(str(file.parent))]
    assert len(set(found)) == 6


def test_rows_within_an_object_have_their_lines(tmp_path):
    (tmp_path / "a.json").write_text(' {\n "data": [\n  {"text": "a"},\n\n  {"text": 1}\n ],\n "version": 2\n}\n')
    found = list(open_rows(str(tmp_path / "a.json")))
    assert [(row.line, type(row).__name__) for row in found] == [(3, "Row"), (5, "Problem")]
    (tmp_path / "b.jsonl").write_text('{"messages": [{"role": "user", "content": "a"}]}\n')
    assert open_data(str(tmp_path / "b.jsonl"))[0].container == "lines"
