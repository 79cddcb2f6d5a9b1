"""Parquet and Arrow files, written out as JSON lines: `python -m core.data.table_file FROM TO FREE_BYTES`.

In a process of its own, since a damaged file can end the one that reads it, as no exception would. A table may say
a long text once and have it in every row: what is written is bounded, and so is what is held in memory.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.data.pace import Told, now_and_then, unheard
from core.figures import size

ROWS_AT_ONCE, BYTES_AT_ONCE, TRIED_ROWS = 512, 64 * 2**20, 8
SMALL_BYTES = 2**30
MOST_RATIO = 1000
"""A table of one prompt with a thousand answers shrinks to a hundredth; what is far beyond is no honest one."""
ENOUGH_BYTES = 64 * 2**20
"""Written before what all of it will take is told from it."""
DAMAGED, GROWN, DISK = 3, 4, 5
"""How the process ends where it does not end well."""


class DamagedError(Exception):
    """The table cannot be read; says why."""


class GrownError(Exception):
    """The table is too large when written out: the end of a sentence that begins with its name."""


def write_apart(path: Path, target: Path, free_bytes: int, told: Told = unheard) -> None:
    """`write_rows` in a process of its own, which ends when `told` raises. Raises as that does."""
    from core.launch import worker_environment, worker_python

    command = [worker_python(), "-P", "-m", "core.data.table_file", str(path), str(target), str(free_bytes)]
    flags = getattr(subprocess, "CREATE_NO_WINDOW", 0)
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env=worker_environment(), creationflags=flags,
    )  # fmt: skip
    assert process.stdout is not None
    last = ""
    with process:
        try:
            for line in process.stdout:
                last = line.decode(errors="replace").strip()
                done, _, total = last.partition(" ")
                if done.isdigit() and total.isdigit():
                    told("Unpacking", int(done), int(total))
        except BaseException:
            process.kill()
            raise
    if process.returncode == GROWN:
        raise GrownError(last)
    if process.returncode == DISK:
        number, _, text = last.partition(" ")
        raise OSError(int(number), text)
    if process.returncode:
        raise DamagedError(last if process.returncode == DAMAGED and last else "reading it breaks off")


def write_rows(path: Path, target: Path, free_bytes: int, told: Told = unheard) -> None:
    """Every row of a table as a JSON object on a line; bytes are left out, dates and such become text.

    Leaves `free_bytes` on the disk. Raises DamagedError, GrownError, OSError.
    """
    try:
        import pyarrow as pa
    except ImportError:
        raise DamagedError("pyarrow, which reads it, is not installed") from None
    room = _Room(target, path.stat().st_size, free_bytes)
    done = written = 0
    at_once = TRIED_ROWS
    try:
        with target.open("wb") as file:
            total, batches = _read(path)
            for batch in batches:
                # Else a damaged file's word on its own lengths is taken, and what lies beyond it is read.
                batch.validate(full=True)
                while len(rows := batch.slice(0, at_once).to_pylist()):
                    batch, before = batch.slice(at_once), written
                    for row in rows:
                        text = json.dumps(row, ensure_ascii=False, default=_as_text) + "\n"
                        written += file.write(text.encode(errors="replace"))
                    done += len(rows)
                    room.require(written, done / total if total else 1.0)
                    told("Unpacking", done, total)
                    at_once = min(_num_rows((written - before) // len(rows)), 4 * at_once)
    except (pa.ArrowException, ValueError, OSError, OverflowError, LookupError, SystemError, MemoryError) as error:
        if getattr(error, "errno", None) is not None:
            raise  # the disk's, not the table's
        raise DamagedError((str(error).splitlines() or ["it cannot be read"])[0].rstrip(".")[:120]) from None


class _Room:
    """What the disk has room for."""

    def __init__(self, target: Path, packed_bytes: int, free_bytes: int) -> None:
        self._folder, self._packed_bytes, self._free_bytes = target.parent, packed_bytes, free_bytes

    def require(self, written: int, share: float) -> None:
        """Raise GrownError where the bytes written of a table, this share of it, show that the whole is too large.
        Before the disk is full that is told only where it is far too large: later rows may be shorter."""
        if written > max(SMALL_BYTES, MOST_RATIO * self._packed_bytes):
            raise GrownError(
                f"grows to over {MOST_RATIO:,} times its size when unpacked, which no honest data does"
            )
        free = shutil.disk_usage(self._folder).free
        more = written / share - written
        if free < self._free_bytes or (written > ENOUGH_BYTES and more > 2 * free):
            raise GrownError(
                f"does not fit on the disk when unpacked: it takes about {size(written + more)}, and "
                f"{size(free + written)} are free in {self._folder.parent}; free some space"
            )


def _read(path: Path) -> tuple[int, Iterator[Any]]:
    """How many rows a table has, and they, as many at a time as memory has room for."""
    import pyarrow as pa

    with path.open("rb") as file:
        start = file.read(6)
    if start.startswith(b"PAR1"):
        import pyarrow.parquet as parquet

        table = parquet.ParquetFile(path)
        return table.metadata.num_rows, _batches(table)
    source = pa.memory_map(str(path))
    if start == b"ARROW1":
        reader = pa.ipc.open_file(source)
        numbers = range(reader.num_record_batches)
        total = sum(reader.get_batch(number).num_rows for number in numbers)
        return total, (reader.get_batch(number) for number in numbers)
    return 0, iter(pa.ipc.open_stream(source))


def _batches(table: Any) -> Iterator[Any]:
    """The rows of a Parquet file. A few of each group tell how large its rows are in memory."""
    for group in range(table.num_row_groups):
        if (tried := next(table.iter_batches(TRIED_ROWS, row_groups=[group]), None)) is not None:
            at_once = _num_rows(tried.nbytes // max(1, tried.num_rows))
            yield from table.iter_batches(at_once, row_groups=[group])


def _num_rows(row_bytes: int) -> int:
    """How many rows of this size are read at a time."""
    return min(ROWS_AT_ONCE, max(1, BYTES_AT_ONCE // max(1, row_bytes)))


def _as_text(value: Any) -> str:
    return f"{len(value)} bytes" if isinstance(value, bytes) else str(value)


def main(arguments: list[str]) -> int:
    """Says now and then how many rows are done, of how many. Exit 0 when all are written; else one of the codes
    above, and on stdout why."""
    try:
        write_rows(Path(arguments[0]), Path(arguments[1]), int(arguments[2]), now_and_then(_say_progress))
    except GrownError as why:
        _say(str(why))
        return GROWN
    except DamagedError as why:
        _say(str(why))
        return DAMAGED
    except OSError as error:
        _say(f"{error.errno or 0} {error.strerror}")
        return DISK
    return 0


def _say_progress(_: str, done: int, total: int) -> None:
    _say(f"{done} {total}")


def _say(text: str) -> None:
    sys.stdout.buffer.write(text.encode(errors="replace") + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
