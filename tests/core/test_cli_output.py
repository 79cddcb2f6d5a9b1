"""What the command line prints: columns, spreads, and words of strangers that give the terminal no orders."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from core.cli import main
from core.cli.datasets import spread_in_words
from core.cli.output import printable, table
from core.data.report import Spread
from core.launch import PROJECT

LINE = '{"prompt": "What is a hat?", "completion": "A warm thing."}\n'


def test_whole_numbers_stand_at_the_right() -> None:
    assert table([("7", "a"), ("1,200", "b")], ("ROWS", "WHY")) == " ROWS  WHY\n    7  a\n1,200  b"
    assert table([("7 s", "a"), ("-", "b")], ("TIME", "WHY")) == "TIME  WHY\n7 s   a\n-     b"
    assert table([], ("ROWS",)) == "ROWS"


def test_spreads_are_as_short_as_they_can_be() -> None:
    assert spread_in_words(Spread(min=7, median=7, max=7), "characters") == "7 characters in a row"
    said = spread_in_words(Spread(min=2, median=1400, max=5000), "characters")
    assert said == "2 to 5,000 characters in a row, median 1,400"


def test_words_of_strangers_give_the_terminal_no_orders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = "\x1b]0;owned\x07\u202eevil 👩\u200d👧"
    assert printable(evil) == "\\x1b]0;owned\\x07\\x202eevil 👩\u200d👧"
    (tmp_path / "a.jsonl").write_text(json.dumps({"prompt": evil, "completion": evil}) + "\n{" + evil)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(f"{evil}.jsonl", LINE + "{")
        archive.writestr(f"{evil}.png", "x")
        archive.writestr("b.jsonl", LINE)
    for typed in ("show a.jsonl", "check a.jsonl", "check a.zip", "show a.zip --row 2", "stats a.zip"):
        verb, name, *more = typed.split()
        main(["data", verb, str(tmp_path / name), *more])
        said = "".join(capsys.readouterr())
        assert said and "\x1b" not in said and "\x07" not in said and "\u202e" not in said


def test_a_row_is_shown_with_its_file_and_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.jsonl").write_text(LINE)
    (tmp_path / "b.jsonl").write_text("\n" + LINE)
    assert main(["data", "show", str(tmp_path), "--row", "2"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "Row 2 of 2, line 2 of b.jsonl, of kind “prompt”"
    assert main(["data", "show", str(tmp_path), "--row", "2", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["row"], shown["line"], shown["file"], shown["format"]) == (2, 2, "b.jsonl", "prompt")


def test_a_mixture_is_checked_shown_and_exported_by_its_files(tmp_path: Path, capsys) -> None:
    a, b = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    a.write_text(LINE + LINE.replace("hat", "cap"))
    b.write_text('{"instruction": "Why?", "output": "So."}\n{"instruction": "Why?", "output": ""}\n')
    more = f"data.more=['2*{b}', '{a}']"
    target = tmp_path / "problems.csv"
    assert main(["data", "check", str(a), "--set", more, "--export", str(target)]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{a} and 2 more (")
    assert "b.jsonl line 2" in said and "a.jsonl (2) line 1  is the same as line 1 of a.jsonl" in said
    found = [line.split(",")[:5] for line in target.read_text().splitlines()]
    assert ["4", "b.jsonl", "2", "False", "empty answer"] in found
    assert ["5", "a.jsonl (2)", "1", "True", "repeats another row"] in found
    assert main(["data", "show", str(a), "--set", more, "--row", "5"]) == 1
    assert capsys.readouterr().err == "hone: b.jsonl, line 2: output is empty.\n"


@pytest.mark.skipif(os.name == "nt", reason="sends the signal that Ctrl+C sends")
def test_ctrl_c_while_unpacking_leaves_nothing(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("a.jsonl", (LINE * 2_000_000)[: 100 * 2**20])
    environment = {**os.environ, "HONE_HOME": str(tmp_path / "home"), "PYTHONPATH": str(PROJECT)}
    process = subprocess.Popen(
        [sys.executable, "-m", "core.cli", "data", "check", "a.zip"], cwd=tmp_path, env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    shelf, end = tmp_path / "home" / "cache" / "data", time.monotonic() + 60
    while not (shelf.is_dir() and any(shelf.iterdir())) and time.monotonic() < end:
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=60)
    assert (process.returncode, out, errors) == (130, "", "")
    assert list(shelf.iterdir()) == []
