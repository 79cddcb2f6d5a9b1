"""What a whole `hone estimate` costs the processor: `python tests/bench/estimate_start.py [--times 15]`.

Prints its processor time, user and system, beside that of a bare Python and of one that imports pydantic, which
describes the config and is the floor; then what is slowest to import. The least of many times counts, as other
programs can only add to it.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
ESTIMATE = ["-m", "core.cli", "estimate", "--set", "model.source=meta-llama/Llama-3.1-8B", "--json"]
COMMANDS = {"python": ["-c", "pass"], "pydantic": ["-c", "import pydantic.fields, pydantic.main"],
            "hone estimate": ESTIMATE}  # fmt: skip
MOST_SHOWN = 12


def milliseconds(arguments: list[str]) -> float:
    """Processor time of one process and what it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def slowest() -> list[tuple[float, str]]:
    """Milliseconds that modules take to import by themselves, most first."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *ESTIMATE], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    lines = [line[len("import time:") :].split("|") for line in done.stderr.splitlines() if "|" in line]
    return sorted(
        ((int(own) / 1000, name.strip()) for own, _, name in lines if own.strip().isdigit()), reverse=True
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=15)
    options = parser.parse_args()
    least = dict.fromkeys(COMMANDS, float("inf"))
    for _ in range(options.times):
        for name, arguments in COMMANDS.items():
            least[name] = min(least[name], milliseconds(arguments))
    for name, cost in least.items():
        print(f"{name:14} {cost:5.0f} ms, {cost / least['python']:.1f} × a bare Python")
    for cost, name in slowest()[:MOST_SHOWN]:
        print(f"  {cost:5.1f} ms  {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
