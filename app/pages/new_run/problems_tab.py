"""What is wrong with rows of the data: how many of each kind, which, and what a run does with them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QSizePolicy, QStackedWidget, QVBoxLayout, QWidget

from app.pages.new_run.findings import Finding, findings, number_in_words
from app.state.draft import Draft
from app.theme import Theme, restyle
from app.widgets.button import Button
from app.widgets.combo import Combo
from app.widgets.count_list import Count, CountList
from app.widgets.label import ElidedLabel, Label
from app.widgets.row_list import Line, RowList
from core.config import RunConfig, choices, field_at
from core.data.kinds import LONG
from core.figures import whole

if TYPE_CHECKING:
    from core.data.lengths import Lengths
    from core.data.report import Findings, Listed
    from core.preview import Measured

FILES = "Table (*.csv);;JSON lines (*.jsonl)"
KINDS_NARROW, KINDS_WIDE = 150, 260
DOES = {
    "keep": "Use them",
    "cut": "Cut them",
    "skip": "Leave them out",
    "stop": "Stop the run",
    "ignore": "Do not look for them",
}
CUTS = {"data.on_control": "Take the characters out"}
"""What cutting means where it is not the row that is cut."""


class ProblemsTab(QWidget):
    """`opened` carries the number of a row that a person wants to see, as the shown report counts rows."""

    opened = Signal(int)
    lengths_wanted = Signal()
    export_wanted = Signal(object)
    """The file to write all problems to."""

    def __init__(self, draft: Draft, theme: Theme) -> None:
        super().__init__()
        self._draft = draft
        self._shown: tuple[object, ...] = (self,)
        self._findings: list[Finding] = []
        self._rows: dict[int, Listed] = {}
        self.kinds = CountList(theme, "Kinds of problems")
        self.kinds.chosen.connect(lambda _: self._show_kind())
        self.words = Label("", wrap=True)
        self.policy = Combo()
        self.policy.setFixedHeight(32)
        self.policy.setSizeAdjustPolicy(Combo.SizeAdjustPolicy.AdjustToContents)
        self.policy.setSizePolicy(QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Fixed)
        self.policy.activated.connect(self._choose)
        self.list = RowList(theme, self._line, lambda row: f"Line {whole(self._rows[row].line)}")
        self.list.setAccessibleName("Rows with problems; Enter shows one as the model sees it")
        self.list.opened.connect(self.opened)
        self.more = ElidedLabel("", "small")
        self.lengths = Button("Move the limit", "link")
        self.lengths.clicked.connect(lambda: self.lengths_wanted.emit())
        self.foot = QHBoxLayout()
        self.foot.setSpacing(8)
        self.foot.addWidget(self.more, 1)
        self.foot.addWidget(self.lengths)
        self.export = Button(
            "Export all …", "link", tip="Write every problem, not only the first hundred of a kind"
        )
        self.export.clicked.connect(self._pick_target)
        self.foot.addWidget(self.export)
        self.nothing = Label("", "secondary", wrap=True)
        self.looks = [self._look_button(), self._look_button()]
        self.foot.insertWidget(1, self.looks[0])
        self._stack = QStackedWidget(self)
        self._stack.addWidget(self._lay_out_nothing())
        self._stack.addWidget(self._lay_out())
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._stack)
        draft.changed.connect(self._follow)
        self.show_report(None)

    def _look_button(self) -> Button:
        button = Button(
            "Look for personal data", "link", tip="Addresses, phone and card numbers, by their pattern"
        )
        button.clicked.connect(lambda: self._draft.set("data.on_personal", "keep"))
        return button

    def _lay_out_nothing(self) -> QWidget:
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(self.nothing)
        column.addWidget(self.looks[1], 0, Qt.AlignmentFlag.AlignLeft)
        column.addStretch()
        return inside

    def _lay_out(self) -> QWidget:
        top = QHBoxLayout()
        top.setSpacing(12)
        top.addWidget(self.words, 1)
        top.addWidget(self.policy, 0, Qt.AlignmentFlag.AlignTop)
        right = QVBoxLayout()
        right.setSpacing(8)
        right.addLayout(top)
        right.addWidget(self.list, 1)
        right.addLayout(self.foot)
        inside = QWidget()
        row = QHBoxLayout(inside)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(16)
        row.addWidget(self.kinds)
        row.addLayout(right, 1)
        return inside

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.kinds.setFixedWidth(min(max(KINDS_NARROW, self.width() * 36 // 100), KINDS_WIDE))

    @property
    def findings(self) -> list[Finding]:
        return self._findings

    def show_report(
        self, report: Findings | None, measured: Measured | None = None, lengths: Lengths | None = None
    ) -> None:
        """What was found; `measured` and `lengths` where the report is one that knows no model."""
        limit = self._draft.config.data.max_length
        if self._shown == (report, measured, lengths, limit):
            return
        self._shown = report, measured, lengths, limit
        self._findings = findings(report, measured, lengths, limit) if report is not None else []
        self.nothing.setText("Checking …" if report is None else "Every row can be used, and none is odd.")
        self._stack.setCurrentIndex(1 if self._findings else 0)
        self.kinds.show_counts(
            [Count(one.kind, one.kind, number_in_words(one), one.tone) for one in self._findings]
        )
        self._show_kind()
        self._show_looks(is_known=report is not None)

    def _show_looks(self, *, is_known: bool) -> None:
        for button in self.looks:
            button.setVisible(is_known and self._draft.config.data.on_personal == "ignore")

    def _show_kind(self) -> None:
        one = next((finding for finding in self._findings if finding.kind == self.kinds.key), None)
        if one is None:
            return
        self._rows = {found.row: found for found in one.rows}
        self.list.show_numbers(sorted(self._rows))
        self.words.setText(one.words)
        self.lengths.setVisible(one.kind == LONG)
        listed = len(one.rows)
        self.say(
            f"the first {whole(listed)} of {whole(one.num_rows)}" if 0 < listed < one.num_rows
            else "press one to see it" if listed else ""
        )  # fmt: skip
        self._show_policy(one)

    def _show_policy(self, one: Finding) -> None:
        self.policy.setVisible(bool(one.policy))
        if not one.policy:
            return
        if self.policy.objectName() != one.policy:
            self.policy.clear()
            info = field_at(self._draft.config, one.policy)
            for value in choices(info):
                does = CUTS.get(one.policy, DOES[value]) if value == "cut" else DOES[value]
                self.policy.addItem(does, value)
            self.policy.setObjectName(one.policy)
            self.policy.setAccessibleName(info.description or "")
        self.policy.pick(self._draft.config.value(one.policy))

    def say(self, sentence: str, is_failure: bool = False) -> None:
        """Show what became of an export, until another kind is looked at."""
        restyle(self.more, role="error" if is_failure else "small")
        self.more.setText(sentence)

    def _pick_target(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "All problems of the data", "problems.csv", FILES)
        if path:
            self.export_wanted.emit(Path(path))

    def _choose(self) -> None:
        self._draft.set(self.policy.objectName(), self.policy.currentData())

    def _follow(self, config: RunConfig) -> None:
        if self._shown[-1] != config.data.max_length and len(self._shown) == 4:
            self.show_report(*self._shown[:3])  # type: ignore[arg-type]
        elif self._findings:
            self._show_kind()
        self._show_looks(is_known=self._shown[0] is not None)

    def _line(self, row: int) -> Line | None:
        found = self._rows[row]
        return Line(f"{found.file}: {found.reason}" if found.file else found.reason)
