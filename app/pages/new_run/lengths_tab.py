"""How long the rows are in the model's tokens, and what the length limit costs, which can be dragged here."""

from __future__ import annotations

from PySide6.QtGui import QResizeEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app.pages.new_run.statistics_list import StatisticsList
from app.state.data_statistics import DataStatistics
from app.state.draft import Draft
from app.state.preview import Preview
from app.theme import Theme
from app.widgets.label import ElidedLabel
from app.widgets.length_plot import LengthPlot
from core.data.lengths import Lengths
from core.figures import whole

NARROW, WIDE = 130, 320


class LengthsTab(QWidget):
    """A sample's lengths at once, and every row's when it is opened."""

    def __init__(self, draft: Draft, preview: Preview, statistics: DataStatistics, theme: Theme) -> None:
        super().__init__()
        self._draft, self._preview, self._statistics = draft, preview, statistics
        self._lengths: Lengths | None = None
        self.plot = LengthPlot(theme)
        self.plot.limit_moved.connect(lambda limit: draft.set("data.max_length", limit))
        self.cost = ElidedLabel("", "small")
        self.figures = ElidedLabel("", "small")
        self.made_of = StatisticsList(draft, statistics)
        column = QVBoxLayout()
        column.setSpacing(6)
        column.addWidget(self.plot, 1)
        column.addWidget(self.figures)
        column.addWidget(self.cost)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(16)
        row.addLayout(column, 1)
        row.addWidget(self.made_of)
        preview.measured.connect(self._take)
        preview.changed.connect(self._show)
        preview.progressed.connect(self._show_progress)
        draft.changed.connect(self._show)
        self._take()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._preview.want(0)
        self._preview.want_all()
        self._statistics.look()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.made_of.setFixedWidth(min(max(NARROW, self.width() * 34 // 100), WIDE))

    def _take(self) -> None:
        measurement = self._preview.measurement
        self._lengths = Lengths.of(measurement) if measurement is not None else None
        self._show()

    def _show(self) -> None:
        lengths, limit = self._lengths, self._draft.config.data.max_length
        self.plot.show_lengths(lengths, limit)
        self.made_of.show_lengths(lengths)
        if lengths is not None:
            self.cost.setText(lengths.cut_in_words(limit))
            self.figures.setText(_figures(lengths))
            return
        self.figures.setText("")
        waiting = "Lengths follow once the model can be read."
        words = {"failed": self._preview.problem, "waiting": waiting}
        self.cost.setText(words.get(self._preview.state, "Counting tokens …"))

    def _show_progress(self, share: float) -> None:
        if self._lengths is not None and self._lengths.is_sample:
            self.figures.setText(f"{_figures(self._lengths)}, {share:.0%} counted")


def _figures(lengths: Lengths) -> str:
    about = "About " if lengths.is_sample else ""
    middle, longest = whole(lengths.at_share(0.5)), whole(lengths.longest)
    return f"{about}{middle} tokens in the middle, {longest} at most"
