"""What the data is made of, as a short list of figures beside the lengths."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QVBoxLayout, QWidget

from app.state.data_statistics import DataStatistics
from app.state.draft import Draft
from app.widgets.label import ElidedLabel, Label
from core.figures import whole

if TYPE_CHECKING:
    from core.data.lengths import Lengths
    from core.data.statistics import Statistics

MOST_NAMED = 3
NAMES = ("Answers a row", "Scripts", "Trained", "Lost", "Padding")


class StatisticsList(QWidget):
    """`show_lengths` with the lengths at the limit; the rest comes from the statistics."""

    def __init__(self, draft: Draft, statistics: DataStatistics) -> None:
        super().__init__()
        self._draft, self._statistics = draft, statistics
        self.values = {name: ElidedLabel("") for name in NAMES}
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(1)
        for name, value in self.values.items():
            column.addWidget(Label(name, "small"))
            column.addWidget(value)
            column.addSpacing(5)
        column.addStretch()
        statistics.changed.connect(self._show)

    def show_lengths(self, lengths: Lengths | None) -> None:
        limit = self._draft.config.data.max_length
        trained = lost = "…"
        if lengths is not None:
            total = max(1, lengths.num_tokens)
            trained = f"{lengths.num_trained / total:.0%} of {whole(total)} tokens"
            num_lost = lengths.num_lost(limit)
            lost = f"{num_lost / total:.1%}: {whole(num_lost)} tokens" if num_lost else "nothing at this limit"
        self.values["Trained"].setText(trained)
        self.values["Lost"].setText(lost)
        self._show()

    def _show(self) -> None:
        found, padding = self._statistics.statistics, self._statistics.padding
        waiting = self._statistics.error or f"counting {self._statistics.share:.0%}"
        self.values["Answers a row"].setText(_turns(found) if found else waiting)
        self.values["Scripts"].setText(_shares(found.scripts) if found else waiting)
        words = "…"
        if padding is not None:
            is_packed = self._draft.config.data.packing
            words = f"{padding.without:.0%} of all; {padding.with_packing:.0%} if packed"
            if is_packed:
                words = f"{padding.with_packing:.0%}, packed; {padding.without:.0%} if not"
        self.values["Padding"].setText(words)


def _turns(found: Statistics) -> str:
    if set(found.turns) <= {0}:
        return "none: raw text" if found.turns else "no row can be used"
    return _shares({str(turns): count for turns, count in found.turns.items()})


def _shares(counts: dict[str, int]) -> str:
    """The most frequent by name, with their shares, and how many others there are."""
    total = max(1, sum(counts.values()))
    ordered = sorted(counts.items(), key=lambda pair: -pair[1])
    named = [f"{name} ({_percent(count / total)})" for name, count in ordered[:MOST_NAMED]]
    rest = len(ordered) - MOST_NAMED
    return " · ".join([*named, f"{rest} more"] if rest > 0 else named)


def _percent(share: float) -> str:
    return "< 1%" if 0 < share < 0.005 else f"{share:.0%}"
