"""What is wrong with rows of the data: those that cannot be used, and those that are odd, each with its line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from app.widgets.label import Label
from core.figures import whole

if TYPE_CHECKING:
    from core.data.check import Report
    from core.preview import Measured

MOST_ODD = 100
"""Remarks that are laid out; the command line lists all that were kept."""


class ProblemList(QScrollArea):
    """`show_report` replaces it all, when it is another report."""

    def __init__(self) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAccessibleName("Problems in the data")
        self._shown: tuple[object, object] = (self, None)
        self.show_report(None)

    def show_report(self, report: Report | None, measured: Measured | None = None) -> None:
        """What the check found, and what template and tokenizer refused of the rows measured."""
        if self._shown[0] is report and self._shown[1] is measured:
            return
        self._shown = report, measured
        inside = QWidget()
        inside.setObjectName("clear")
        self._column = QVBoxLayout(inside)
        self._column.setContentsMargins(0, 0, 8, 0)
        self._column.setSpacing(6)
        if report is None:
            self._column.addWidget(Label("Checking …", "secondary"))
        else:
            self._list_problems(report, measured)
            self._list_remarks(report)
        self._column.addStretch()
        self.setWidget(inside)

    def _list_problems(self, report: Report, measured: Measured | None) -> None:
        left_out = report.num_rows - report.num_used
        refused = {} if measured is None else {
            reason: count for reason, count in measured.reasons.items() if reason not in report.reasons
        }  # fmt: skip
        if not left_out and not refused:
            self._column.addWidget(Label("Every row can be used.", "secondary"))
        for problem in report.problems:
            self._add(f"Line {whole(problem.line)}", problem.reason)
        if left_out > len(report.problems) > 0:
            self._column.addWidget(Label(f"and {whole(left_out - len(report.problems))} more", "secondary"))
        for reason, count in refused.items():
            self._add(f"{whole(count)} rows", f"are left out, seen as the model sees them: {reason}")

    def _list_remarks(self, report: Report) -> None:
        if not report.remark_counts:
            return
        counts = ", ".join(f"{kind} ({whole(count)})" for kind, count in report.remark_counts.items())
        self._column.addWidget(Label(f"Used all the same: {counts}.", "secondary", wrap=True))
        for remark in report.remarks[:MOST_ODD]:
            self._add(f"Line {whole(remark.line)}", remark.reason)

    def _add(self, where: str, words: str) -> None:
        row = QHBoxLayout()
        row.setSpacing(12)
        line = Label(where, "small")
        line.setFixedWidth(76)
        row.addWidget(line, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(Label(words, wrap=True), 1)
        self._column.addLayout(row)
