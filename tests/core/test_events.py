"""Events: encode and decode, tail without loss or repetition, and survive torn lines and full disks."""

from __future__ import annotations

import errno
import math
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core import events
from core.events import (
    Evaluated,
    EventReader,
    EventWriter,
    Failed,
    Finished,
    Progress,
    Sampled,
    Started,
    Step,
    Warned,
    decode,
    encode,
    heal_torn_line,
)

KINDS = get_args(events.Event)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


def a_step(number: int, **changes: Any) -> Step:
    values: dict[str, Any] = {
        "step": number, "epoch": 0.5, "loss": 2.5, "learning_rate": 1e-4, "grad_norm": 1.0, "num_tokens": 512,
        "tokens_per_second": 900.0, "memory_bytes": 10, "peak_bytes": 20,
    }  # fmt: skip
    return Step(**{**values, **changes})


def same(one: events.Event, other: events.Event | None) -> bool:
    """Equality for which nan equals nan."""
    return other is not None and repr(one) == repr(other)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_of_event_reads_back_as_itself(kind):
    @settings(max_examples=25, deadline=None)
    @given(st.builds(kind, type=st.just(kind.model_fields["type"].default)))
    def check(event):
        line = encode(event)
        assert line.endswith(b"\n") and line.count(b"\n") == 1
        assert same(event, decode(line))

    check()


def test_each_type_name_belongs_to_one_kind():
    names = [kind.model_fields["type"].default for kind in KINDS]
    assert len(set(names)) == len(names)
    assert set(events.TERMINAL) <= set(KINDS)


@given(text)
@example("two\nlines\r\nand \x1c \u2028 \x85 separators")
@example('quotes " and \\ and \x00')
def test_text_of_any_kind_stays_on_one_line(words):
    event = Sampled(step=1, prompt=words, text=words)
    line = encode(event)
    assert len(line.splitlines()) == 1
    assert decode(line) == event


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_survive(odd):
    back = decode(encode(a_step(1, loss=odd, grad_norm=odd)))
    assert isinstance(back, Step)
    assert repr(back.loss) == repr(odd) and repr(back.grad_norm) == repr(odd)


@pytest.mark.parametrize(
    "line",
    [b"", b"\n", b"{", b'{"type":"step"}', b'{"type":"from the future","step":1}', b"null", b"[]", b"7",
     b'{"type":"step","step":"many"}', b"\xff\xfe\x00", b'{"type":["step"]}', b"[" * 100_000],
)  # fmt: skip
def test_a_line_that_is_no_known_event_is_passed_over(line):
    assert decode(line) is None


@settings(max_examples=300)
@given(st.binary(max_size=80))
def test_no_bytes_make_the_reader_fall(line):
    decode(line)


@settings(max_examples=300)
@given(st.integers(0, 400), st.integers(0, 255))
def test_a_changed_byte_gives_an_event_or_nothing(position, byte):
    line = bytearray(encode(a_step(3)))
    line[position % len(line)] = byte
    decode(bytes(line))


def test_an_unknown_field_is_ignored_so_that_old_windows_read_new_runs():
    line = encode(a_step(4)).replace(b'"step":4', b'"step":4,"colour":"blue"')
    assert decode(line) == decode(encode(a_step(4, time=decode(line).time)))  # type: ignore[union-attr]


def test_the_reader_returns_each_event_once_in_order(tmp_path: Path):
    path = tmp_path / "events.jsonl"
    reader = EventReader(path)
    assert reader.read() == []
    writer = EventWriter(path)
    for number in range(1, 6):
        writer.write(a_step(number))
    assert [event.step for event in reader.read()] == [1, 2, 3, 4, 5]  # type: ignore[union-attr]
    assert reader.read() == []
    writer.write(Finished(reason="done", step=5))
    assert [event.type for event in reader.read()] == ["finished"]
    writer.close()


@settings(max_examples=60, deadline=None)
@given(cuts=st.lists(st.integers(1, 400), max_size=30), num=st.integers(1, 8))
def test_however_the_bytes_arrive_nothing_is_lost_or_repeated(cuts, num):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.jsonl"
        content = b"".join(encode(a_step(number)) for number in range(num))
        reader, seen, rest = EventReader(path), [], content
        with path.open("ab", buffering=0) as file:
            for cut in [*cuts, len(content)]:
                file.write(rest[:cut])
                rest = rest[cut:]
                seen += reader.read()
        assert [event.step for event in seen] == list(range(num))


def test_a_reader_can_take_a_big_file_in_pieces(tmp_path: Path):
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"".join(encode(a_step(number)) for number in range(1000)))
    reader, seen, pieces = EventReader(path), [], 0
    while some := reader.read(20_000):
        seen += some
        pieces += 1
    assert [event.step for event in seen] == list(range(1000))
    assert pieces > 5


def test_a_line_longer_than_the_piece_is_still_read(tmp_path: Path):
    path = tmp_path / "events.jsonl"
    long = Sampled(step=1, prompt="p", text="x" * 50_000)
    path.write_bytes(encode(long) + encode(a_step(2)))
    reader, seen = EventReader(path), []
    while some := reader.read(1_000):
        seen += some
    assert seen[0] == long and seen[1].step == 2 and len(seen) == 2


def test_a_piece_of_unknown_lines_does_not_look_like_the_end(tmp_path: Path):
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"type":"from the future"}\n' * 1000 + encode(a_step(2)))
    reader, seen = EventReader(path), []
    while some := reader.read(1_000):
        seen += some
    assert [event.step for event in seen] == [2]


def test_what_is_unread_is_known_without_reading_it(tmp_path: Path):
    path = tmp_path / "events.jsonl"
    reader = EventReader(path)
    assert reader.num_unread_bytes() == 0
    path.write_bytes(encode(a_step(1)) + b'{"torn')
    assert reader.num_unread_bytes() == path.stat().st_size
    reader.read()
    assert reader.num_unread_bytes() == len(b'{"torn')


def test_a_torn_line_is_not_read_until_it_is_whole(tmp_path: Path):
    path = tmp_path / "events.jsonl"
    whole = encode(a_step(1))
    reader = EventReader(path)
    path.write_bytes(whole[:30])
    assert reader.read() == []
    with path.open("ab") as file:
        file.write(whole[30:])
    assert [event.step for event in reader.read()] == [1]  # type: ignore[union-attr]


@pytest.mark.parametrize("cut", [1, 20, -2, -1])
def test_a_writer_after_a_killed_one_starts_on_its_own_line(tmp_path: Path, cut):
    path = tmp_path / "events.jsonl"
    path.write_bytes(encode(a_step(1)) + encode(a_step(2))[:cut])
    reader = EventReader(path)
    reader.read()
    writer = EventWriter(path)
    writer.write(a_step(3))
    writer.close()
    fresh = [event.step for event in EventReader(path).read()]  # type: ignore[union-attr]
    # Cut before its newline, the second line is a whole event; cut anywhere else it is none.
    assert fresh == ([1, 2, 3] if cut == -1 else [1, 3])
    assert [event.step for event in reader.read()] == fresh[1:]  # type: ignore[union-attr]


def test_healing_leaves_whole_empty_and_missing_files_alone(tmp_path: Path):
    whole, empty, missing = tmp_path / "whole", tmp_path / "empty", tmp_path / "missing"
    whole.write_bytes(encode(a_step(1)))
    empty.touch()
    before = whole.read_bytes()
    for path in (whole, empty, missing):
        heal_torn_line(path)
    assert whole.read_bytes() == before and empty.read_bytes() == b"" and not missing.exists()


def test_a_reader_beside_a_writer_sees_every_event(tmp_path: Path):
    path = tmp_path / "events.jsonl"
    num = 3000

    def write() -> None:
        writer = EventWriter(path)
        for number in range(num):
            writer.write(a_step(number))
        writer.close()

    thread = threading.Thread(target=write)
    thread.start()
    reader, seen = EventReader(path), []
    while thread.is_alive():
        seen += reader.read()
    thread.join()
    seen += reader.read()
    assert [event.step for event in seen] == list(range(num))


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from core.events import EventWriter, Warned
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = Path(sys.argv[1])
writer = EventWriter(path)
writer.write(Warned(message="before"))
resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 40, resource.RLIM_INFINITY))
try:
    writer.write(Warned(message="while full " * 9))
except OSError as error:
    print("refused", error.errno)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
writer.write(Warned(message="after"))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX")
def test_a_disk_that_fills_midway_costs_one_event_and_no_other(tmp_path: Path):
    path = tmp_path / "events.jsonl"
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("refused"), done.stdout + done.stderr
    assert [event.message for event in EventReader(path).read()] == ["before", "after"]  # type: ignore[union-attr]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_an_error_and_not_silence():
    writer = EventWriter(Path("/dev/full"))
    with pytest.raises(OSError) as caught:
        writer.write(Warned(message="x"))
    assert caught.value.errno == errno.ENOSPC
    writer.close()


def test_times_are_taken_when_an_event_is_made():
    first, second = Started(pid=1, device="cpu", total_steps=2), Evaluated(step=1, loss=1.0)
    assert 0 < first.time <= second.time
    assert Progress(label="x", done=1, time=5).time == 5


def test_a_failed_event_can_name_a_setting():
    back = decode(encode(Failed(message="Too long.", path="data.max_length")))
    assert isinstance(back, Failed) and back.path == "data.max_length"
