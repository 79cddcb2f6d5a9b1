"""What the chosen data is made of: read once, when it is asked for."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from app.state.background import Background, Ticket
from app.state.chosen_data import LARGE_BYTES, ChosenData
from app.state.draft import Draft
from core.config import RunConfig
from core.errors import HoneError

if TYPE_CHECKING:
    from core.data.rows import Rows
    from core.data.statistics import Statistics


class DataSurvey(QObject):
    """`look` once; then `survey` follows the data, and is None while it is being made."""

    changed = Signal()

    def __init__(self, draft: Draft, data: ChosenData, background: Background) -> None:
        super().__init__()
        self._draft, self._data, self._background = draft, data, background
        self._is_wanted = False
        self._rows: Rows | None = None
        self._ticket: Ticket | None = None
        self.survey: Statistics | None = None
        self.share = 0.0
        """How much has been read, while there is no survey yet."""
        self.error = ""
        data.changed.connect(self._follow)

    def look(self) -> None:
        self._is_wanted = True
        self._follow()

    def _follow(self) -> None:
        rows = self._data.rows
        if not self._is_wanted or rows is None or rows is self._rows:
            return
        self._rows, self.survey, self.share, self.error = rows, None, 0.0, ""
        if self._ticket is not None:
            self._ticket.drop()
        work = partial(_survey, self._draft.config, rows.num_bytes > LARGE_BYTES)
        self._ticket = self._background.run_long(self, work, self._take, self._fail, self._tell)
        self.changed.emit()

    def _take(self, survey: Statistics) -> None:
        self._ticket, self.survey = None, survey
        self.changed.emit()

    def _tell(self, share: float) -> None:
        self.share = share
        self.changed.emit()

    def _fail(self, error: HoneError) -> None:
        self._ticket, self.error = None, error.message
        self.changed.emit()


def _survey(config: RunConfig, is_large: bool, ticket: Ticket) -> Statistics:
    from core.data.apart import survey_apart
    from core.data.survey import survey

    return (survey_apart if is_large else survey)(config, ticket.report)
