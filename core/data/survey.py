"""What a run's data is made of and how its rows part: found in one reading, and kept by content for the next time.

What is kept stands on the shelf with what was unpacked, and goes as that does.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import ValidationError

from core import places
from core.config import RunConfig
from core.data import shelf
from core.data.mapping import Meaning
from core.data.rows import Rows, rows_of
from core.data.sides import FoundSides, Sides
from core.data.source import fingerprint
from core.data.statistics import Figures, Statistics

LAYOUT = 1
"""Of what is kept; what another one has kept is not found."""
ROWS_PER_PROGRESS = 2000
SIDES = "sides.npy"

Progress = Callable[[int, int], None]


class Survey(NamedTuple):
    """All figures that hang on nothing but the rows."""

    statistics: Statistics
    sides: Sides


def survey(config: RunConfig, progress: Progress) -> Survey:
    """The survey of a run's data: kept from before, else made now. What `progress` raises ends it. Raises
    HoneError like `open_rows`."""
    folder = _folder(config)
    if (found := _read(folder, config.data.source)) is not None:
        return found
    made = look_through(rows_of(config.data, config.runtime.seed), progress)
    if _folder(config) == folder:  # else it was changed while it was read
        with contextlib.suppress(OSError):  # a full disk only costs the next time its start
            _keep(folder, made)
    return made


def kept_survey(config: RunConfig) -> Survey | None:
    """The survey of a run's data that was made before. Raises HoneError where the data is gone."""
    return _read(_folder(config), config.data.source)


def look_through(rows: Rows, progress: Progress) -> Survey:
    """Read every row once. Rows that a weight shows again count once among the figures, and part every time."""
    figures, sides = Figures(), FoundSides()
    has_repeats = len(rows.once()) < len(rows)
    for number, row in enumerate(rows):
        if number % ROWS_PER_PROGRESS == 0:
            progress(number, len(rows))
        sides.add(row)
        if not (has_repeats and rows.is_repeat(number)):
            figures.add(row, rows.format_of(number), rows.file_of(number))
    return Survey(figures.found(rows.source), sides.sides())


def _folder(config: RunConfig) -> Path:
    """Where the survey of this data is kept: by its content, and by what its columns mean."""
    data = config.data
    words = [LAYOUT, "survey", fingerprint(data.source, data.more), repr(Meaning.of(data)), config.runtime.seed]
    return places.cache_folder() / "data" / hashlib.sha256(json.dumps(words).encode()).hexdigest()[:32]


def _read(folder: Path, source: str) -> Survey | None:
    """What is kept, perhaps of the same content elsewhere; None where nothing is, or nothing whole."""
    if not shelf.hold(folder):
        return None
    try:
        found = Statistics.model_validate_json((folder / shelf.MARK).read_bytes())
        sides = np.load(io.BytesIO((folder / SIDES).read_bytes()), allow_pickle=False)
        return Survey(found.model_copy(update={"source": source}), Sides(*sides))
    except (OSError, ValueError, TypeError, ValidationError):
        return None


def _keep(folder: Path, made: Survey) -> None:
    """Write the survey, whole or not at all. Raises OSError."""
    staged = folder.with_name(f".{folder.name}-{uuid.uuid4().hex}")
    try:
        staged.mkdir(parents=True)
        np.save(staged / SIDES, np.stack([made.sides.numbers, made.sides.keys, made.sides.strata]))
        (staged / shelf.MARK).write_text(made.statistics.model_dump_json())
        shutil.rmtree(folder, ignore_errors=True)
        staged.rename(folder)
        shelf.sweep(folder.parent, shelf.most_bytes(folder.parent))
    finally:
        shutil.rmtree(staged, ignore_errors=True)
