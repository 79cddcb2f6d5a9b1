"""A check in a process of its own finds what a check at hand finds, and ends when nobody waits for it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import psutil
import pytest

from core import places
from core.config import RunConfig
from core.data.apart import NICE, check_apart, check_run
from core.errors import HoneError


def config_of(path: Path) -> RunConfig:
    return RunConfig().with_values({"data.source": str(path), "data.holdout": 0.1})


@pytest.fixture
def many(tmp_path: Path) -> Path:
    rows = [{"prompt": f"What is {number % 4990}?", "completion": "A number."} for number in range(5000)]
    path = tmp_path / "many rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"prompt": \n')
    return path


def test_it_finds_what_a_check_at_hand_finds(many: Path) -> None:
    told: list[tuple[int, int]] = []
    report = check_apart(config_of(many), lambda done, total: told.append((done, total)))
    assert report == check_run(config_of(many))
    shutil.rmtree(places.cache_folder())
    assert report == check_run(config_of(many)), "what was kept is what is read"
    assert (report.num_rows, report.num_skipped, report.num_duplicates) == (5001, 1, 10)
    assert told == [(0, 5001), (2000, 5001), (4000, 5001)]


def test_it_stands_back_behind_the_window(many: Path) -> None:
    found: list[int] = []
    before, own = set(psutil.Process().children()), int(psutil.Process().nice())

    def look(done: int, total: int) -> None:
        found.extend(int(child.nice()) - own for child in set(psutil.Process().children()) - before)

    check_apart(config_of(many), look)
    assert found and (set(found) == {NICE} or psutil.WINDOWS)


def test_a_mistake_is_the_same_sentence(tmp_path: Path) -> None:
    with pytest.raises(HoneError, match=r"nowhere.jsonl does not exist; give") as caught:
        check_apart(config_of(tmp_path / "nowhere.jsonl"), lambda done, total: None)
    assert caught.value.path == "data.source"


def test_it_ends_when_nobody_waits(many: Path) -> None:
    def drop(done: int, total: int) -> None:
        raise InterruptedError

    before = set(psutil.Process().children())
    with pytest.raises(InterruptedError):
        check_apart(config_of(many), drop)
    assert not set(psutil.Process().children()) - before
