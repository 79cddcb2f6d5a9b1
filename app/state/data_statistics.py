"""What the chosen data is made of, and what padding costs it: found on threads, once it is wanted."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal

from app.state.background import Background, Ticket
from app.state.data_survey import DataSurvey
from app.state.draft import Draft
from app.state.row_lengths import RowLengths
from core.config import RunConfig

if TYPE_CHECKING:
    from core.data.lengths import Lengths
    from core.data.packing import Padding
    from core.data.statistics import Statistics

SETTLE_MS = 40
"""While the limit is dragged, padding is reckoned this often at most."""


class DataStatistics(QObject):
    """`look` once; then `statistics` and `padding` follow the data, each None until it is there."""

    changed = Signal()

    def __init__(self, draft: Draft, survey: DataSurvey, lengths: RowLengths, background: Background) -> None:
        super().__init__()
        self._draft, self._survey, self._lengths, self._background = draft, survey, lengths, background
        self._packing: Ticket | None = None
        self._packed: tuple[object, ...] = ()
        self._is_wanted = False
        self.padding: Padding | None = None
        self._settled = QTimer(self)
        self._settled.setSingleShot(True)
        self._settled.setInterval(SETTLE_MS)
        self._settled.timeout.connect(self._pack)
        survey.changed.connect(self.changed)
        lengths.changed.connect(self._settle)
        draft.changed.connect(self._settle)

    @property
    def statistics(self) -> Statistics | None:
        return self._survey.survey

    @property
    def share(self) -> float:
        """How much has been read, while there are no statistics yet."""
        return self._survey.share

    @property
    def error(self) -> str:
        return self._survey.error

    def look(self) -> None:
        self._is_wanted = True
        self._survey.look()
        self._settle()

    def _settle(self) -> None:
        if self._is_wanted and not self._settled.isActive():
            self._settled.start()

    def _pack(self) -> None:
        """Reckon the padding at the limit as it is now; a figure for another limit is no longer wanted."""
        lengths, config = self._lengths.lengths, self._draft.config
        wanted = lengths, config.data.max_length, config.optim.batch_size, config.optim.accumulation
        if wanted == self._packed:
            return
        self._packed = wanted
        if self._packing is not None:
            self._packing.drop()
        if lengths is None:
            self.padding = None
            self.changed.emit()
        else:
            self._packing = self._background.run(self, partial(_padding, lengths, config), self._take_padding)

    def _take_padding(self, padding: Padding) -> None:
        self.padding = padding
        self.changed.emit()


def _padding(lengths: Lengths, config: RunConfig) -> Padding:
    from core.data.packing import padding

    return padding(lengths, config.data.max_length, config.optim.batch_size, config.optim.accumulation)
