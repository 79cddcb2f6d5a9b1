"""What data is made of, and what looks personal in it: found by pattern and checksum, never repeated in full."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.export import export_problems
from core.data.lengths import Lengths
from core.data.packing import padding
from core.data.personal import find_personal, hint, is_card, is_iban
from core.data.scripts import NAMES, letters_by_script, main_script
from core.data.statistics import statistics
from core.errors import HoneError
from core.sections import DataSection


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("The fox slept.", "Latin"),
        ("Où est l’été ? Straße, Łódź", "Latin"),
        ("Лиса спала.", "Cyrillic"),
        ("狐狸在睡觉。", "Han (Chinese)"),
        ("狐は眠っていた。", "Han and kana (Japanese)"),
        ("여우가 잤다.", "Hangul (Korean)"),
        ("נם השועל.", "Hebrew"),
        ("نام الثعلب", "Arabic"),
        ("लोमड़ी सो गई।", "Devanagari"),
        ("Η αλεπού", "Greek"),
        ("สุนัขจิ้งจอก", "Thai"),
        ("நரி தூங்கியது", "Tamil"),
        ("The fox лиса спала the fox лиса", "mixed"),
        ("def f(x): return 狐", "Latin"),
        ("123 … 🦊", "none"),
        ("", "none"),
    ],
)
def test_scripts_are_told(text: str, script: str) -> None:
    assert main_script(letters_by_script(text)) == script


@given(st.text(st.characters(exclude_categories=[])))
def test_any_text_has_letters_of_known_scripts(text: str) -> None:
    counts = letters_by_script(text)
    assert len(counts) == len(NAMES)
    assert 0 <= counts.sum() <= len(text)
    assert main_script(counts)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("write to jane.doe+x@mail.example.co.uk, please", "e-mail address"),
        ("müller@straße.de", "e-mail address"),
        ("card 4111 1111 1111 1111 until 12/30", "card number"),
        ("5555555555554444", "card number"),
        ("378282246310005", "card number"),
        ("IBAN DE89 3704 0044 0532 0130 00.", "bank account"),
        ("GB82WEST12345698765432", "bank account"),
        ("from 8.8.8.8 and on", "IP address"),
        ("2001:4860:4860::8888", "IP address"),
        ("call +49 30 901820 today", "phone number"),
        ("+1 (415) 555-2671", "phone number"),
        ("(415) 555-2671", "phone number"),
        ("0044 20 7946 0958", "phone number"),
    ],
)
def test_what_looks_personal_is_found_once(text: str, kind: str) -> None:
    ((found, shown),) = list(find_personal(text))
    assert found == kind
    assert len(shown) <= 5
    assert shown.replace("…", "") not in ("", text)


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1112", "1234 5678 9012 3456", "DE89 3704 0044 0532 0130 01", "XX89 3704 0044 0532 0130 00",
        "192.168.1.1 and 127.0.0.1", "version 1.2.3.4.5", "999.1.1.1", "1,234,567,890", "2026-11-21 10:15:00",
        "3.14159265358979", "user@localhost", "@someone", "12:34:56", "std::vector", "a@b", "0x1f4a9c", "9" * 30,
        "rows 100-200-3000", "978-3-16-148410-0",
    ],
)  # fmt: skip
def test_what_only_resembles_it_is_not(text: str) -> None:
    assert list(find_personal(text)) == []


@given(st.text(max_size=200))
def test_any_text_can_be_searched(text: str) -> None:
    for _, shown in find_personal(text):
        assert len(shown) <= 5


def test_checksums() -> None:
    assert is_card("4242-4242-4242-4242")
    assert not is_card("4242-4242-4242-4241")
    assert is_iban("NL91 ABNA 0417 1643 00")
    assert not is_iban("NL91 ABNA 0417 1643 01")
    assert hint("jane@example.org") == "ja…rg"


def write(path: Path, trees: list[object]) -> str:
    path.write_text("".join(json.dumps(tree) + "\n" for tree in trees))
    return str(path)


def test_figures_of_a_dataset(tmp_path: Path) -> None:
    source = write(tmp_path / "a.jsonl", [
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "Лиса"}]},
        {"messages": [{"role": "user", "content": "b"}, {"role": "assistant", "content": "c"},
                      {"role": "user", "content": "jane@example.org"},
                      {"role": "assistant", "content": "8.8.8.8"}]},
        {"messages": []},
    ])  # fmt: skip
    more = write(tmp_path / "b.jsonl", [{"text": "One fox."}])
    found = statistics(source, [f"3*{more}"], personal=True)
    assert (found.num_rows, found.num_used) == (4, 3)
    assert found.formats == {"messages": 2, "text": 1}
    assert found.roles == {"user": 3, "assistant": 3}
    assert found.turns == {0: 1, 1: 1, 2: 1}
    assert found.scripts == {"Latin": 2, "Cyrillic": 1}
    assert found.letters == {"Latin": 23, "Cyrillic": 4}
    assert found.num_characters == 5 + 25 + 8
    assert found.personal is not None
    assert found.personal.num_rows == 1
    assert found.personal.counts == {"e-mail address": 1, "IP address": 1}
    assert [(trace.row, trace.file, trace.line) for trace in found.personal.listed] == [(2, "a.jsonl", 2)] * 2
    assert "jane" not in found.model_dump_json()
    assert statistics(source).personal is None


def test_packing_saves_what_padding_wastes() -> None:
    def lengths(tokens: list[int]) -> Lengths:
        return Lengths.from_sample(tokens, len(tokens), len(tokens), is_split=False)

    even = padding(lengths([100] * 64), 100, 4, 4)
    assert (even.without, even.with_packing, even.saved) == (0, 0, 0)
    short = padding(lengths([10] * 100), 100, 4, 4)
    assert (short.without, short.with_packing) == (0, 0)
    mixed = padding(lengths([90, 10] * 50), 100, 4, 1)
    assert mixed.with_packing == 0
    assert mixed.without > 0.2
    assert mixed.saved == pytest.approx(mixed.without)
    assert padding(lengths([]), 100, 4, 4).saved == 0
    assert padding(lengths([500] * 8), 100, 4, 1).without == 0


@given(st.lists(st.integers(1, 300), min_size=1, max_size=60), st.integers(8, 200))
def test_packing_agrees_with_best_fit_one_by_one(tokens: list[int], limit: int) -> None:
    found = padding(Lengths.from_sample(tokens, len(tokens), len(tokens), is_split=False), limit, 2, 2)
    rooms: list[int] = []
    for length in sorted((min(limit, token) for token in tokens), reverse=True):
        fits = [room for room in rooms if room >= length]
        if fits:
            rooms.remove(min(fits))
        rooms.append((min(fits) if fits else limit) - length)
    total = sum(min(limit, token) for token in tokens)
    assert found.with_packing == pytest.approx(1 - total / (len(rooms) * limit))
    assert 0 <= found.without < 1
    assert np.isfinite(found.saved)


def test_all_problems_are_exported_and_formulas_stay_text(tmp_path: Path) -> None:
    data = DataSection(holdout=0.0, source=write(tmp_path / "a.jsonl", [
        *({"prompt": f"p{n}", "completion": ""} for n in range(150)),
        *({"prompt": "same", "completion": "twice"} for _ in range(130)),
        {"prompt": "=cmd()", "completion": "a\u0001b"},
    ]))  # fmt: skip
    for name in ("out.csv", "out.jsonl"):
        count = export_problems(data, 0, tmp_path / name)
        assert count == 150 + 129 + 1
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["row"] for row in rows[:150]] == [str(n + 1) for n in range(150)]
    assert {row["kind"] for row in rows} == {"empty answer", "repeats another row", "control character"}
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line["is_used"] for line in lines] == [False] * 150 + [True] * 130
    assert not any(str(cell).startswith(("=", "+", "@")) for row in rows for cell in row.values())
    with pytest.raises(HoneError, match="neither"):
        export_problems(data, 0, tmp_path / "out.txt")
    with pytest.raises(HoneError, match="the data itself"):
        export_problems(data, 0, tmp_path / "a.jsonl")
    with pytest.raises(HoneError, match="cannot be written"):
        export_problems(data, 0, tmp_path / "nowhere" / "out.csv")
