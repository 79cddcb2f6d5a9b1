"""Conversations in one text, as HH-RLHF has them: found with a doubt, read into messages, and never guessed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.mapping import Meaning
from core.data.row import Message, Problem, Row, RowError
from core.data.rows import open_rows, require_objective
from core.data.transcripts import is_transcript, read_pair, read_transcript
from core.errors import HoneError

ASKED = "\n\nHuman: What is a hat?"


def user(words: str) -> Message:
    return Message("user", words)


def assistant(words: str) -> Message:
    return Message("assistant", words)


def written(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("\n".join(map(json.dumps, rows)))
    return str(path)


def pairs(count: int) -> list[dict[str, Any]]:
    start = f"{ASKED}\n\nAssistant: A warm thing.\n\nHuman: Red,\n\nor blue?"
    return [
        {"chosen": f"{start}\n\nAssistant: Red {n}.", "rejected": f"{start}\n\nAssistant: No {n}."}
        for n in range(count)
    ]


def test_what_both_begin_with_is_the_prompt(tmp_path: Path):
    rows = open_rows(written(tmp_path / "a.jsonl", pairs(10)))
    assert rows.format == "preference" and rows.layout.has_transcripts
    assert rows[3] == Row(
        4,
        (user("What is a hat?"), assistant("A warm thing."), user("Red,\n\nor blue?")),
        chosen=(assistant("Red 3."),),
        rejected=(assistant("No 3."),),
    )
    assert rows.layout.confidence == 0.9, "a pattern in the words, and no name of a column"
    assert "turns of “Human:” and “Assistant:”" in rows.layout.seen


def test_a_doubt_grows_with_the_rows_that_are_not_written_so(tmp_path: Path):
    odd = {"chosen": "A hat.", "rejected": "No."}
    rows = open_rows(written(tmp_path / "a.jsonl", [*pairs(8), odd, odd]))
    assert rows.layout.has_transcripts and rows.layout.confidence == 0.72
    problem = rows[9]
    assert isinstance(problem, Problem) and problem.kind == "wrong role order"
    assert "chosen does not begin with “Human:”" in problem.reason
    rows = open_rows(written(tmp_path / "b.jsonl", [*pairs(4), *[odd] * 6]))
    assert not rows.layout.has_transcripts and rows[9] == Row(10, (), chosen=(assistant("A hat."),),
                                                              rejected=(assistant("No."),))  # fmt: skip


def test_a_column_of_prompts_says_that_the_answers_are_answers(tmp_path: Path):
    rows = open_rows(written(tmp_path / "a.jsonl", [{"prompt": "Say it.", **row} for row in pairs(4)]))
    assert not rows.layout.has_transcripts
    assert isinstance(rows[0], Row) and rows[0].messages == (user("Say it."),)


def test_a_mapping_keeps_the_turns_apart_and_learns_the_chosen_ones_alone(tmp_path: Path):
    source = written(tmp_path / "a.jsonl", [{"good": row["chosen"], "bad": row["rejected"]} for row in pairs(4)])
    rows = open_rows(source, meaning=Meaning((("chosen", "good"), ("rejected", "bad"))))
    assert rows.layout.has_transcripts and rows[1] == open_rows(written(tmp_path / "b.jsonl", pairs(4)))[1]
    with pytest.raises(HoneError, match=r"such as \{messages: chosen\}"):
        require_objective(rows, "sft")
    rows = open_rows(source, meaning=Meaning((("messages", "good"),)))
    assert isinstance(rows[0], Row) and rows.format == "messages"
    assert [one.role for one in rows[0].messages] == ["user", "assistant"] * 2
    require_objective(rows, "sft")


@pytest.mark.parametrize(
    ("chosen", "rejected", "kind", "words"),
    [
        ("A hat.", f"{ASKED}\n\nAssistant: No.", "wrong role order", "chosen does not begin with “Human:”"),
        (f"{ASKED}\n\nAssistant: No.", ASKED, "no answer", "rejected ends with the human's turn"),
        (f"{ASKED}\n\nAssistant: ", f"{ASKED}\n\nAssistant: No.", "empty answer", "turn 2 of chosen (Assistant)"),
        ("\n\nHuman:\n\nAssistant: a", f"{ASKED}\n\nAssistant: No.", "empty message", "turn 1 of chosen (Human)"),
        (f"{ASKED}{ASKED}\n\nAssistant: a", f"{ASKED}\n\nAssistant: b", "wrong role order", "chosen, message 2"),
        ("\n\nHuman: a\n\nAssistant: b", "\n\nHuman: c\n\nAssistant: d", "wrong role order",
         "part at turn 1, which is the human's"),
        (None, f"{ASKED}\n\nAssistant: No.", "no answer", "chosen is null"),
        (3, f"{ASKED}\n\nAssistant: No.", "not text", "chosen is a number"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_its_reason(chosen, rejected, kind, words):
    with pytest.raises(RowError) as caught:
        read_pair(chosen, rejected)
    assert caught.value.kind == kind and words in caught.value.reason


WORDS = st.text(min_size=1, max_size=30).filter(
    lambda text: text.strip() and text.isprintable() and ":" not in text
)


@given(st.lists(WORDS, min_size=2, max_size=8).filter(lambda turns: len(turns) % 2 == 0))
def test_any_turns_come_back_as_they_were_said(turns: list[str]):
    speakers = ("Human", "Assistant")
    text = "".join(f"\n\n{speakers[place % 2]}: {turn}" for place, turn in enumerate(turns))
    assert is_transcript(text)
    found = read_transcript(text, "chosen")
    assert [message.content for message in found] == [turn.strip() for turn in turns]
    assert [message.role for message in found] == ["user", "assistant"] * (len(turns) // 2)
