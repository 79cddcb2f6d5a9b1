"""What the chosen data is made of, and what padding costs it: counted on threads, once it is wanted."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal

from app.state.background import Background, Ticket
from app.state.chosen_data import ChosenData
from app.state.draft import Draft
from app.state.row_lengths import RowLengths
from core.config import RunConfig
from core.errors import HoneError

if TYPE_CHECKING:
    from core.data.lengths import Lengths
    from core.data.packing import Padding
    from core.data.rows import Rows
    from core.data.statistics import Statistics

SETTLE_MS = 40
"""While the limit is dragged, padding is reckoned this often at most."""


class DataStatistics(QObject):
    """`look` once; then `statistics` and `padding` follow the data, each None until it is there."""

    changed = Signal()

    def __init__(self, draft: Draft, data: ChosenData, lengths: RowLengths, background: Background) -> None:
        super().__init__()
        self._draft, self._data, self._lengths, self._background = draft, data, lengths, background
        self._is_wanted = False
        self._rows: Rows | None = None
        self._ticket: Ticket | None = None
        self._packing: Ticket | None = None
        self._packed: tuple[object, ...] = ()
        self.statistics: Statistics | None = None
        self.padding: Padding | None = None
        self.share = 0.0
        """How much has been read, while there are no statistics yet."""
        self.error = ""
        self._settled = QTimer(self)
        self._settled.setSingleShot(True)
        self._settled.setInterval(SETTLE_MS)
        self._settled.timeout.connect(self._pack)
        data.changed.connect(self._follow)
        lengths.changed.connect(self._follow)
        draft.changed.connect(self._follow)

    def look(self) -> None:
        self._is_wanted = True
        self._follow()

    def _follow(self) -> None:
        rows = self._data.rows
        if not self._is_wanted or rows is None:
            return
        if not self._settled.isActive():
            self._settled.start()
        if rows is self._rows:
            return
        self._rows, self.statistics, self.share, self.error = rows, None, 0.0, ""
        if self._ticket is not None:
            self._ticket.drop()
        work = partial(_count, self._draft.config)
        self._ticket = self._background.run_long(self, work, self._take, self._fail, self._tell)
        self.changed.emit()

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

    def _take(self, statistics: Statistics) -> None:
        self.statistics = statistics
        self.changed.emit()

    def _take_padding(self, padding: Padding) -> None:
        self.padding = padding
        self.changed.emit()

    def _tell(self, share: float) -> None:
        self.share = share
        self.changed.emit()

    def _fail(self, error: HoneError) -> None:
        self.error = error.message
        self.changed.emit()


def _count(config: RunConfig, ticket: Ticket) -> Statistics:
    from core.data.mapping import Meaning
    from core.data.statistics import statistics

    data = config.data
    return statistics(data.source, data.more, seed=config.runtime.seed, meaning=Meaning.of(data),
                      progress=ticket.report)  # fmt: skip


def _padding(lengths: Lengths, config: RunConfig) -> Padding:
    from core.data.packing import padding

    return padding(lengths, config.data.max_length, config.optim.batch_size, config.optim.accumulation)
