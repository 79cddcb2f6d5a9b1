"""Where things live on this machine."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

RESOURCES = Path(__file__).resolve().parent.parent / "resources"


def home() -> Path:
    """The folder of everything Hone writes for this user; `HONE_HOME` moves it."""
    chosen = os.environ.get("HONE_HOME")
    return Path(chosen) if chosen else Path(platformdirs.user_data_dir("hone", appauthor=False))


def runs_folder() -> Path:
    return home() / "runs"


def cache_folder() -> Path:
    """Things that may be deleted at any time and are made again when needed."""
    return home() / "cache"
