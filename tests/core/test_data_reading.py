"""Rows are read once: another policy, split or file to evaluate on judges them anew by what was kept."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from core import places
from core.data import reading, shelf
from core.data.check import check
from core.data.export import export_problems
from core.sections import DataSection


@pytest.fixture
def source(tmp_path: Path) -> Path:
    rows = [{"prompt": f"Ask {n % 2400}", "completion": f"Answer {n % 2450}", "kind": n % 4} for n in range(2500)]
    rows[7]["completion"], rows[9]["prompt"], rows[11]["completion"] = "", "Ring \a bell", "jane.doe@example.org"
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)) + "\n{broken")
    return path


@pytest.fixture
def num_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows have been read."""
    count, add = [0], reading.GrowingReading.add

    def counted(self: Any, row: Any) -> None:
        count[0] += 1
        add(self, row)

    monkeypatch.setattr(reading.GrowingReading, "add", counted)
    return count


def section(source: Path, **values: Any) -> DataSection:
    return DataSection(source=str(source), **values)


def test_a_change_of_policy_or_split_reads_no_row_again(source: Path, num_read: list[int], tmp_path: Path):
    check(section(source))
    assert num_read == [2501]
    settings = [
        {"on_duplicate": "skip"}, {"on_conflict": "stop"}, {"holdout": 0.5}, {"on_control": "skip"},
        {"on_no_answer": "stop", "on_invalid": "skip"}, {"on_leak": "skip", "holdout": 0.3},
    ]  # fmt: skip
    judged = [check(section(source, **values)) for values in settings]
    export_problems(section(source, on_near_duplicate="skip"), 0, tmp_path / "all.csv")
    assert num_read == [2501], "only judged anew"
    assert len({report.model_dump_json() for report in judged}) == len(settings)
    shutil.rmtree(places.cache_folder())
    assert [check(section(source, **values)) for values in settings] == judged
    assert num_read == [2 * 2501]


def test_what_is_read_or_sought_otherwise_is_read_again(source: Path, num_read: list[int]):
    first = check(section(source))
    assert "e-mail address" not in first.remark_counts
    for values in ({"on_personal": "keep"}, {"group_by": "kind"}, {"mapping": {"text": "{prompt} {completion}"}}):
        num_read[0] = 0
        check(section(source, **values))
        assert num_read == [2501]
    with source.open("a") as file:
        file.write('\n{"prompt": "Ask", "completion": "once more"}')
    assert check(section(source)).num_rows == 2502


def test_a_file_to_evaluate_on_is_a_reading_of_its_own(source: Path, num_read: list[int], tmp_path: Path):
    check(section(source))
    apart = tmp_path / "apart.jsonl"
    apart.write_text('{"prompt": "Ask 3", "completion": "Other"}\n{"prompt": "Ask"}\n')
    num_read[0] = 0
    report = check(section(source, holdout_source=str(apart)))
    assert num_read == [2], "the data is not read again for it"
    assert (report.num_held, report.num_rows) == (1, 2503) and report.remark_counts["trained and held out"] == 1
    assert report.problems[-1].file == "apart.jsonl" and report.split.asked == (2501,)
    assert report.roles["assistant"] == 2500 and report.characters.min == len("Ask 3Other")


@pytest.mark.parametrize("name", [shelf.MARK, reading.ARRAYS])
def test_what_is_kept_and_torn_is_read_again(source: Path, num_read: list[int], name: str):
    first = check(section(source))
    (kept,) = (places.cache_folder() / "data").glob(f"*/{name}")
    kept.write_bytes(kept.read_bytes()[:-40])
    assert check(section(source)) == first and num_read == [2 * 2501]
    assert check(section(source)) == first and num_read == [2 * 2501]


def test_rows_without_a_flaw_are_kept_too(tmp_path: Path, num_read: list[int]):
    path = tmp_path / "plain.jsonl"
    path.write_text("\n".join(json.dumps({"text": f"Text {n}"}) for n in range(2000)))
    assert check(section(path)) == check(section(path)) and num_read == [2000]


def test_the_split_counts_rows_as_often_as_a_weight_shows_them(source: Path, tmp_path: Path):
    other = tmp_path / "other.jsonl"
    other.write_text("\n".join(json.dumps({"prompt": f"Say {n}", "completion": "x"}) for n in range(50)) + "\n{}")
    report = check(section(source, more=(f"3*{other}",), holdout=0.1))
    split = report.split
    assert report.num_rows == 2501 + 51 and split.num_trained + split.num_held == 2499 + 150
    assert split.num_left == 2 + 3
    assert (report.num_trained, report.num_held) != (split.num_trained, split.num_held)


def test_a_column_alone_decides_where_it_is_named_and_groups_stay_together(tmp_path: Path):
    rows = [
        {"prompt": f"Ask {n}", "completion": f"Answer {n}", "kind": "tale" if n % 4 == 0 else "verse",
         "author": n // 10, "split": "Validation" if n % 5 == 0 else "train"}
        for n in range(400)
    ]  # fmt: skip
    rows[3]["completion"] = ""
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))

    def held(seed: int = 0, **values: Any) -> set[int]:
        split = check(section(path, **values), seed).split
        assert (split.num_trained + split.num_held, split.num_left) == (399, 1)
        assert len(split.asked) == min(100, split.num_held)
        return set(split.asked)

    assert held(split_column="split") == set(range(0, 400, 5))
    assert 20 <= len(held(holdout=0.1)) <= 60 and held(holdout=0.1) != held(1, holdout=0.1)
    assert not held(holdout=0)
    strata = held(holdout=0.2, stratify_by="kind")
    assert len(strata) == 80 and sum(number % 4 == 0 for number in strata) == 20
    groups = held(holdout=0.2, group_by="author")
    assert all((number in groups) == (number // 10 * 10 in groups) for number in range(400) if number != 3)
