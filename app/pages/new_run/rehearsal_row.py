"""The rehearsal in the plan: the button that starts and ends it, and the row with what it found."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app.pages.new_run.rehearsal_popup import RehearsalPopup
from app.state.draft import Draft
from app.state.planner import Planner
from app.state.rehearsing import Rehearsing
from app.theme import Theme
from app.widgets.button import Button
from app.widgets.label import ElidedLabel, Label, hairline, set_tooltip
from core.figures import size

TIP = "Follow one step of the real code on tensors without content: the exact peak, without the model's weights"
BESIDE = "Tensors alone. The peak above has in it what the framework takes for itself as well."


class RehearsalRow(QWidget):
    """`button` belongs beside Start."""

    def __init__(self, planner: Planner, draft: Draft, rehearsing: Rehearsing, theme: Theme) -> None:
        super().__init__()
        self._planner, self._draft, self._rehearsing, self._theme = planner, draft, rehearsing, theme
        self._popup: RehearsalPopup | None = None
        self.button = Button("Rehearse", tip=TIP)
        self.button.setObjectName("rehearse")
        self.button.clicked.connect(self._press)
        self.words = ElidedLabel("–", "number")
        self.words.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.more = Button("Details", "link", tip="The step as a timeline, and what was alive at its peak")
        self.more.clicked.connect(self.open)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(hairline())
        row = QHBoxLayout()
        row.setSpacing(8)
        column.addStretch()
        column.addLayout(row)
        column.addStretch()
        row.addWidget(Label("Rehearsed", "secondary"))
        row.addWidget(self.words, 1)
        row.addWidget(self.more)
        self.setFixedHeight(30)
        self.setAccessibleName("Rehearsed")
        rehearsing.changed.connect(self._show)
        planner.changed.connect(self._show)
        self._show()

    @property
    def is_current(self) -> bool:
        """Whether what was found is of the plan as it stands."""
        device = self._planner.device
        return device is not None and self._rehearsing.holds_for(
            self._draft.config, device.kind, self._planner.longest_row
        )

    @property
    def popup(self) -> RehearsalPopup:
        """The details, built when first asked for."""
        if self._popup is None:
            self._popup = RehearsalPopup(self._theme)
        return self._popup

    def open(self) -> None:
        found, plan = self._rehearsing.found, self._planner.plan
        if found is not None:
            self.popup.show_found(found, plan.estimate.tensor_bytes if plan else 0, self.is_current)
            self.popup.open_under(self)

    def _press(self) -> None:
        device = self._planner.device
        if self._rehearsing.is_running:
            self._rehearsing.cancel()
        elif device is not None and self._planner.plan is not None:
            self._rehearsing.start(self._draft.config, device.kind, self._planner.longest_row)

    def _show(self) -> None:
        state = self._rehearsing
        self.button.setText("Cancel" if state.is_running else "Rehearse")
        self.button.setEnabled(state.is_running or self._planner.plan is not None)
        self.more.setVisible(state.found is not None and not state.is_running)
        self.setVisible(state.is_running or bool(state.error) or state.found is not None)
        tone = "secondary"
        if state.is_running:
            words = state.label
        elif state.error:
            words, tone = state.error, "no"
        elif state.found is None:
            words = "–"
        elif self.is_current:
            words, tone = f"{size(state.found.peak_bytes)} of tensors", ""
        else:
            words = f"{size(state.found.peak_bytes)}, for other settings"
        self.words.setText(words)
        self.words.set_tone(tone)
        set_tooltip(self, BESIDE if state.found is not None else "")
        self.setAccessibleDescription(words)
