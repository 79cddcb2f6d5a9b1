"""What a run's data is made of: found in one reading, and kept by content for the next time.

What is kept stands on the shelf with what was unpacked, and goes as that does.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path

from pydantic import ValidationError

from core import places
from core.config import RunConfig
from core.data import shelf
from core.data.fingerprint import fingerprint
from core.data.mapping import Meaning
from core.data.reading import ROWS_PER_PROGRESS, Progress
from core.data.rows import Rows, rows_of
from core.data.statistics import Figures, Statistics

LAYOUT = 2
"""Of what is kept; what another one has kept is not found."""


def survey(config: RunConfig, progress: Progress) -> Statistics:
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


def kept_survey(config: RunConfig) -> Statistics | None:
    """The survey of a run's data that was made before. Raises HoneError where the data is gone."""
    return _read(_folder(config), config.data.source)


def look_through(rows: Rows, progress: Progress) -> Statistics:
    """Read every row once, however often a weight shows it."""
    figures, rows = Figures(), rows.once()
    for number, row in enumerate(rows):
        if number % ROWS_PER_PROGRESS == 0:
            progress(number, len(rows))
        figures.add(row, rows.format_of(number), rows.file_of(number))
    return figures.found(rows.source)


def _folder(config: RunConfig) -> Path:
    """Where the survey of this data is kept: by its content, and by what its columns mean."""
    data = config.data
    words = [LAYOUT, "survey", fingerprint(data.source, data.more), repr(Meaning.of(data)), config.runtime.seed]
    return places.cache_folder() / "data" / hashlib.sha256(json.dumps(words).encode()).hexdigest()[:32]


def _read(folder: Path, source: str) -> Statistics | None:
    """What is kept, perhaps of the same content elsewhere; None where nothing is, or nothing whole."""
    if not shelf.hold(folder):
        return None
    try:
        found = Statistics.model_validate_json((folder / shelf.MARK).read_bytes())
        return found.model_copy(update={"source": source})
    except (OSError, ValueError, TypeError, ValidationError):
        return None


def _keep(folder: Path, made: Statistics) -> None:
    """Write the survey, whole or not at all. Raises OSError."""

    def fill(staged: Path) -> None:
        (staged / shelf.MARK).write_text(made.model_dump_json())

    shelf.keep(folder, fill)
