"""How many of the data's rows a run would train on and hold out: counted on a thread, once it is wanted."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from app.state.background import Background, Ticket
from app.state.chosen_data import ChosenData
from app.state.draft import Draft
from core.config import RunConfig
from core.errors import HoneError

if TYPE_CHECKING:
    from core.data.rows import Rows
    from core.data.sides import Sides, Split


class SplitSides(QObject):
    """`look` once; then `split` follows the draft, and is None while it is being counted."""

    changed = Signal()

    def __init__(self, draft: Draft, data: ChosenData, background: Background) -> None:
        super().__init__()
        self._draft, self._data, self._background = draft, data, background
        self._is_wanted = False
        self._rows: Rows | None = None
        self._sides: Sides | None = None
        self._split_by: tuple[object, ...] = ()
        self._ticket: Ticket | None = None
        self.split: Split | None = None
        self.error = ""
        self.share = 0.0
        """How much has been read, while there is no split yet."""
        data.changed.connect(self._follow)
        draft.changed.connect(self._follow)

    def look(self) -> None:
        self._is_wanted = True
        self._follow()

    def _follow(self) -> None:
        rows, config = self._data.rows, self._draft.config
        if not self._is_wanted or rows is None:
            return
        wanted = (rows, config.data.holdout, config.data.holdout_source, config.runtime.seed,
                  bool(config.data.stratify_by))  # fmt: skip
        if wanted == self._split_by:
            return
        self._split_by = wanted
        if self._ticket is not None:
            self._ticket.drop()
        if self._rows is not rows:
            self._rows, self._sides, self.split, self.share = rows, None, None, 0.0
        work = partial(_count, rows, self._sides, config)
        self._ticket = self._background.run_long(self, work, self._take, self._fail, self._tell)
        self.changed.emit()

    def _take(self, found: tuple[Sides, Split]) -> None:
        self._ticket = None
        self._sides, self.split = found
        self.error = ""
        self.changed.emit()

    def _fail(self, error: HoneError) -> None:
        self._ticket = None
        self.split, self.error = None, error.message
        self.changed.emit()

    def _tell(self, share: float) -> None:
        self.share = share
        self.changed.emit()


def _count(rows: Rows, sides: Sides | None, config: RunConfig, ticket: Ticket) -> tuple[Sides, Split]:
    """The sides, read unless they are known, and the split. A file of its own holds out all of its usable rows."""
    from core.data.mapping import Meaning
    from core.data.rows import open_rows
    from core.data.sides import Split, find_sides

    data = config.data
    sides = sides or find_sides(rows, lambda done: ticket.report(done, len(rows)))
    if not data.holdout_source:
        return sides, sides.split(data.holdout, config.runtime.seed, is_stratified=bool(data.stratify_by))
    apart = find_sides(open_rows(data.holdout_source, meaning=Meaning(Meaning.of(data).mapping)))
    return sides, Split(len(sides.numbers), len(apart.numbers), ())
