"""How many of the data's rows a run would train on, hold out and leave out: judged by tokens, or else as read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from app.state.chosen_data import ChosenData
from app.state.preview import Preview
from core.data.kinds import LEAKED

if TYPE_CHECKING:
    from core.data.report import Split


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
        found = self._preview.findings or self._data.report
        return found.split if found is not None else None

    @property
    def num_leaks(self) -> int:
        """Held-out rows whose prompts are trained too."""
        found = self._preview.findings or self._data.report
        return found.remark_counts.get(LEAKED, 0) if found is not None else 0

    @property
    def doubt(self) -> str:
        """What the split does not know yet, in a sentence; empty when it is the run's own."""
        if self.split is None or self._preview.findings is not None:
            return ""
        if self._preview.state in ("waiting", "failed"):
            return "Rows that the model's chat template refuses are counted once its tokenizer is here."
        return "Rows that the model's chat template refuses are still being counted."

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
