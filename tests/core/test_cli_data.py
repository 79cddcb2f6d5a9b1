"""`hone data …` on the real command line: one document for programs, one sentence for a mistake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.cli import main
from core.data.overlay import overlay_file


@pytest.fixture
def file(tmp_path: Path) -> str:
    rows = [{"prompt": f"p{n}", "completion": f"c{n}"} for n in range(3)]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"prompt": "p"}\n')
    return str(path)


def document(capsys: pytest.CaptureFixture[str], *typed: str) -> Any:
    assert main(["data", *typed, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def told(capsys: pytest.CaptureFixture[str], *typed: str) -> str:
    """The one sentence of a refusal."""
    assert main(["data", *typed]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("hone: ")
    assert said.err.count("\n") == 1
    return said.err


def test_check_exports_every_problem(file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "problems.jsonl"
    found = document(capsys, "check", file, "--export", str(target))
    assert (found["num_used"], found["num_skipped"], found["num_exported"]) == (3, 1, 1)
    assert json.loads(target.read_text())["kind"] == "missing field"
    assert main(["data", "check", file, "--export", str(tmp_path / "problems.csv")]) == 0
    assert "1 problems and remarks are in" in capsys.readouterr().out
    assert "neither .csv nor .jsonl" in told(capsys, "check", file, "--export", str(tmp_path / "a.xlsx"))
    assert "cannot be written" in told(capsys, "check", file, "--export", str(tmp_path / "no" / "a.csv"))


def test_stats_for_programs_and_for_people(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = document(capsys, "stats", file, "--personal")
    assert found["formats"] == {"prompt": 3}
    assert found["scripts"] == {"Latin": 3}
    assert found["personal"]["num_rows"] == 0
    assert main(["data", "stats", "sample:poems"]) == 0
    said = capsys.readouterr().out
    assert "rows can be used" in said
    assert "Latin" in said
    assert "personal" not in document(capsys, "stats", file)


def test_personal_data_is_counted_and_never_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"prompt": "mail jane.doe@example.org", "completion": "4111 1111 1111 1111"}))
    assert main(["data", "stats", str(path), "--personal"]) == 0
    said = capsys.readouterr().out
    assert "1 of 1 rows hold what looks like personal data" in said
    assert "line 1" in said
    assert "jane" not in said
    found = document(capsys, "check", str(path), "--personal", "--export", str(tmp_path / "p.jsonl"))
    assert found["remark_counts"] == {"e-mail address": 1, "card number": 1}
    assert found["num_exported"] == 2
    assert "jane" not in (tmp_path / "p.jsonl").read_text()
    assert main(["data", "check", str(path), "--personal"]) == 0
    said = capsys.readouterr().out
    assert "ja…rg" in said
    assert "jane" not in said
    assert "1111 1111" not in said


def test_rows_are_edited_and_the_edits_undone(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = Path(file).read_bytes()
    plain = document(capsys, "check", file)
    found = document(capsys, "edit", file, "--exclude", "1", "--exclude", "4")
    assert (found["num_edits"], found["num_changed"], found["num_rows"]) == (2, 2, 4)
    assert found["sha256"] != plain["sha256"]
    document(capsys, "edit", file, "--set", "2.completion=a = b\nc")
    assert document(capsys, "show", file, "--row", "2")["messages"][1]["content"] == "a = b\nc"
    document(capsys, "edit", file, "--add", '{"prompt": "x", "completion": "y"}')
    report = document(capsys, "check", file)
    assert (report["num_rows"], report["num_used"], report["reasons"]) == (5, 3, {"left out": 2})
    for _ in range(4):
        assert main(["data", "edit", file, "--undo"]) == 0
    assert "no edits left" in capsys.readouterr().out
    assert document(capsys, "check", file) == plain
    assert Path(file).read_bytes() == before
    assert not overlay_file(file).exists()


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["check", "nowhere.jsonl"], "does not exist"),
        (["check", "/dev/null"], "not a file"),
        (["stats", "nowhere.jsonl"], "does not exist"),
        (["stats", "FILE", "--set", "data.maxlength=3"], "max_length"),
        (["stats", "FILE", "--model", "nowhere-to-be-found"], "not on this machine"),
        (["show", "FILE", "--row", "0"], "none of them"),
        (["show", "FILE", "--row", "5"], "none of them"),
        (["show", "FILE", "--row", "4"], "has no completion"),
        (["show", "hub:a b"], "is not hub:OWNER/NAME"),
        (["check", "hub:maker/data"], "hone download --data maker/data"),
        (["edit", "FILE", "--exclude", "0"], "none of them"),
        (["edit", "FILE", "--exclude", "9"], "none of them"),
        (["edit", "FILE", "--set", "2"], "N.FIELD=VALUE"),
        (["edit", "FILE", "--set", "two.completion=x"], "N.FIELD=VALUE"),
        (["edit", "FILE", "--set", "9.completion=x"], "none of them"),
        (["edit", "FILE", "--set", "2.completion.deep=x"], "no place"),
        (["edit", "FILE", "--add", "{"], "no JSON"),
        (["edit", "FILE", "--add", "[]"], "no JSON object"),
        (["edit", "FILE", "--add", "{}"], "has no prompt"),
        (["edit", "FILE", "--add", '{"prompt": "\\ud83d", "completion": "b"}'], "half a character"),
        (["edit", "FILE", "--undo"], "nothing to undo"),
        (["edit", "nowhere.jsonl", "--undo"], "does not exist"),
        (["about", "a b"], "is not hub:OWNER/NAME"),
    ],
)
def test_mistakes_are_told_in_a_sentence(
    file: str, typed: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert words in told(capsys, *(file if text == "FILE" else text for text in typed))
    assert not overlay_file(file).exists()


@pytest.mark.parametrize("typed", [["edit", "FILE"], ["edit", "FILE", "--undo", "--exclude", "1"], ["search"],
                                   ["edit", "FILE", "--exclude", "x"], ["eat", "FILE"]])  # fmt: skip
def test_what_is_mistyped_exits_with_2(typed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["data", *typed])
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize("typed", [["data", "search", "poems"], ["data", "about", "maker/data"],
                                   ["download", "--data", "maker/data"]])  # fmt: skip
def test_without_a_network_the_hub_is_refused_in_a_sentence(
    typed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(typed) == 1
    said = capsys.readouterr()
    assert "HF_HUB_OFFLINE is set" in said.err
    assert said.err.count("\n") == 1


def test_a_mixture_is_counted_as_its_weights_show_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        rows = [{"prompt": f"{name} {n}", "completion": "x"} for n in range(40)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n{broken")
    typed = [str(tmp_path / "a.jsonl"), "--set", f"data.more=3*{tmp_path / 'b.jsonl'}"]
    assert main(["data", "check", *typed]) == 0
    said = capsys.readouterr().out
    split = document(capsys, "check", *typed)["split"]
    assert split["num_trained"] + split["num_held"] == 40 + 3 * 40 and split["num_left"] == 1 + 3
    assert f"show them: {split['num_trained']} trained, {split['num_held']} held out, 4 left out" in said
