"""Every problem of the draft's data written to a file: by the preview once it has judged them, or on a thread."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from app.state.background import Background, Ticket
from app.state.draft import Draft
from app.state.preview import Preview
from core.config import RunConfig
from core.errors import HoneError
from core.figures import whole


class ProblemExport(QObject):
    """`start` it; `said` tells how far it is, and in the end what came of it."""

    said = Signal(str, bool)
    """A sentence, and whether it is about a failure."""

    def __init__(self, draft: Draft, preview: Preview, background: Background) -> None:
        super().__init__()
        self._draft, self._preview, self._background = draft, preview, background
        self._target = Path()
        preview.exported.connect(self._exported)
        self._ticket: Ticket | None = None

    def start(self, target: Path) -> None:
        """Write a .csv or .jsonl file; a file still being written is given up."""
        if self._ticket is not None:
            self._ticket.drop()
        if self._preview.findings is not None:
            self._target = target
            self._preview.export(target)
            return
        work = partial(_write, self._draft.config, target)
        done = partial(self._done, target)
        self._ticket = self._background.run_long(self, work, done, self._failed, self._tell)

    def _tell(self, share: float) -> None:
        self.said.emit(f"writing {share:.0%} …", False)

    def _done(self, target: Path, num_lines: int) -> None:
        self._ticket = None
        self.said.emit(f"{whole(num_lines)} lines are in {target.name}", False)

    def _exported(self, num_lines: int, problem: str) -> None:
        self.said.emit(problem or f"{whole(num_lines)} lines are in {self._target.name}", bool(problem))

    def _failed(self, error: HoneError) -> None:
        self._ticket = None
        self.said.emit(error.message, True)


def _write(config: RunConfig, target: Path, ticket: Ticket) -> int:
    from core.data.export import export_problems

    return export_problems(config.data, config.runtime.seed, target, ticket.report)
