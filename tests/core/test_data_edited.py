"""Rows that are open follow an edit without a second look through their files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.cli import main
from core.data import edits, parts, spans
from core.data.rows import Rows, open_rows


def written(path: Path, count: int) -> str:
    texts = [{"prompt": f"{path.stem} {n % 5}", "completion": f"answer {n % 5}"} for n in range(count)]
    path.write_text("\n".join(map(json.dumps, texts)))
    return str(path)


def same(one: Rows, two: Rows) -> bool:
    return list(one) == list(two) and one.num_changed == two.num_changed and list(one.once()) == list(two.once())


@pytest.mark.parametrize("more", [(), ("2*b.jsonl",), ("0.4*b.jsonl", "3*b.jsonl", "0.5*a.jsonl")])
def test_edited_rows_are_those_that_opening_anew_gives(tmp_path: Path, more: tuple[str, ...], monkeypatch):
    monkeypatch.chdir(tmp_path)
    a, b = written(tmp_path / "a.jsonl", 12), written(tmp_path / "b.jsonl", 12)
    more = tuple(one.replace("a.jsonl", a).replace("b.jsonl", b) for one in more)
    opened = open_rows(a, more, seed=3)
    for change in (
        lambda: edits.exclude(a, [3]),
        lambda: edits.exclude(b, [0, 7]),
        lambda: edits.set_field(b, 2, "completion", "other"),
        lambda: edits.add_row(b, {"prompt": "new", "completion": "row"}),
        lambda: edits.add_row(a, {"prompt": "new", "completion": "row"}),
        lambda: edits.undo(b),
        lambda: edits.undo(a),
        lambda: edits.undo(b),
    ):
        change()
        again = opened.edited()
        assert same(again, open_rows(a, more, seed=3))
        opened = again


def test_repeats_are_told_from_first_sights(tmp_path: Path):
    a, b = written(tmp_path / "a.jsonl", 2), written(tmp_path / "b.jsonl", 3)
    mixed = open_rows(a, (f"2*{b}",))
    assert mixed.once_numbers().tolist() == [0, 1, 2, 2, 3, 3, 4, 4]
    assert [mixed.seen_at(number) for number in range(len(mixed.once()))] == [0, 1, 2, 4, 6]


def test_the_command_line_looks_through_the_data_once(tmp_path: Path, capsys, monkeypatch):
    data, looks = written(tmp_path / "a.jsonl", 12), list[str]()
    find = spans.find_spans

    def counted(*given):
        looks.append("look")
        return find(*given)

    monkeypatch.setattr(parts, "find_spans", counted)
    for typed, words in (
        (["--exclude", "3"], "12 rows, 1 edit in"),
        (["--add", '{"prompt": "a", "completion": "b"}'], "13 rows, 2 edits in"),
        (["--undo"], "12 rows, 1 edit in"),
        (["--undo"], "12 rows, no edits left"),
    ):
        looks.clear()
        assert main(["data", "edit", data, *typed]) == 0
        assert words in capsys.readouterr().out and len(looks) == 1
