"""How many of the data's rows a run would train on and hold out: found on a thread, once it is wanted."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from app.state.background import Background, Ticket
from app.state.data_survey import DataSurvey
from app.state.draft import Draft
from core.config import RunConfig
from core.errors import HoneError

if TYPE_CHECKING:
    from core.data.sides import Sides, Split


class SplitSides(QObject):
    """`look` once; then `split` follows the draft, and is None while it is being counted."""

    changed = Signal()

    def __init__(self, draft: Draft, survey: DataSurvey, background: Background) -> None:
        super().__init__()
        self._draft, self._survey, self._background = draft, survey, background
        self._is_wanted = False
        self._split_by: tuple[object, ...] = ()
        self._ticket: Ticket | None = None
        self.split: Split | None = None
        self._error = ""
        survey.changed.connect(self._follow)
        draft.changed.connect(self._follow)

    @property
    def share(self) -> float:
        """How much has been read, while there is no split yet."""
        return self._survey.share

    @property
    def error(self) -> str:
        return self._error or self._survey.error

    def look(self) -> None:
        self._is_wanted = True
        self._survey.look()
        self._follow()

    def _follow(self) -> None:
        """Split what the survey found; a split that is on its way for other settings is no longer wanted."""
        if not self._is_wanted:
            return
        found, config = self._survey.survey, self._draft.config
        wanted = (found, config.data.holdout, config.data.holdout_source, config.runtime.seed,
                  bool(config.data.stratify_by))  # fmt: skip
        if wanted != self._split_by:
            self._split_by = wanted
            if self._ticket is not None:
                self._ticket.drop()
            self._ticket = None
            if found is None:
                self.split = None
            else:
                work = partial(_split, found.sides, config)
                self._ticket = self._background.run(self, work, self._take, self._fail)
        self.changed.emit()

    def _take(self, split: Split) -> None:
        self._ticket, self.split, self._error = None, split, ""
        self.changed.emit()

    def _fail(self, error: HoneError) -> None:
        self._ticket, self.split, self._error = None, None, error.message
        self.changed.emit()


def _split(sides: Sides, config: RunConfig) -> Split:
    """The split. A file of its own holds out all of its usable rows."""
    from core.data.mapping import Meaning
    from core.data.rows import open_rows
    from core.data.sides import Split, find_sides

    data = config.data
    if not data.holdout_source:
        return sides.split(data.holdout, config.runtime.seed, is_stratified=bool(data.stratify_by))
    apart = find_sides(open_rows(data.holdout_source, meaning=Meaning(Meaning.of(data).mapping)))
    return Split(len(sides.numbers), len(apart.numbers), ())
