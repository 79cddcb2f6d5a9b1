"""Which column is what: told by names and content with a confidence, or said by the run; never guessed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config import DataSection, RunConfig
from core.data.mapping import Meaning, columns_in, filled
from core.data.row import Message, Problem, Row
from core.data.rows import open_rows, require_objective, rows_of
from core.errors import HoneError


def written(folder: Path, rows: list[dict[str, Any]]) -> str:
    path = folder / "rows.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return str(path)


def mapped(source: str, **settings: Any) -> list[Row | Problem]:
    return list(rows_of(DataSection(source=source, **settings)))


def said(row: Row | Problem) -> list[tuple[str, str]]:
    assert isinstance(row, Row), row
    return [(message.role, message.content) for message in row.messages]


CALL = {"id": "1", "type": "function", "function": {"name": "look", "arguments": '{"at": "fox"}'}}


@pytest.mark.parametrize(
    ("row", "kind", "columns", "least"),
    [
        ({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}, "messages",
         ("messages",), 1),
        ({"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}, "messages",
         ("conversations",), 1),
        ({"instruction": "a", "input": "", "output": "b"}, "instruction", ("instruction", "output"), 1),
        ({"prompt": "a", "completion": "b"}, "prompt", ("prompt", "completion"), 1),
        ({"Question": "a", "Answer": "b", "id": 3}, "prompt", ("Question", "Answer"), 0.9),
        ({"query": "a", "reply": "b"}, "prompt", ("query", "reply"), 0.9),
        ({"text": "a"}, "text", ("text",), 1),
        ({"prompt": "a", "chosen": "b", "rejected": "c"}, "preference", ("chosen", "rejected"), 1),
        ({"prompt": "a", "completion": "b", "label": True}, "kto", ("prompt", "completion", "label"), 1),
        ({"prompt": "a", "completion": "b", "label": "sport"}, "prompt", ("prompt", "completion"), 1),
    ],
)  # fmt: skip
def test_a_format_is_told_by_its_columns(tmp_path, row, kind, columns, least):
    rows = open_rows(written(tmp_path, [row] * 5))
    assert (rows.layout.format, rows.layout.columns) == (kind, columns)
    assert rows.layout.confidence >= least
    assert all(name in rows.layout.seen for name in columns)
    assert isinstance(rows[0], Row)


def test_confidence_falls_with_rows_of_another_kind(tmp_path):
    rows = open_rows(written(tmp_path, [{"prompt": "a", "completion": "b"}] * 3 + [{"odd": 1}]))
    assert rows.layout.confidence == 0.75
    assert rows.layout.seen == "3 of the first 4 rows have prompt and completion"


def test_a_table_of_classes_is_told_by_its_content(tmp_path):
    table = [{"sentence": f"Row {i} is long.", "label": i % 2} for i in range(10)]
    rows = open_rows(written(tmp_path, table))
    assert rows.layout.columns == ("sentence", "label")
    assert rows.layout.confidence == 0.6
    assert "label has 2 values" in rows.layout.seen
    assert said(rows[1]) == [("user", "Row 1 is long."), ("assistant", "1")]
    notes = [{"text": f"Row {i}.", "label": f"source {i}"} for i in range(10)]
    assert open_rows(written(tmp_path, notes)).format == "text"


def test_two_columns_of_any_name_are_not_guessed_but_asked_for(tmp_path):
    source = written(tmp_path, [{"frage": "a", "antwort": "b"}])
    with pytest.raises(
        HoneError, match=r"data.mapping.prompt=frage and data.mapping.completion=antwort"
    ) as caught:
        open_rows(source)
    assert caught.value.path == "data.source"
    (row,) = mapped(source, mapping={"prompt": "frage", "completion": "antwort"})
    assert said(row) == [("user", "a"), ("assistant", "b")]


def test_a_mapping_comes_before_what_is_detected(tmp_path):
    source = written(tmp_path, [{"prompt": "p", "completion": "c", "notes": "n", "level": 3, "tags": ["x", "y"]}])
    (row,) = mapped(
        source,
        mapping={"prompt": "{notes} at {level}:\n{tags} {{}}", "completion": "prompt", "system": "completion"},
    )
    assert said(row) == [("system", "c"), ("user", "n at 3:\nx\ny {}"), ("assistant", "p")]
    (row,) = mapped(source, mapping={"text": "{prompt} and {completion}"})
    assert isinstance(row, Row) and row.text == "p and c"
    (row,) = mapped(source, mapping={"chosen": "prompt", "rejected": "completion", "prompt": "notes"})
    assert isinstance(row, Row)
    assert (row.messages, row.chosen[0].content, row.rejected[0].content) == ((Message("user", "n"),), "p", "c")
    rows = rows_of(DataSection(source=source, mapping={"prompt": "notes", "completion": "level"}))
    assert said(rows[0])[-1] == ("assistant", "3")
    assert rows.layout.confidence == 1 and "prompt from notes" in rows.layout.seen


def test_a_verdict_is_read_and_needs_its_own_objective(tmp_path):
    rows = [{"q": "a", "a": "b", "good": good} for good in (1, "false", True, "maybe")]
    source = written(tmp_path, rows)
    found = mapped(source, mapping={"prompt": "q", "completion": "a", "label": "good"})
    assert [row.label for row in found[:3] if isinstance(row, Row)] == [True, False, True]
    assert isinstance(found[3], Problem) and "neither true nor false" in found[3].reason
    opened = rows_of(DataSection(source=source, mapping={"prompt": "q", "completion": "a", "label": "good"}))
    with pytest.raises(HoneError, match=r"answers with a verdict .*these have no objective yet"):
        require_objective(opened, "sft")


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ({"prompt": "nowhere", "completion": "b"}, "the column 'nowhere', which"),
        ({"prompt": "{a", "completion": "b"}, "open brace"),
        ({"prompt": "{a} {x}", "completion": "b"}, "the column 'x'"),
        ({"prompt": "a"}, "make up no format"),
        ({"prompt": "a", "text": "b"}, "make up no format"),
    ],
)
def test_a_mapping_that_cannot_be_is_one_sentence(tmp_path, mapping, words):
    with pytest.raises(HoneError) as caught:
        mapped(written(tmp_path, [{"a": "1", "b": "2"}]), mapping=mapping)
    assert words in caught.value.message
    assert caught.value.path == "data.mapping"


def test_columns_of_the_split_are_kept_and_must_be_there(tmp_path):
    source = written(tmp_path, [{"prompt": "a", "completion": "b", "set": "test", "who": 7}])
    (row,) = mapped(source, split_column="set", group_by="who")
    assert isinstance(row, Row)
    assert (row.split, row.stratum, row.group) == ("test", "", "7")
    with pytest.raises(HoneError) as caught:
        mapped(source, stratify_by="kind")
    assert caught.value.path == "data.stratify_by"


def test_tools_calls_and_their_results_are_read(tmp_path):
    chat = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "content": "a hat", "tool_call_id": "1", "name": "look"},
        {"role": "assistant", "content": "b", "reasoning_content": "hm"},
    ]
    (row,) = mapped(written(tmp_path, [{"messages": chat, "tools": [{"type": "function"}]}]))
    assert isinstance(row, Row)
    assert json.loads(row.messages[1].more)["tool_calls"][0]["function"]["arguments"] == {"at": "fox"}
    assert json.loads(row.messages[2].more) == {"name": "look", "tool_call_id": "1"}
    assert json.loads(row.messages[3].more) == {"reasoning_content": "hm"}
    assert row.tools == '[{"type": "function"}]'


def test_calls_of_sharegpt_are_read(tmp_path):
    chat = [
        {"from": "human", "value": "a"},
        {"from": "function_call", "value": '{"name": "look", "arguments": {"at": "fox"}}'},
        {"from": "observation", "value": "a hat"},
        {"from": "gpt", "value": "b"},
    ]
    (row,) = mapped(written(tmp_path, [{"conversations": chat}]))
    assert [role for role, _ in said(row)] == ["user", "assistant", "tool", "assistant"]


@pytest.mark.parametrize(
    ("chat", "kind"),
    [
        ([{"role": "tool", "content": "x"}], "wrong role order"),
        ([{"role": "user", "content": "a"}, {"role": "tool", "content": "x"}], "wrong role order"),
        ([{"role": "user", "content": "a"}, {"role": "assistant", "tool_calls": [{}]}], "missing field"),
        ([{"role": "user", "content": "a"}, {"role": "assistant", "tool_calls": "x"}], "not text"),
        ([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "tool_calls": [CALL]},
          {"role": "tool", "content": "x"}], "no answer"),
    ],
)  # fmt: skip
def test_calls_that_go_wrong_are_problems(tmp_path, chat, kind):
    (row,) = mapped(written(tmp_path, [{"messages": chat}]))
    assert isinstance(row, Problem)
    assert row.kind == kind


def test_the_command_line_can_say_a_mapping():
    from core.cli.configs import parsed

    path = "data.mapping.prompt"
    assert parsed(RunConfig(), path, "{question}: {context}") == "{question}: {context}"


names = st.text(st.characters(exclude_characters="{}"), min_size=1).map(str.strip).filter(bool)


filled_values = st.text(min_size=1).filter(str.strip)  # of those that are blank, see below


@given(
    st.dictionaries(names, filled_values),
    st.lists(st.text(st.characters(exclude_characters="{}")), min_size=1),
)
def test_any_template_names_its_columns_and_is_filled_by_them(tree, between):
    text = between[0] + "".join(f"{{{name}}}{more}" for name, more in zip(tree, between * len(tree), strict=False))
    expected = between[0] + "".join(
        value + more for value, more in zip(tree.values(), between * len(tree), strict=False)
    )
    if tree:
        assert columns_in(text) == list(tree)
        assert filled(text, tree) == expected
    assert Meaning().format is None


def test_columns_of_a_table_may_be_named_as_its_header_writes_them(tmp_path):
    path = tmp_path / "faq.csv"
    path.write_text("Question,Answer,Part\nWhy?,So.,train\nWhen?,Now.,test\n")
    mapping = {"prompt": "Q: {Question}", "completion": "Answer"}
    rows = rows_of(DataSection(source=str(path), mapping=mapping, split_column="Part"))
    found = [rows[number] for number in range(2)]
    assert [row.texts for row in found if isinstance(row, Row)] == [["Q: Why?", "So."], ["Q: When?", "Now."]]
    assert [row.split for row in found if isinstance(row, Row)] == ["train", "test"]
    with pytest.raises(HoneError, match=r"'Reply', which .* does not have"):
        rows_of(DataSection(source=str(path), mapping={"prompt": "Question", "completion": "Reply"}))


@pytest.mark.parametrize(
    ("template", "row", "words"),
    [
        ("{a}\n\n{b}", {"a": "one", "b": ""}, "one"),
        ("{a}\n\n{b}", {"a": "one", "b": None}, "one"),
        ("{a}\n\n{b}", {"a": "", "b": "two"}, "two"),
        ("{a}\n\n{b}", {"a": "one", "b": "two"}, "one\n\ntwo"),
        ("{a}\n{b}\n{c}", {"a": "one", "b": " ", "c": "three"}, "one\nthree"),
        ("Q: {a}\nA:", {"a": ""}, "Q: \nA:"),
        ("{{{a}}}\n{b}", {"a": "", "b": ""}, "{}"),
        ("{a}", {"a": "ends\n"}, "ends\n"),
    ],
)
def test_an_empty_column_leaves_no_gap_in_a_template(template, row, words):
    assert filled(template, row) == words
