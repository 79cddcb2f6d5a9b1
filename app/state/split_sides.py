"""How many of the data's rows a run would train on, hold out and leave out: judged by tokens, or else as read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from app.state.chosen_data import ChosenData
from app.state.preview import Preview
from core.data.kinds import LEAKED

if TYPE_CHECKING:
    from core.data.report import Findings, Split


class SplitSides(QObject):
    """`look` once; then `split` follows data, model and settings, and is None until the rows have been read."""

    changed = Signal()

    def __init__(self, data: ChosenData, preview: Preview) -> None:
        super().__init__()
        self._data, self._preview = data, preview
        for signal in (data.changed, data.progressed, preview.judged, preview.changed):
            signal.connect(self.changed)

    @property
    def split(self) -> Split | None:
        return self._found.split if self._found is not None else None

    @property
    def num_leaks(self) -> int:
        """Held-out rows whose prompts are trained too."""
        return self._found.remark_counts.get(LEAKED, 0) if self._found is not None else 0

    @property
    def _found(self) -> Findings | None:
        """Without a file to evaluate on that cannot be had, nothing is judged by tokens either."""
        return self._data.report if self._data.apart_error else self._preview.findings or self._data.report

    @property
    def doubt(self) -> str:
        """What the split does not know yet, in a sentence; empty when it is the run's own."""
        if self._found is None or self._found is self._preview.findings:
            return ""
        if self._preview.state in ("waiting", "failed"):
            return "What chat template and length limit leave out is counted once the model's tokenizer is here."
        return "What chat template and length limit leave out is still being counted."

    @property
    def share(self) -> float:
        """How much has been read, while there is no split yet."""
        return self._data.checked_share

    @property
    def error(self) -> str:
        """What is the matter with the file to evaluate on."""
        return self._data.apart_error

    def look(self) -> None:
        self._preview.want_findings()
