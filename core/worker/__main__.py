"""`python -m core.worker JOB ...`: hands over to a job, which is a module with `main(arguments) -> exit code`."""

from __future__ import annotations

import importlib
import os
import sys

JOBS = {
    "train": "core.worker.session",
    "peer": "core.worker.peer",
    "chat": "core.worker.chat",
    "doctor": "core.worker.doctor",
    "preview": "core.worker.preview",
    "rehearse": "core.worker.rehearsal_report",
    "rows": "core.worker.row_files",
}


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] not in JOBS:
        print(f"Usage: python -m core.worker {'|'.join(JOBS)} ...", file=sys.stderr)  # noqa: T201
        return 2
    job, *rest = arguments
    # Threads that wait for one another spin by default: beside other load a step then takes 25 times as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    return importlib.import_module(JOBS[job]).main(rest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
