"""Over a hundred awkward files: each gives rows and a report, or one sentence; none a traceback or a hang.

What each must give stands in corpus/awkward.py, as a table.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.launch import PROJECT

CORPUS = Path(__file__).parent / "corpus"
MOST_SECONDS, MOST_BYTES = 2.0, 200 * 2**20


@pytest.mark.skipif(os.name == "nt", reason="some of the files are pipes and links")
def test_each_awkward_file_gives_what_the_table_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(CORPUS))
    from awkward import write_all

    written = write_all(tmp_path / "files")
    assert len(written) >= 60
    done = subprocess.run(
        [sys.executable, str(CORPUS / "read_all.py")],
        input="".join(f"{place}\n" for place, _ in written),
        capture_output=True,
        text=True,
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        timeout=300,
        check=True,
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    wrong = []
    for (place, expected), (outcome, seconds, peak) in zip(written, found, strict=True):
        is_right = outcome == expected
        if expected.startswith("!"):  # a sentence names the file, and what is wrong with it
            is_right = outcome.startswith("!") and place.name in outcome and expected[1:] in outcome
        if not is_right:
            wrong.append(f"{place.name}: {outcome[-600:]!r}, and not {expected!r}")
        if seconds > MOST_SECONDS:
            wrong.append(f"{place.name} takes {seconds:.1f} s")
        if peak > MOST_BYTES:
            wrong.append(f"{place.name} takes {peak / 2**20:.0f} MiB")
    assert not wrong, "\n".join(wrong)
    assert not list(tmp_path.rglob("*evil*"))
