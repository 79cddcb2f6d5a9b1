"""What every test stands on: no display, no network, and none of the user's own folders."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path

import pytest

# Libraries read these when they are imported, which is before any fixture runs; child processes inherit them.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
_hugging_face = tempfile.TemporaryDirectory(prefix="hone-tests-")
os.environ["HF_HOME"] = _hugging_face.name
# A shell's background jobs ignore Ctrl+C, and hand that on to the processes that are to be interrupted here.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def hone_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of its own for each test: runs, settings and caches end up there."""
    home = tmp_path / "hone-home"
    monkeypatch.setenv("HONE_HOME", str(home))
    return home
