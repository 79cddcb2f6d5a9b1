"""What makes the draft fit when no single change does: looked for on a thread once edits have come to rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal

from app.state.background import Background, Ticket
from app.state.draft import Draft
from app.state.planner import Planner

if TYPE_CHECKING:
    from core.memory.suggestions import Suggestion

SETTLE_MS = 200


class Remedy(QObject):
    """`found` is of the plan as it stands: it is forgotten at every change that moves the plan."""

    changed = Signal()

    def __init__(self, planner: Planner, draft: Draft, background: Background) -> None:
        super().__init__()
        self._planner, self._draft, self._background = planner, draft, background
        self.found: Suggestion | None = None
        self.is_in_vain = False
        """Whether everything has been tried, and nothing makes the draft fit."""
        self._subject: tuple[object, ...] = ()
        self._ticket: Ticket | None = None
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(SETTLE_MS)
        self._settle.timeout.connect(self._look)
        planner.changed.connect(self._follow)
        self._follow()

    def _follow(self) -> None:
        plan = self._planner.plan
        subject = () if plan is None else (self._draft.config, plan.estimate.peak_bytes, plan.estimate.free_bytes)
        if subject == self._subject:
            return
        self._subject = subject
        self._settle.stop()
        if self._ticket is not None:
            self._ticket.drop()
            self._ticket = None
        self._show(None)
        if plan is not None and plan.estimate.verdict != "fits":
            self._settle.start()

    def _look(self) -> None:
        facts, device = self._planner.facts, self._planner.device
        if facts is None or device is None:
            return
        config, longest, past = self._draft.config, self._planner.longest_row, self._planner.past

        def look() -> Suggestion | None:
            from core.memory.fit import remedy

            return remedy(config, facts, device, longest_row=longest, past=past)

        self._ticket = self._background.run(self, look, lambda found: self._show(found, is_in_vain=found is None))

    def _show(self, found: Suggestion | None, *, is_in_vain: bool = False) -> None:
        if (found, is_in_vain) != (self.found, self.is_in_vain):
            self.found, self.is_in_vain = found, is_in_vain
            self.changed.emit()
