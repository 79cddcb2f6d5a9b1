"""Rows that are used and yet odd: each kind is counted against rows made to have it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.data.check import check
from core.data.rows import open_rows
from core.data.split import place
from core.sections import DataSection


def written(folder: Path, pairs: list[tuple[str, str]]) -> str:
    path = folder / "rows.jsonl"
    path.write_text("\n".join(json.dumps({"prompt": prompt, "completion": answer}) for prompt, answer in pairs))
    return str(path)


def remarks(source: str, seed: int = 0, **options) -> tuple[dict, dict]:
    report = check(DataSection(source=source, **options), seed)
    assert report.num_used == report.num_rows, "odd rows are used"
    lines: dict[str, list[int]] = {}
    for remark in report.remarks:
        lines.setdefault(remark.kind, []).append(remark.line)
    return report.remark_counts, lines


def test_repeats_are_exact_or_near(tmp_path):
    pairs = [("Who?", "A fox."), ("Who?", "A fox."), ("who?  ", "A  FOX."), ("Ｗho?", "A fox."), ("When?", "Now.")]
    counts, lines = remarks(written(tmp_path, pairs), holdout=0)
    assert counts == {"repeats another row": 1, "nearly repeats another row": 2}
    assert lines == {"repeats another row": [2], "nearly repeats another row": [3, 4]}


def test_the_same_prompt_with_another_answer_is_a_conflict(tmp_path):
    pairs = [("Who?", "A fox."), ("When?", "Now."), ("who?", "An owl."), ("WHO?", "a fox."), ("When?", "Now.")]
    source = written(tmp_path, pairs)
    counts, lines = remarks(source, holdout=0)
    assert counts["same prompt, other answer"] == 1, "line 4 agrees with line 1"
    assert lines["same prompt, other answer"] == [3]
    reasons = [
        remark.reason
        for remark in check(DataSection(source=source)).remarks
        if remark.kind == "same prompt, other answer"
    ]
    assert reasons[0] == "answers the prompt of line 1 otherwise"


def test_a_prompt_on_both_sides_of_the_split_is_told(tmp_path):
    source = written(tmp_path, [(f"Who is {number // 4}?", f"Answer {number}.") for number in range(200)])
    rows = list(open_rows(source))
    held = [place(row, 3) < 0.2 for row in rows]
    trained = {row.messages[0].content for row, is_held in zip(rows, held, strict=True) if not is_held}
    expected = [
        row.line for row, is_held in zip(rows, held, strict=True) if is_held and row.messages[0].content in trained
    ]
    counts, lines = remarks(source, holdout=0.2, seed=3)
    assert lines["trained and held out"] == expected
    assert counts["trained and held out"] == len(expected) > 10
    assert "trained and held out" not in remarks(source, holdout=0)[0]


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("a\x07b", "control character", "holds U+0007"),
        ("a\x1b[31m", "control character", "holds U+001B"),
        ("caf\ufffd", "wrong encoding", "holds U+FFFD, a sign"),
        ("cafÃ©", "wrong encoding", "holds “Ã©”"),
        ("donâ€™t", "wrong encoding", "holds “â€™”"),
    ],
)
def test_strange_characters_are_named(tmp_path, text, kind, words):
    report = check(
        DataSection(source=written(tmp_path, [("Fine.\n\tYes.", "Ä, Ã and é are letters."), ("Who?", text)]))
    )
    assert report.remark_counts == {kind: 1}
    (remark,) = report.remarks
    assert (remark.line, remark.kind) == (2, kind)
    assert remark.reason.startswith(words)


def test_only_the_first_hundred_of_a_kind_are_listed(tmp_path):
    report = check(
        DataSection(
            source=written(
                tmp_path, [("Who?", "A fox.")] * 150 + [("a\x07", f"{number}") for number in range(150)]
            )
        )
    )
    assert report.remark_counts["repeats another row"] == report.num_duplicates == 149
    assert report.remark_counts["control character"] == 150
    kinds = [remark.kind for remark in report.remarks]
    assert kinds.count("repeats another row") == kinds.count("control character") == 100


def test_texts_and_preference_pairs_have_no_prompts_to_conflict(tmp_path):
    assert check(DataSection(source="sample:notes")).remark_counts == {}
    assert "same prompt, other answer" not in check(DataSection(source="sample:poems-preferences")).remark_counts
    nothing = tmp_path / "a.jsonl"
    nothing.write_text('{"prompt": "a", "completion": ""}\n')
    assert check(DataSection(source=str(nothing))).remarks == []
