"""Several sources as one dataset: weights, formats of their own, problems with the name of their file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.cli.configs import anchored
from core.config import DataSection, RunConfig
from core.data import mix
from core.data.check import check
from core.data.edits import exclude
from core.data.fingerprint import fingerprint
from core.data.mapping import Meaning
from core.data.rows import Problem, Row, Rows, open_rows
from core.errors import HoneError


def write(path: Path, trees: Sequence[Mapping[str, object]]) -> str:
    path.write_text("".join(json.dumps(tree) + "\n" for tree in trees))
    return str(path)


def pairs(name: str, count: int) -> list[dict[str, object]]:
    return [{"prompt": f"{name} {number}", "completion": f"of {name}"} for number in range(count)]


def seen(rows: Rows, name: str) -> Counter[str]:
    """How often each row of a source is there."""
    prompts = [row.messages[0].content for row in rows if isinstance(row, Row)]
    return Counter(prompt for prompt in prompts if prompt.startswith(name))


@pytest.fixture
def a(tmp_path: Path) -> str:
    return write(tmp_path / "a.jsonl", pairs("a", 100))


@pytest.fixture
def b(tmp_path: Path) -> str:
    return write(tmp_path / "b.jsonl", pairs("b", 1000))


@pytest.mark.parametrize(("weight", "least", "most"), [("", 1000, 1000), ("2*", 2000, 2000), ("0.25*", 200, 300),
                                                       ("2.5 * ", 2430, 2570), (".5*", 430, 570)])  # fmt: skip
def test_a_weight_says_how_often_rows_are_seen(a: str, b: str, weight: str, least: int, most: int) -> None:
    rows = open_rows(a, [weight + b], seed=3)
    assert seen(rows, "a") == dict.fromkeys((f"a {n}" for n in range(100)), 1)
    found = seen(rows, "b")
    assert least <= found.total() <= most
    whole = int(float(weight.strip(" *") or 1))
    assert set(found.values()) <= {whole, whole + 1}
    assert len(rows) == 100 + found.total()
    assert [rows[number] for number in (0, 99, 100, len(rows) - 1)] == [list(rows)[n] for n in (0, 99, 100, -1)]


def test_the_choice_follows_content_and_seed_and_not_place(tmp_path: Path, a: str, b: str) -> None:
    chosen = seen(open_rows(a, [f"0.5*{b}"], seed=1), "b")
    assert seen(open_rows(a, [f"0.5*{b}"], seed=1), "b") == chosen
    assert seen(open_rows(a, [f"0.5*{b}"], seed=2), "b") != chosen
    write(tmp_path / "b.jsonl", [*pairs("new", 50), *reversed(pairs("b", 1000))])
    assert seen(open_rows(a, [f"0.5*{b}"], seed=1), "b") == chosen


def test_each_source_has_a_format_of_its_own(tmp_path: Path, a: str) -> None:
    chats = write(tmp_path / "chats.jsonl", [{"messages": [
        {"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi"}]}])  # fmt: skip
    (tmp_path / "c.csv").write_text("question,answer\nwhy,so\nragged\n")
    rows = open_rows(a, [chats, str(tmp_path / "c.csv")])
    assert rows.format == "messages"
    assert len(rows) == 103
    assert [row.messages[-1].content for row in rows if isinstance(row, Row)][-2:] == ["hi", "so"]
    problem = rows[102]
    assert isinstance(problem, Problem)
    assert problem.reason.startswith("c.csv: has 1 fields")
    assert [rows.file_of(number) for number in (0, 100, 101)] == ["a.jsonl", "chats.jsonl", "c.csv"]


def test_files_of_one_name_are_told_apart(tmp_path: Path, a: str) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.jsonl").write_text("{}\n" + json.dumps(pairs("c", 1)[0]))
    rows = open_rows(a, [str(tmp_path / "other" / "a.jsonl"), "sample:facts"])
    assert rows.file_of(100) == str(tmp_path / "other" / "a.jsonl")
    assert rows.file_of(102) == "sample:facts"


def test_once_has_no_repeats(a: str, b: str) -> None:
    rows = open_rows(a, [f"2.5*{b}"])
    assert len(rows.once()) == 1100
    assert set(seen(rows.once(), "b").values()) == {1}
    assert len(rows) > 2500


def test_the_fingerprint_covers_every_source_and_weight(a: str, b: str) -> None:
    found = [fingerprint(a), fingerprint(a, [b]), fingerprint(a, [f"2*{b}"]), fingerprint(b, [a])]
    exclude(b, [0])
    found += [fingerprint(a, [b])]
    assert len(set(found)) == 5
    assert fingerprint(a, [b]) == found[-1]
    assert fingerprint(a) == found[0]


@pytest.mark.parametrize("text", ["0*{}", "-1*{}", "1001*{}", "2*", "2* ", "nowhere.jsonl", "x*{}", "", "nan*{}"])
def test_what_is_no_source_is_told(a: str, text: str) -> None:
    with pytest.raises(HoneError) as caught:
        open_rows(a, [text.format(a)])
    assert caught.value.message.endswith(".")


def test_pairs_are_not_mixed_with_other_rows(tmp_path: Path, a: str) -> None:
    better = write(tmp_path / "p.jsonl", [{"prompt": "a", "chosen": "b", "rejected": "c"}])
    with pytest.raises(HoneError, match="not learnt from together"):
        open_rows(a, [better])
    assert open_rows(better, [better]).format == "preference"


def test_a_mix_of_one_is_that_one(a: str) -> None:
    assert list(open_rows(a, [])) == list(open_rows(a))
    assert check(DataSection(source=a)).sha256 == fingerprint(a)


@given(st.floats(0.001, 1000), st.integers(0, 50))
def test_order_is_sorted_and_fair(weight: float, num_rows: int) -> None:
    import numpy as np

    shares = (np.arange(num_rows) + 0.5) / max(1, num_rows)
    order = mix.order(weight, num_rows, shares)
    assert abs(len(order) - weight * num_rows) <= 1
    assert (np.diff(order) >= 0).all()


def test_a_mapping_is_of_the_data_and_of_what_has_the_same_columns(tmp_path: Path) -> None:
    asked = [{"ask": "why", "reply": "so"}]
    a, b = write(tmp_path / "odd.jsonl", asked), write(tmp_path / "odd2.jsonl", asked)
    c = write(tmp_path / "plain.jsonl", pairs("c", 1))
    meaning = Meaning((("completion", "reply"), ("prompt", "ask")))
    rows = open_rows(a, [b, c], meaning=meaning)
    assert [row.messages[-1].content for row in rows if isinstance(row, Row)] == ["so", "so", "of c"]
    with pytest.raises(HoneError):
        open_rows(c, [a], meaning=meaning)


def test_sources_that_exist_are_made_absolute(a: str, tmp_path: Path) -> None:
    config = RunConfig().with_value(
        "data.more", ("a.jsonl", "0.5*a.jsonl", "sample:facts", "gone.jsonl", "0*a.jsonl")
    )
    found = anchored(config, tmp_path).data.more
    assert found == (a, f"0.5*{a}", "sample:facts", "gone.jsonl", "0*a.jsonl")


def test_a_source_that_is_there_again_has_its_number(tmp_path: Path, a: str, b: str) -> None:
    (tmp_path / "other").mkdir()
    other = write(tmp_path / "other" / "b.jsonl", pairs("other", 4))
    rows = open_rows(a, [b, a, f"2*{other}", a])
    assert list(dict.fromkeys(data.name for data in rows.files)) == [
        "a.jsonl",
        b,
        "a.jsonl (2)",
        other,
        "a.jsonl (3)",
    ]


@pytest.mark.parametrize("text", ["0*{}", "-1*{}", "+0.0*{}", "1001*{}"])
def test_a_weight_that_is_none_is_told(a: str, b: str, text: str) -> None:
    with pytest.raises(HoneError, match="it must be above 0 and at most 1000") as caught:
        open_rows(a, [text.format(b)])
    assert caught.value.path == "data.more"


def test_a_source_that_is_gone_is_told_as_one_that_is_mixed_in(a: str, tmp_path: Path) -> None:
    with pytest.raises(HoneError, match=r"gone\.jsonl does not exist") as caught:
        open_rows(a, [f"2*{tmp_path / 'gone.jsonl'}"])
    assert caught.value.path == "data.more"
