"""The check of a whole dataset: what is counted, listed and refused."""

from __future__ import annotations

import json

import pytest

from core.data.check import check, no_usable_row
from core.data.report import Report
from core.data.rows import open_rows
from core.errors import HoneError
from core.sections import DataSection


def write(folder, lines):
    path = folder / "rows.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return str(path)


def pair(prompt, completion="c"):
    return {"prompt": prompt, "completion": completion}


def test_a_mixed_file_is_counted_exactly(tmp_path):
    source = write(
        tmp_path, [pair("one"), pair("two", ""), "{", pair("one"), pair("three", "four"), pair("", "x"), "{"]
    )
    report = check(DataSection(source=source))
    assert (report.num_rows, report.num_used, report.num_skipped) == (7, 3, 4)
    assert report.reasons == {"invalid JSON": 2, "empty answer": 1, "empty message": 1}
    assert [(problem.line, problem.kind) for problem in report.problems] == [
        (2, "empty answer"),
        (3, "invalid JSON"),
        (6, "empty message"),
        (7, "invalid JSON"),
    ]
    assert report.num_duplicates == 1
    assert report.roles == {"user": 3, "assistant": 3}
    assert report.num_messages == 6
    assert (report.characters.min, report.characters.median, report.characters.max) == (4, 4, 9)
    assert report.format == "prompt"


def test_the_report_is_json(tmp_path):
    report = check(DataSection(source=write(tmp_path, [pair("a")])))
    assert Report.model_validate_json(report.model_dump_json()) == report


def test_only_the_first_hundred_problems_are_listed_and_all_are_counted(tmp_path):
    report = check(DataSection(source=write(tmp_path, [pair("a"), *["{"] * 250])))
    assert len(report.problems) == 100
    assert report.reasons == {"invalid JSON": 250}
    assert report.num_skipped == 250


def test_a_dataset_without_a_usable_row_is_reported_and_refused(tmp_path):
    source = write(tmp_path, [pair("a", ""), pair("b", None)])
    report = check(DataSection(source=source))
    assert (report.num_used, report.characters.max) == (0, 0)
    error = no_usable_row(source, report.num_rows, report.problems[0])
    assert isinstance(error, HoneError)
    assert error.path == "data.source"
    assert "none of its 2 rows can be used; line 1: completion is empty" in error.message
    assert "its only row cannot be used" in no_usable_row(source, 1, report.problems[0]).message


def test_progress_is_told_and_can_cancel(tmp_path):
    source = write(tmp_path, [pair(str(i)) for i in range(5000)])
    told = []
    check(DataSection(source=source), 0, lambda done, total: told.append((done, total)))
    assert told == [(0, 5000), (2000, 5000), (4000, 5000)]

    def cancel(done, total):
        if done:
            raise KeyboardInterrupt

    source = write(tmp_path, [pair(str(i)) for i in range(5001)])  # what was read before is kept
    with pytest.raises(KeyboardInterrupt):
        check(DataSection(source=source), 0, cancel)


@pytest.mark.parametrize("name", ["poems", "facts", "notes", "poems-preferences"])
def test_the_bundled_datasets_have_no_problems(name):
    report = check(DataSection(source=f"sample:{name}"))
    assert report.num_used == report.num_rows == len(open_rows(f"sample:{name}"))
    assert report.num_duplicates == 0


def test_the_bundled_broken_dataset_shows_every_common_mistake():
    report = check(DataSection(source="sample:broken"))
    assert 0 < report.num_used < report.num_rows
    assert len(report.reasons) >= 5
