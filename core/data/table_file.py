"""Parquet and Arrow files, written out as JSON lines: `python -m core.data.table_file FROM TO FREE_BYTES`.

In a process of its own, since a damaged file can end the one that reads it, as no exception would.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROWS_AT_ONCE = 512
DAMAGED, FULL, DISK = 3, 4, 5
"""How the process ends where it does not end well."""


class DamagedError(Exception):
    """The table cannot be read; says why."""


class FullError(Exception):
    """The disk would be filled."""


def write_apart(path: Path, target: Path, free_bytes: int) -> None:
    """`write_rows` in a process of its own. Raises DamagedError, FullError, OSError."""
    from core.launch import worker_environment, worker_python

    command = [worker_python(), "-P", "-m", "core.data.table_file", str(path), str(target), str(free_bytes)]
    flags = getattr(subprocess, "CREATE_NO_WINDOW", 0)
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, env=worker_environment(), creationflags=flags
    )
    told = done.stdout.decode(errors="replace").strip()
    if done.returncode == FULL:
        raise FullError
    if done.returncode == DISK:
        number, _, text = told.partition(" ")
        raise OSError(int(number), text)
    if done.returncode:
        raise DamagedError(told if done.returncode == DAMAGED and told else "reading it breaks off")


def write_rows(path: Path, target: Path, free_bytes: int) -> None:
    """Every row of a table as a JSON object on a line; bytes are left out, dates and such become text.

    Leaves `free_bytes` on the disk. Raises DamagedError, FullError, OSError.
    """
    try:
        import pyarrow as pa
    except ImportError:
        raise DamagedError("pyarrow, which reads it, is not installed") from None
    try:
        with target.open("w", encoding="utf-8", errors="replace") as file:
            for batch in _batches(path):
                # Else a damaged file's word on its own lengths is taken, and what lies beyond it is read.
                batch.validate(full=True)
                for row in batch.to_pylist():
                    file.write(json.dumps(row, ensure_ascii=False, default=_as_text) + "\n")
                if shutil.disk_usage(target.parent).free < free_bytes:
                    raise FullError
    except (pa.ArrowException, ValueError, OSError, OverflowError, LookupError, SystemError, MemoryError) as error:
        if getattr(error, "errno", None) is not None:
            raise  # the disk's, not the table's
        raise DamagedError((str(error).splitlines() or ["it cannot be read"])[0].rstrip(".")[:120]) from None


def _batches(path: Path) -> Iterator[Any]:
    """A table's rows, a few hundred at a time."""
    import pyarrow as pa

    with path.open("rb") as file:
        start = file.read(6)
    if start.startswith(b"PAR1"):
        import pyarrow.parquet as parquet

        with parquet.ParquetFile(path) as table:
            yield from table.iter_batches(ROWS_AT_ONCE)
        return
    with pa.memory_map(str(path)) as source:
        if start == b"ARROW1":
            reader = pa.ipc.open_file(source)
            batches = (reader.get_batch(number) for number in range(reader.num_record_batches))
        else:
            batches = iter(pa.ipc.open_stream(source))
        for batch in batches:
            for first in range(0, batch.num_rows, ROWS_AT_ONCE):
                yield batch.slice(first, ROWS_AT_ONCE)


def _as_text(value: Any) -> str:
    return f"{len(value)} bytes" if isinstance(value, bytes) else str(value)


def main(arguments: list[str]) -> int:
    """Exit 0 when the rows are written; else one of the codes above, and on stdout why."""
    try:
        write_rows(Path(arguments[0]), Path(arguments[1]), int(arguments[2]))
    except FullError:
        return FULL
    except DamagedError as why:
        sys.stdout.buffer.write(str(why).encode(errors="replace"))
        return DAMAGED
    except OSError as error:
        sys.stdout.buffer.write(f"{error.errno or 0} {error.strerror}".encode(errors="replace"))
        return DISK
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
