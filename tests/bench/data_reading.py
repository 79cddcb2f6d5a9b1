"""How fast a large dataset opens and is checked. Prints JSON.

    python tests/bench/data_reading.py [--gigabytes 1]

`first_rows_ms` is the preview of a hundred rows, of this file and of one of 10 GB that is mostly a hole;
`index_gb_per_s` is finding every row, beside `read_gb_per_s`: only reading the same bytes in this process, so that
`index_per_read` says what the index costs whatever else the machine does. The files are written to the folder for
temporary files and removed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from core import places
from core.data.check import check
from core.data.rows import first_rows, open_rows
from core.data.spans import BLOCK_BYTES
from core.sections import DataSection

TIMES = 3


def measure(gigabytes: float) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="hone-bench-") as folder:
        os.environ["HONE_HOME"] = folder
        file = Path(folder) / "rows.jsonl"
        num_bytes = _write(file, int(gigabytes * 1e9))
        source = str(file)
        rows = open_rows(source)
        some = Path(folder) / "some.jsonl"
        some_bytes = _write(some, min(num_bytes, 50_000_000))
        large = Path(folder) / "large.jsonl"
        _write(large, 20_000_000)
        with large.open("r+b") as opened:
            opened.truncate(10_000_000_000)
        read = num_bytes / 1e9 / _seconds(lambda: _read(file))
        index = num_bytes / 1e9 / _seconds(lambda: open_rows(source))
        return {
            "gigabytes": round(num_bytes / 1e9, 2),
            "rows": len(rows),
            "first_rows_ms": round(1000 * _seconds(lambda: first_rows(source)), 1),
            "first_rows_of_10_gb_ms": round(1000 * _seconds(lambda: first_rows(str(large))), 1),
            "read_gb_per_s": round(read, 2),
            "index_gb_per_s": round(index, 2),
            "index_per_read": round(index / read, 2),
            "row_us": round(1e6 * _seconds(lambda: rows[len(rows) // 2]), 1),
            "check_mb_per_s": round(some_bytes / 1e6 / _seconds(lambda: _check_anew(some)), 1),
            "check_again_ms": round(1000 * _seconds(lambda: check(DataSection(source=str(some), holdout=0.2)))),
        }


def _write(file: Path, num_bytes: int) -> int:
    turns = [{"role": "user", "content": "question " * 20}, {"role": "assistant", "content": "answer " * 60}]
    block = (json.dumps({"messages": turns}) + "\n").encode() * 1000
    with file.open("wb") as opened:
        while opened.tell() < num_bytes:
            opened.write(block)
        return opened.tell()


def _check_anew(file: Path) -> None:
    """Without what an earlier check has kept."""
    shutil.rmtree(places.cache_folder(), ignore_errors=True)
    check(DataSection(source=str(file)))


def _read(file: Path) -> None:
    buffer = bytearray(BLOCK_BYTES)
    with file.open("rb", buffering=0) as opened:
        while opened.readinto(buffer):
            pass


def _seconds(work: Callable[[], object]) -> float:
    """Median over a few runs."""
    found = []
    for _ in range(TIMES):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return statistics.median(found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=1.0)
    print(json.dumps(measure(parser.parse_args().gigabytes), indent=1))
