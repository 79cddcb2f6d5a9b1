"""Reads every file named on stdin as Hone would and prints a JSON line for each: outcome, seconds, memory.

In a process of its own, so that memory can be measured: `python read_all.py < list-of-paths`.
"""

from __future__ import annotations

import contextlib
import gc
import json
import resource
import sys
import time
import traceback
from pathlib import Path

from core.data.check import check
from core.data.rows import first_rows, open_rows
from core.errors import HoneError
from core.sections import DataSection


def read(source: str) -> str:
    """What comes of a file, in the words of the table of awkward files."""
    try:
        report = check(DataSection(source=source))
        first, rows = first_rows(source, 20)[1], open_rows(source)
        if first != rows[: len(first)]:
            return "the first rows are not the first of all rows"
        counts = [
            f"{report.num_used} used",
            *(f"{count} {kind}" for kind, count in sorted(report.reasons.items())),
        ]
        return ", ".join(counts)
    except HoneError as error:
        if error.path != "data.source" or "\n" in error.message or not error.message.endswith("."):
            return f"not one sentence: {error.message}"
        return f"!{error.message}"
    except Exception:
        return traceback.format_exc()


def peak_bytes() -> int:
    """The most memory this process held since it was last told to forget, or one that it started ever."""
    scale = 1 if sys.platform == "darwin" else 1024
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * scale
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return max(children, int(line.split()[1]) * 1024)
    return max(children, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale)


def forget() -> None:
    gc.collect()
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


if __name__ == "__main__":
    for line in sys.stdin:
        forget()
        began = time.process_time()
        outcome = read(line.rstrip("\n"))
        sys.stdout.write(json.dumps([outcome, time.process_time() - began, peak_bytes()]) + "\n")
        sys.stdout.flush()
