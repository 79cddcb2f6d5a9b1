"""Durable writes: whole or not at all, also when the writer is killed, the disk is full or a bit is wrong."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import durable

posix = pytest.mark.skipif(os.name != "posix", reason="signals and file size limits are POSIX")


def left_behind(folder: Path) -> list[Path]:
    return list(folder.rglob(f"{durable.STAGING_PREFIX}*"))


def fill_with(content: dict[str, bytes]):
    def fill(folder: Path) -> None:
        for name, data in content.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)

    return fill


def test_a_file_is_replaced_with_text_or_bytes(tmp_path: Path):
    path = tmp_path / "file"
    durable.write_file(path, "först ✓")
    assert path.read_text(encoding="utf-8") == "först ✓"
    durable.write_file(path, b"\x00second")
    assert path.read_bytes() == b"\x00second"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "file"
    durable.write_file(path, "old")

    def no_space(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space"):
        durable.write_file(path, "new")
    assert path.read_text() == "old"
    assert not left_behind(tmp_path)


def test_text_that_is_no_unicode_leaves_no_litter(tmp_path: Path):
    with pytest.raises(ValueError):
        durable.write_file(tmp_path / "file", "\udc80")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_appears_whole_with_the_sums_of_its_files(tmp_path: Path):
    target = tmp_path / "deep" / "step-000001"
    size = durable.write_folder(target, fill_with({"a": b"12345", "sub/b": b"67"}))
    assert size == 7
    assert durable.is_whole(target)
    assert set(json.loads((target / durable.MANIFEST).read_text())["sha256"]) == {"a", "sub/b"}
    assert not left_behind(tmp_path)


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path):
    target = tmp_path / "adapter"
    durable.write_folder(target, fill_with({"old": b"1", "both": b"1"}))
    durable.write_folder(target, fill_with({"new": b"2", "both": b"2"}))
    assert sorted(path.name for path in target.iterdir()) == ["both", durable.MANIFEST, "new"]
    assert durable.is_whole(target)
    assert not left_behind(tmp_path)


def test_when_filling_fails_the_old_folder_stays(tmp_path: Path):
    target = tmp_path / "adapter"
    durable.write_folder(target, fill_with({"weights": b"old"}))

    def half(folder: Path) -> None:
        (folder / "weights").write_bytes(b"ne")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError):
        durable.write_folder(target, half)
    assert (target / "weights").read_bytes() == b"old" and durable.is_whole(target)
    assert not left_behind(tmp_path)


def test_when_the_last_rename_fails_the_old_folder_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    target = tmp_path / "adapter"
    durable.write_folder(target, fill_with({"weights": b"old"}))
    rename, calls = Path.rename, []

    def refuse_second(self: Path, to: Path) -> Path:
        calls.append(to)
        if len(calls) == 2:
            raise PermissionError(13, "A scanner holds the folder")
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", refuse_second)
    with pytest.raises(PermissionError):
        durable.write_folder(target, fill_with({"weights": b"new"}))
    assert (target / "weights").read_bytes() == b"old" and durable.is_whole(target)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / "a").write_bytes(b"12346"),
        lambda folder: (folder / "a").unlink(),
        lambda folder: (folder / "a").write_bytes(b""),
        lambda folder: (folder / durable.MANIFEST).unlink(),
        lambda folder: (folder / durable.MANIFEST).write_bytes(b""),
        lambda folder: (folder / durable.MANIFEST).write_bytes(b"\xff{"),
        lambda folder: (folder / durable.MANIFEST).write_text("[]"),
        lambda folder: (folder / durable.MANIFEST).write_text('{"sha256": ["a"]}'),
        lambda folder: (folder / durable.MANIFEST).write_text('{"sha256": {"a\\u0000": "x"}}'),
        lambda folder: (folder / durable.MANIFEST).write_text('{"sha256": {"sub": "x"}}'),
        lambda folder: (folder / durable.MANIFEST).write_text("[" * 200_000),
        lambda folder: (folder / durable.MANIFEST).write_text('{"sha256": {}}'),
    ],
)
def test_a_folder_that_is_not_what_was_written_is_not_whole(tmp_path: Path, spoil):
    target = tmp_path / "step-000001"
    durable.write_folder(target, fill_with({"a": b"12345", "sub/b": b"67"}))
    assert durable.is_whole(target)
    spoil(target)
    assert not durable.is_whole(target)


def test_what_is_no_folder_is_not_whole(tmp_path: Path):
    (tmp_path / "file").touch()
    assert not durable.is_whole(tmp_path / "missing")
    assert not durable.is_whole(tmp_path / "file")
    assert not durable.is_whole(tmp_path)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), content=st.binary(min_size=1, max_size=200))
def test_every_single_wrong_bit_is_noticed(tmp_path_factory, data, content):
    target = tmp_path_factory.mktemp("bits") / "step-000001"
    durable.write_folder(target, fill_with({"weights": content}))
    bit = data.draw(st.integers(0, len(content) * 8 - 1))
    spoilt = bytearray(content)
    spoilt[bit // 8] ^= 1 << bit % 8
    (target / "weights").write_bytes(spoilt)
    assert not durable.is_whole(target)


def test_sweeping_removes_what_killed_writers_left_and_nothing_else(tmp_path: Path):
    (tmp_path / f"{durable.STAGING_PREFIX}0-file").write_text("half")
    (tmp_path / f"{durable.STAGING_PREFIX}1-step-000009").mkdir()
    (tmp_path / f"{durable.STAGING_PREFIX}1-step-000009" / "weights").write_text("half")
    durable.write_folder(tmp_path / "step-000001", fill_with({"a": b"1"}))
    (tmp_path / "notes.md").write_text("mine")
    durable.sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.md", "step-000001"]
    durable.sweep(tmp_path / "missing")


WRITER = """
import random, sys
from pathlib import Path
from core import durable
target, seed = Path(sys.argv[1]), int(sys.argv[2])
print("ready", flush=True)
number = 0
while True:
    number += 1
    def fill(folder):
        for name in ("adapter.safetensors", "optimizer.safetensors", "state.json"):
            (folder / name).write_bytes(random.Random(f"{name}{number}").randbytes(200_000))
    durable.write_folder(target / "adapter", fill)
    durable.write_folder(target / f"step-{number % 3:06d}", fill)
    durable.write_file(target / "file", f"{number}" * 1000)
    print(number, flush=True)
"""


def kill_midway(folder: Path, seconds: float) -> int:
    """Start a writer that saves without end, SIGKILL it, and return how often it had saved."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"
    time.sleep(seconds)
    writer.kill()
    rest, _ = writer.communicate()
    return int(rest.split()[-1]) if rest.split() else 0


@posix
def test_a_kill_at_any_moment_never_leaves_a_broken_or_lost_folder(tmp_path: Path):
    """The old or the new adapter is there after every kill, and every checkpoint seen is whole."""
    dice, saved, kills = random.Random(5), 0, 0
    while kills < 12 or saved <= 12:  # a busy machine hardly lets the writer write
        kills += 1
        saved += kill_midway(tmp_path, dice.uniform(0.01, 0.12))
        durable.sweep(tmp_path)
        assert not left_behind(tmp_path)
        for folder in tmp_path.glob("step-*"):
            assert durable.is_whole(folder)
        if saved:
            assert durable.is_whole(tmp_path / "adapter")
            text = (tmp_path / "file").read_text()
            assert text == text[: len(text) // 1000] * 1000


BETWEEN_RENAMES = """
import os, signal, sys
from pathlib import Path
from core import durable
target = Path(sys.argv[1])
rename, calls = Path.rename, []
def rename_then_die(self, to):
    done = rename(self, to)
    os.kill(os.getpid(), signal.SIGKILL)
Path.rename = rename_then_die
durable.write_folder(target, lambda folder: (folder / "weights").write_bytes(b"new"))
"""


@posix
def test_a_kill_between_the_two_renames_loses_nothing(tmp_path: Path):
    target = tmp_path / "adapter"
    durable.write_folder(target, fill_with({"weights": b"old"}))
    died = subprocess.run([sys.executable, "-c", BETWEEN_RENAMES, str(target)], check=False)
    assert died.returncode == -9
    assert not target.exists(), "the kill did not fall between the renames"
    durable.sweep(tmp_path)
    assert durable.is_whole(target)
    assert (target / "weights").read_bytes() in (b"old", b"new")
    assert not left_behind(tmp_path)


SMALL_DISK = """
import resource, signal, sys
from pathlib import Path
from core import durable
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
target = Path(sys.argv[1])
durable.write_folder(target, lambda folder: (folder / "weights").write_bytes(b"o" * 100))
durable.write_file(target.parent / "file", "old")
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
for write in (
    lambda: durable.write_folder(target, lambda folder: (folder / "weights").write_bytes(b"n" * 5000)),
    lambda: durable.write_file(target.parent / "file", "n" * 5000),
):
    try:
        write()
    except OSError:
        print("refused")
"""


@posix
def test_a_full_disk_is_an_error_and_leaves_the_last_good_version(tmp_path: Path):
    target = tmp_path / "adapter"
    done = subprocess.run(
        [sys.executable, "-c", SMALL_DISK, str(target)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["refused", "refused"]
    assert durable.is_whole(target) and (target / "weights").read_bytes() == b"o" * 100
    assert (tmp_path / "file").read_text() == "old"
    assert not left_behind(tmp_path)
