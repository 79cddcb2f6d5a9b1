"""What is unpacked is bounded: the oldest goes first, and nothing that a live process uses."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core import places
from core.data import shelf
from core.data.rows import open_rows


def put(name: str, num_bytes: int, age: float) -> Path:
    folder = places.cache_folder() / "data" / name
    folder.mkdir(parents=True)
    (folder / "rows.jsonl").write_bytes(bytes(num_bytes))
    (folder / shelf.MARK).write_text("[]")
    os.utime(folder / shelf.MARK, (time.time() - age, time.time() - age))
    return folder


def test_the_oldest_goes_first_and_only_as_much_as_must() -> None:
    old, middle, new = (put(name, 10_000, age) for name, age in (("a", 300), ("c", 200), ("b", 100)))
    assert shelf.sweep(old.parent, 10**6) == 0
    removed = shelf.sweep(old.parent, 21_000)
    assert 10_000 <= removed < 11_000
    assert [folder.exists() for folder in (old, middle, new)] == [False, True, True]
    shelf.sweep(old.parent, 0)
    assert list(old.parent.iterdir()) == []


def test_what_is_used_stays_and_what_its_user_left_goes() -> None:
    mine, other, dead = (put(name, 10_000, 300) for name in ("mine", "other", "dead"))
    assert shelf.hold(mine)
    code = f"import sys; sys.path.insert(0, {str(Path(shelf.__file__).parents[2])!r})\n"
    code += "from pathlib import Path; from core.data import shelf\n"
    code += "shelf.hold(Path(sys.argv[1])); print(flush=True); sys.stdin.read()"
    users = [
        subprocess.Popen([sys.executable, "-c", code, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for folder in (other, dead)
    ]
    for user in users:
        assert user.stdout is not None
        user.stdout.readline()
    users[1].communicate()
    (dead / shelf.USERS / str(os.getpid())).write_text("1.00")  # a process of this number, and not this one
    shelf.sweep(mine.parent, 0)
    assert [folder.exists() for folder in (mine, other, dead)] == [True, True, False]
    users[0].communicate()
    shelf.sweep(mine.parent, 0)
    assert [folder.exists() for folder in (mine, other)] == [True, False]
    assert not shelf.hold(other)


def test_an_unpacking_that_never_ended_is_removed_after_a_day() -> None:
    kept = put("kept", 10, 0)
    for name, age in ((".fresh", 10), (".stale", 2 * shelf.ABANDONED_SECONDS)):
        (kept.parent / name).mkdir()
        os.utime(kept.parent / name, (time.time() - age, time.time() - age))
    shelf.sweep(kept.parent, 10**9)
    assert sorted(path.name for path in kept.parent.iterdir()) == [".fresh", "kept"]


def test_unpacking_sweeps_and_what_was_swept_is_unpacked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = put("stale", 10_000, 300)
    monkeypatch.setattr(shelf, "MOST_BYTES", 0)
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl.gz").write_bytes(gzip.compress(json.dumps({"text": name}).encode()))
        rows = open_rows(str(tmp_path / f"{name}.jsonl.gz"))
        assert rows[0].text == name
    assert not stale.exists()
    assert len(list(stale.parent.iterdir())) == 2  # this process uses both
    with monkeypatch.context() as patch:
        patch.setattr(shelf, "is_used", lambda folder: False)
        shelf.sweep(stale.parent, 0)
    assert list(stale.parent.iterdir()) == []
    assert open_rows(str(tmp_path / "a.jsonl.gz"))[0].text == "a"
