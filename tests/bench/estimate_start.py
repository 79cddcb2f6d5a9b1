"""What a whole `hone estimate` costs the processor: `python tests/bench/estimate_start.py [--times 15]`.

Prints its processor time, user and system, beside that of a bare Python and of one that declares a model of
pydantic's, which describes the config and is the floor, and of other verbs; then what is slowest to import. The
least of many times counts, as other programs can only add to it. Bytecode is cached, as of an installed Hone.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
ESTIMATE = ["-m", "core.cli", "estimate", "--set", "model.source=meta-llama/Llama-3.1-8B", "--json"]
COMMANDS = {"python": ["-c", "pass"], "pydantic": ["-c", "import pydantic; type('A', (pydantic.BaseModel,), {})"],
            "hone estimate": ESTIMATE, "hone fit": ["-m", "core.cli", "fit", *ESTIMATE[3:]],
            "hone config": ["-m", "core.cli", "config"], "hone runs": ["-m", "core.cli", "runs"]}  # fmt: skip
MOST_SHOWN = 12


def milliseconds(arguments: list[str], environment: dict[str, str]) -> float:
    """Processor time of one process and what it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def slowest(environment: dict[str, str]) -> list[tuple[float, str]]:
    """Milliseconds that modules take to import by themselves, most first."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *ESTIMATE], cwd=ROOT, capture_output=True, text=True,
        env={**environment, "PYTHONIOENCODING": "utf-8"},
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
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": cache}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for _ in range(1 + options.times):  # the first fills the cache, and is never the least
            for name, arguments in COMMANDS.items():
                least[name] = min(least[name], milliseconds(arguments, environment))
        for name, cost in least.items():
            print(f"{name:14} {cost:5.0f} ms, {cost / least['python']:.1f} × a bare Python")
        for cost, name in slowest(environment)[:MOST_SHOWN]:
            print(f"  {cost:5.1f} ms  {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
