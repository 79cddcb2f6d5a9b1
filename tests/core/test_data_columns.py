"""The columns of a dataset, found without knowing what they mean."""

from __future__ import annotations

import json

import pytest

from core.data.columns import as_sample, find_columns
from core.errors import HoneError


def test_columns_come_in_order_with_a_value_each_and_how_often_they_are_filled(tmp_path):
    rows = [{"frage": "Was?", "antwort": ""}, {"frage": "Wer?", "antwort": "Du.\nNur du.", "n": 3}]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join([*map(json.dumps, rows), "{broken"]))
    found = find_columns(str(path))
    assert [(one.name, one.sample, one.num_filled) for one in found.columns] == [
        ("frage", "Was?", 2), ("antwort", "Du. Nur du.", 1), ("n", "3", 1),
    ]  # fmt: skip
    assert found.num_rows == 2 and found.tree == rows[0]


def test_data_in_no_known_format_has_columns_and_text_has_none(tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("a;b\n1;2\n")
    assert [one.name for one in find_columns(str(table)).columns] == ["a", "b"]
    (tmp_path / "plain.txt").write_text("Only words.")
    assert find_columns(str(tmp_path / "plain.txt")).columns == ()
    with pytest.raises(HoneError):
        find_columns(str(tmp_path / "nothing.jsonl"))


def test_a_conversation_is_shown_by_what_is_said_in_it():
    talk = [{"role": "user", "content": "Hello\nthere"}, {"from": "gpt", "value": "Hi"}]
    assert as_sample(talk) == "2 messages: Hello there / Hi"
    assert len(as_sample("word " * 10_000)) == 400


def test_a_value_is_shown_as_the_file_has_it_and_two_texts_are_a_guess(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": "one", "b": "two", "is_good": false, "more": {"x": [1]}}\n' * 2)
    found = find_columns(str(path))
    assert [column.sample for column in found.columns] == ["one", "two", "false", '{"x": [1]}']
    assert found.pair == ("a", "b")
