"""Which folder of runs a verb looks into."""

from __future__ import annotations

import argparse
from pathlib import Path

from core.runs import RunStore
from core.settings import Settings


def chosen_store(options: argparse.Namespace) -> RunStore:
    """The folder given with --runs, else the one of the settings, which the window uses too."""
    folder = Path(options.runs).expanduser().absolute() if options.runs else Settings.load().runs_folder
    return RunStore(folder)
