"""Writes README's table of how far the estimate was from GPUs: `python tests/gpu/accuracy_table.py [--check]`.

It is made from the files that tests/gpu/measure_memory.py leaves in tests/recorded/; without one the README says
that nothing has been measured. `--check` writes nothing and ends with 1 when README says something else.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
BEGIN, END = "<!-- tests/gpu/accuracy_table.py writes what follows -->", "<!-- up to here -->"
UNMEASURED = (
    "**On GPUs our own runs have not been measured yet**: take the band it shows for what it is, an expectation.\n"
    "`tests/gpu/measure_memory.py` is one command for a machine that has one."
)
COLUMNS = {
    "Tensors, estimated": ("predicted_allocated_bytes", "allocated_bytes"),
    "Tensors, rehearsed": ("rehearsed_bytes", "allocated_bytes"),
    "Held by torch, rehearsed": ("rehearsed_reserved_bytes", "reserved_bytes"),
    "Whole device, estimated": ("predicted_process_bytes", "device_used_bytes"),
}
"""What was foretold and what was measured, by the head of the column."""
KINDS = ("LoRA, 16 bit", "LoRA, NF4", "LoRA, int8", "all weights", "mixtures of experts", "tiny models")


def section(documents: Iterable[dict[str, Any]]) -> str:
    """What README says: a table for each machine, or that there is none."""
    tables = [table(document) for document in documents if measured(document)]
    return "\n\n".join(tables) or UNMEASURED


def measured(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The runs that came to an end."""
    return [one for one in document["runs"] if "allocated_bytes" in one]


def table(document: dict[str, Any]) -> str:
    """One machine: mean and worst deviation in percent by kind of run, and what failed."""
    machine, runs = document["machine"], measured(document)
    failed = sum("failed" in one for one in document["runs"])
    of_kind = {kind: [one for one in runs if kind_of(one) == kind] for kind in KINDS}
    lines = [
        f"Measured on {machine['device']}, {machine['measured_on']}, torch {machine['versions']['torch']}: "
        f"mean and worst deviation of {len(runs)} runs{f'; {failed} failed' if failed else ''}.",
        "",
        f"| Runs | Number | {' | '.join(COLUMNS)} |",
        "|---" * (len(COLUMNS) + 2) + "|",
        *(_line(kind, some) for kind, some in of_kind.items() if some),
        _line("all", runs),
    ]
    return "\n".join(lines)


def kind_of(one: dict[str, Any]) -> str:
    """The line of the table that a run belongs to."""
    if one["model"] in ("experts", "tiny"):
        return KINDS[4] if one["model"] == "experts" else KINDS[5]
    if one["config"].get("method.kind") == "full":
        return KINDS[3]
    return {"nf4": KINDS[1], "int8": KINDS[2]}.get(one["config"].get("model.quantization", ""), KINDS[0])


def _line(kind: str, runs: list[dict[str, Any]]) -> str:
    return f"| {kind} | {len(runs)} | {' | '.join(_errors(runs, *names) for names in COLUMNS.values())} |"


def _errors(runs: list[dict[str, Any]], foretold: str, found: str) -> str:
    errors = [100 * (one[foretold] / one[found] - 1) for one in runs if one.get(foretold) and one.get(found)]
    if not errors:
        return "–"
    worst = max(errors, key=abs)
    return f"{statistics.fmean(map(abs, errors)):.1f} %, {'+' if worst > 0 else '−'}{abs(worst):.1f} %"


def rewritten(readme: str, text: str) -> str:
    """README with `text` between its marks."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"README.md lacks the marks {BEGIN} and {END}.")
    return f"{before}{BEGIN}\n{text}\n{END}{after}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md")
    parser.add_argument("--recorded", type=Path, default=ROOT / "tests" / "recorded")
    options = parser.parse_args()
    files = sorted(options.recorded.glob("gpu-memory-*.json"))
    before = options.readme.read_text(encoding="utf-8")
    after = rewritten(before, section(json.loads(file.read_text(encoding="utf-8")) for file in files))
    if options.check:
        return int(before != after)
    options.readme.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
