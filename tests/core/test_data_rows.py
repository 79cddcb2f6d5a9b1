"""Reading rows: every format, every mistake with its line and reason, awkward files, and any bytes at all."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from core.data import nested, spans
from core.data.rows import Message, Problem, Row, Rows, first_rows, open_rows, require_objective
from core.errors import HoneError

NUM_EXAMPLES = int(os.environ.get("HONE_FUZZ", "400"))  # the long battery: HONE_FUZZ=10000 pytest THIS_FILE -k any
CHECKS = [HealthCheck.function_scoped_fixture]
GOOD = '{"prompt": "p", "completion": "c"}'


def write(folder: Path, content: str | bytes, name: str = "rows.jsonl") -> str:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def only(folder: Path, tree: object, good: str = GOOD) -> Row | Problem:
    """How one row reads in a file whose format is set by five good rows."""
    line = tree if isinstance(tree, str) else json.dumps(tree)
    rows = open_rows(write(folder, f"{good}\n" * 5 + line + "\n"))
    assert len(rows) == 6
    assert rows[5].line == 6
    return rows[5]


def talk(row: Row | Problem) -> list[tuple[str, str]]:
    assert isinstance(row, Row), row
    return [(message.role, message.content) for message in row.messages]


TURNS = [("user", "q"), ("assistant", "a")]


@pytest.mark.parametrize(
    ("tree", "layout", "expected"),
    [
        (
            {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]},
            "messages",
            TURNS,
        ),
        ({"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]}, "messages", TURNS),
        (
            {"system": "s", "conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]},
            "messages",
            [("system", "s"), *TURNS],
        ),
        (
            {"messages": [{"role": "system", "content": "s"}, *({"role": r, "content": c} for r, c in TURNS * 2)]},
            "messages",
            [("system", "s"), *TURNS, *TURNS],
        ),
        (
            {
                "messages": [
                    {"role": "system", "content": ""},
                    {"role": "user", "content": [{"type": "text", "text": "q"}]},
                    {"role": "assistant", "content": "a", "extra": 1},
                ]
            },
            "messages",
            TURNS,
        ),
        ({"prompt": "q", "completion": "a"}, "prompt", TURNS),
        ({"question": "q", "answer": "a", "id": 5}, "prompt", TURNS),
        ({"prompt": [{"role": "user", "content": "q"}], "completion": "a"}, "prompt", TURNS),
        ({"instruction": "q", "output": "a"}, "instruction", TURNS),
        ({"instruction": "q", "input": "", "output": "a"}, "instruction", TURNS),
        (
            {"instruction": "q", "input": "i", "output": "a"},
            "instruction",
            [("user", "q\n\ni"), ("assistant", "a")],
        ),
        (
            {"instruction": "q", "input": None, "output": "a", "system": "s"},
            "instruction",
            [("system", "s"), *TURNS],
        ),
    ],
)
def test_formats_are_detected_and_read(tmp_path, tree, layout, expected):
    rows = open_rows(write(tmp_path, json.dumps(tree)))
    assert rows.format == layout
    assert talk(rows[0]) == expected


def test_text_rows_have_text_and_no_messages(tmp_path):
    rows = open_rows(write(tmp_path, '{"text": "once"}\n{"text": " "}\n'))
    assert rows.format == "text"
    assert rows[0] == Row(1, (), "once")
    assert rows[1] == Problem(2, "text is empty", "empty text")


def test_preference_pairs_are_read_and_refused_where_they_do_not_fit(tmp_path):
    plain = {"prompt": "p", "chosen": "good", "rejected": "bad"}
    start = [{"role": "user", "content": "p"}]
    whole = {
        "chosen": [*start, {"role": "assistant", "content": "good"}],
        "rejected": [*start, {"role": "assistant", "content": "bad"}],
    }
    rows = open_rows(write(tmp_path, f"{json.dumps(plain)}\n{json.dumps(whole)}\n"))
    assert rows.format == "preference"
    for row in rows:
        assert isinstance(row, Row)
        assert row.messages == (Message("user", "p"),)
        assert (row.chosen, row.rejected) == ((Message("assistant", "good"),), (Message("assistant", "bad"),))
    require_objective(rows, "dpo")
    for objective in ("sft", "pretrain"):
        with pytest.raises(HoneError, match="preference") as caught:
            require_objective(rows, objective)
        assert caught.value.path == "data.source"
    require_objective(open_rows(write(tmp_path, GOOD)), "sft")


ASK, REPLY = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}
CHAT = json.dumps({"messages": [ASK, REPLY]})


@pytest.mark.parametrize(
    ("tree", "kind", "reason"),
    [
        ('{"prompt": "p" "completion"}', "invalid JSON", "invalid JSON at column 16: expecting ',' delimiter"),
        ("{'prompt': 1}", "invalid JSON", "column 2: expecting property name"),
        ('{"prompt": "p', "invalid JSON", "invalid JSON at column 12: unterminated string"),
        ('{"prompt": "p\tq", "completion": "c"}', "invalid JSON", "column 14: invalid control character"),
        ("   ", "not an object", "nothing where an object"),
        ("[1, 2]", "not an object", "a list where an object"),
        ("null", "not an object", "null where an object"),
        ('"text"', "not an object", "text where an object"),
        ("5", "not an object", "a number where an object"),
        ('{"prompt": "p", "prompt": "q", "completion": "c"}', "repeated key", "has prompt twice"),
        ({"prompt": "p", "answr": "x"}, "missing field", "has no completion (found prompt, answr)"),
        ({}, "missing field", "has no prompt (found none)"),
        ({"prompt": "p", "completion": None}, "no answer", "completion is null"),
        ({"prompt": "p", "completion": " \n"}, "empty answer", "completion is empty"),
        ({"prompt": "", "completion": "c"}, "empty message", "prompt is empty"),
        ({"prompt": 5, "completion": "c"}, "not text", "prompt is a number, not text"),
        ({"prompt": "p", "completion": True}, "not text", "completion is true or false, not text"),
        ({"prompt": "p", "completion": {"a": 1}}, "not text", "completion is an object, not text"),
        ('{"prompt": "p", "completion": "\\ud83d"}', "not text", "\\ud83d, which is half a character"),
        ("[" * 100_000, "invalid JSON", "nested too deeply"),
        ('{"prompt": ' + "9" * 5000 + "}", "invalid JSON", "thousands of digits"),
        ({"prompt": "p", "\u202ename\n" * 20: 1}, "missing field", "has no completion"),
    ],
)
def test_a_bad_row_says_exactly_what_is_wrong(tmp_path, tree, kind, reason):
    row = only(tmp_path, tree)
    assert isinstance(row, Problem)
    assert row.kind == kind
    assert reason in row.reason
    assert "\n" not in row.reason
    assert len(row.reason) < 300


@pytest.mark.parametrize(
    ("messages", "kind", "reason"),
    [
        ("hello", "not text", "messages is text, not a list of messages"),
        ([], "no answer", "empty list"),
        (["hi"], "not text", "message 1 is text, not an object"),
        ([ASK], "no answer", "ends with the user's message"),
        ([ASK, REPLY, ASK], "no answer", "ends with the user's message"),
        ([{"role": "system", "content": "s"}], "no answer", "no message of a user"),
        ([ASK, {"role": "assistant", "content": "  "}], "empty answer", "message 2 (assistant) is empty"),
        ([ASK, {"role": "assistant", "content": None}], "no answer", "message 2 (assistant) has no content"),
        ([{"role": "user", "content": ""}, REPLY], "empty message", "message 1 (user) is empty"),
        ([{"role": "wizard", "content": "q"}, REPLY], "unknown role", "message 1 has the role wizard"),
        ([{"role": None, "content": "q"}, REPLY], "unknown role", "message 1 has the role null"),
        ([{"role": ["user"], "content": "q"}, REPLY], "unknown role", "the role a list"),
        ([{"role": "user"}, REPLY], "missing field", "message 1 has no content (found role)"),
        ([{"content": "q"}, REPLY], "missing field", "message 1 has no role (found content)"),
        ([{"role": "user", "content": 5}, REPLY], "not text", "content of message 1 (user) is a number"),
        ([{"role": "user", "content": [{"type": "image"}]}, REPLY], "not text", "message 1 (user) is a list"),
        ([REPLY, ASK], "wrong role order", "message 1 (assistant) comes first"),
        ([ASK, ASK, REPLY], "wrong role order", "message 2 (user) follows user"),
        ([ASK, REPLY, REPLY], "wrong role order", "message 3 (assistant) follows assistant"),
        ([ASK, {"role": "system", "content": "s"}, REPLY], "wrong role order", "message 2 (system) follows user"),
    ],
)
def test_a_bad_chat_says_exactly_what_is_wrong(tmp_path, messages, kind, reason):
    row = only(tmp_path, {"messages": messages}, good=CHAT)
    assert isinstance(row, Problem)
    assert row.kind == kind
    assert reason in row.reason


def test_bytes_that_are_no_utf8_spoil_only_their_row(tmp_path):
    rows = open_rows(write(tmp_path, f'{GOOD}\n{{"prompt": "\xff"}}\n{GOOD}\n'.encode("latin-1")))
    assert [type(row) for row in rows] == [Row, Problem, Row]
    assert rows[1] == Problem(2, "byte 13 is not UTF-8; save the file as UTF-8", "not UTF-8")


def test_a_line_over_the_limit_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("core.data.part.MAX_ROW_BYTES", 1000)
    monkeypatch.setattr(spans, "MAX_ROW_BYTES", 1000)
    source = write(tmp_path, f'{GOOD}\n{{"prompt": "{"x" * 2000}"}}\n{GOOD}\n')
    rows = open_rows(source)
    assert [type(row) for row in rows] == [Row, Problem, Row]
    assert rows[1].line == 2
    assert "a row has at most" in rows[1].reason
    assert first_rows(source)[1] == rows[:3]


def test_a_line_of_five_megabytes_is_an_ordinary_row(tmp_path):
    row = only(tmp_path, {"prompt": "p", "completion": "é" * 2_500_000})
    assert isinstance(row, Row)
    assert len(row.messages[1].content) == 2_500_000


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_ends_of_line_and_byte_order_marks(tmp_path, bom, end, last):
    lines = [f'{{"text": "row {i} ü 🦊"}}'.encode() for i in range(3)]
    body = lines[0] + end + end + lines[1] + end + lines[2] + (end if last else b"")
    rows = open_rows(write(tmp_path, bom + body))
    assert [(row.line, row.text) for row in rows] == [(1, "row 0 ü 🦊"), (3, "row 1 ü 🦊"), (4, "row 2 ü 🦊")]
    assert first_rows(str(rows.path))[1] == list(rows)


def test_rows_are_a_sequence(tmp_path):
    rows = open_rows(write(tmp_path, "".join(f'{{"text": "{i}"}}\n' for i in range(10))))
    assert len(rows) == 10
    assert rows[-1].line == 10
    assert [row.line for row in rows[2:5]] == [3, 4, 5]
    assert [row.line for row in rows] == list(range(1, 11))
    with pytest.raises(IndexError):
        rows[10]


def test_a_million_lines_are_found_across_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(spans, "BLOCK_BYTES", 1000)
    monkeypatch.setattr(nested, "BLOCK_BYTES", 1000)
    lines = [json.dumps({"text": "x" * (i % 97 + 1)}) for i in range(5000)]
    rows = open_rows(write(tmp_path, "\n".join(lines)))
    assert [row.text for row in rows] == [json.loads(line)["text"] for line in lines]


@pytest.mark.parametrize("block", [7, 16, 64, 4096])
def test_a_json_list_is_read_like_lines(tmp_path, monkeypatch, block):
    monkeypatch.setattr(spans, "BLOCK_BYTES", block)
    monkeypatch.setattr(nested, "BLOCK_BYTES", block)
    texts = ["plain", 'quotes " and \\ and \\" too', "[brackets], {braces}", "ü 🦊", "", "\\" * 9, "a\nb"]
    trees = [{"text": f"{text}!", "deep": {"a": [[[[[{"b": text}]]]]]}} for text in texts]
    expected = [f"{text}!" for text in texts]
    for content in (json.dumps(trees), json.dumps(trees, indent=2), json.dumps(trees, ensure_ascii=False)):
        rows = open_rows(write(tmp_path, content, "rows.json"))
        assert [row.text for row in rows if isinstance(row, Row)] == expected
        lines = content.splitlines()
        assert all("{" in lines[row.line - 1] for row in rows)
        assert first_rows(str(rows.path))[1] == list(rows)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('[{"text": "a"},]', ["a"]),
        ('[{"text": "a"}, 5, {"text": "b"}]', ["a", "a number where an object", "b"]),
        ('[{"text": "a"},, {"text": "b"}]', ["a", "nothing where an object", "b"]),
        ('[{"text": "a"}, {"text": }, {"text": "b"}]', ["a", "invalid JSON at column 10", "b"]),
        ('[{"text": "a"}', ["a", "not closed with ]"]),
        ('[{"text": "a"},', ["a", "not closed with ]"]),
        ('[{"text": "a"}, {"text": "b', ["a", "breaks off in the middle"]),
        ('[{"text": "a"}] extra', ["a", "text follows the end"]),
        ('[{"text": "a"}}, {"text": "b"}]', ["invalid JSON", "b"]),
    ],
)
def test_a_broken_json_list_keeps_its_good_rows(tmp_path, content, expected):
    rows = list(open_rows(write(tmp_path, content, "rows.json")))
    assert len(rows) == len(expected)
    for row, part in zip(rows, expected, strict=True):
        assert part in (row.text if isinstance(row, Row) else row.reason)


def test_an_empty_list_holds_no_rows(tmp_path):
    with pytest.raises(HoneError, match="no rows"):
        open_rows(write(tmp_path, "[ \n ]", "rows.json"))


def test_text_is_cut_at_paragraphs_lines_and_spaces_and_loses_nothing(tmp_path):
    paragraphs = [f"Paragraph {i}. " + "word " * (i * 37 % 200) for i in range(60)]
    paragraphs += ["line of a poem\n" * 300, "endless" * 500, "üü🦊" * 1000, "漢字" * 2000]
    source = write(tmp_path, "\n\n".join(paragraphs), "book.md")
    rows = open_rows(source)
    assert rows.format == "text"
    texts = [row.text for row in rows if isinstance(row, Row)]
    assert len(texts) == len(rows)
    squeezed = "".join("".join(texts).split())
    assert squeezed == "".join("".join(paragraphs).split())
    assert all(0 < len(text.encode()) <= spans.CHUNK_BYTES for text in texts)
    assert sum(len(text.encode()) for text in texts) / len(texts) > spans.CHUNK_BYTES / 2
    assert first_rows(source, 10_000)[1] == list(rows)
    lines = Path(source).read_text(encoding="utf-8").split("\n")
    assert all(row.text[:5] in "\n".join(lines[row.line - 1 : row.line + 1]) for row in rows)


def test_short_paragraphs_share_a_row_and_stay_whole(tmp_path):
    source = write(tmp_path, "\r\n\r\n".join(["first", "second"]) + "\r\n\r\n" + "x" * 1490 + "\r\n", "notes.txt")
    assert [(row.line, row.text) for row in open_rows(source)] == [(1, "first\r\n\r\nsecond"), (5, "x" * 1490)]


def test_bad_bytes_in_text_name_their_line(tmp_path):
    rows = open_rows(write(tmp_path, b"one\ntwo \xff\n", "notes.txt"))
    assert rows[0] == Problem(1, "holds bytes that are not UTF-8 on line 2; save it as UTF-8", "not UTF-8")


def test_the_format_is_that_of_most_rows(tmp_path):
    rows = open_rows(write(tmp_path, '{"text": "x"}\n' + f"{GOOD}\n" * 3))
    assert rows.format == "prompt"
    assert rows[0] == Problem(1, "has no prompt (found text)", "missing field")


def test_a_preview_reads_only_the_head(tmp_path, monkeypatch):
    source = write(tmp_path, "".join(f'{{"text": "{i}"}}\n' for i in range(1000)))
    monkeypatch.setattr(Rows, "__init__", lambda *_: pytest.fail("a preview must not index the file"))
    layout, rows = first_rows(source, 20)
    assert layout == "text"
    assert [row.line for row in rows] == list(range(1, 21))


def test_a_file_that_vanishes_is_an_error_and_no_crash(tmp_path):
    rows = open_rows(write(tmp_path, GOOD))
    rows.path.unlink()
    with pytest.raises(HoneError, match="cannot be read"):
        rows[0]


def test_a_file_cut_short_after_indexing_gives_problems(tmp_path):
    rows = open_rows(write(tmp_path, f"{GOOD}\n" * 100))
    rows.path.write_bytes(b"{")
    assert all(isinstance(row, Problem) for row in rows)


SIGNS = [
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b'"',
    b"\\",
    b"\n",
    b"\r",
    b" ",
    b"\xef\xbb\xbf",
    b"\xff",
    b"\0",
    b"null",
]
ROWS = [b'{"text": "a"}', b'{"prompt": "p", "completion": "c"}', b'{"messages": []}', CHAT.encode()]
NAMES = [b'"text"', b'"chosen"', b'"rejected"', b'"conversations"']
ODD = [b"1e999", b"NaN", b"\xf0\x9f", b"[" * 2000, b"9" * 5000]
PIECES = st.sampled_from([*SIGNS, *ROWS, *NAMES, *ODD])
ANY_FILE = st.one_of(st.binary(max_size=200), st.lists(PIECES, max_size=30).map(b"".join))
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["messages", "role", "content", "prompt", "completion", "text", "input", "output", "chosen"]
            )
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def read_whole(path: Path) -> None:
    """Open, preview and read a file: rows and problems, or one HoneError; anything else fails the test."""
    try:
        rows = open_rows(str(path))
    except HoneError as error:
        assert error.path == "data.source"
        return
    found = list(rows)
    assert len(found) == len(rows) > 0
    for row in found:
        assert isinstance(row, (Row, Problem))
        assert row.line >= 1
    assert first_rows(str(path), len(found))[1] == found


@settings(max_examples=NUM_EXAMPLES, deadline=None, suppress_health_check=CHECKS)
@given(
    content=ANY_FILE, suffix=st.sampled_from([".jsonl", ".json", ".txt", ""]), block=st.sampled_from([3, 64, 4096])
)
@example(content=b'[{"a', suffix=".json", block=3)
@example(content=b'[{"\\', suffix=".json", block=3)
def test_any_bytes_give_rows_or_one_error(tmp_path, content, suffix, block):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spans, "BLOCK_BYTES", block)
        patch.setattr(nested, "BLOCK_BYTES", block)
        path = tmp_path / f"fuzz{suffix}"
        path.write_bytes(content)
        read_whole(path)


@settings(max_examples=NUM_EXAMPLES // 2, deadline=None, suppress_health_check=CHECKS)
@given(trees=st.lists(ANY_JSON, min_size=1, max_size=5))
def test_any_json_gives_rows_or_one_error(tmp_path, trees):
    (tmp_path / "fuzz.jsonl").write_text("\n".join(json.dumps(tree) for tree in trees))
    (tmp_path / "fuzz.json").write_text(json.dumps(trees, indent=1))
    read_whole(tmp_path / "fuzz.jsonl")
    read_whole(tmp_path / "fuzz.json")
