"""The plan, docked at the right of New run: verdict, memory bar, figures, what to change, Start."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from app.pages.new_run.gpu_chooser import GpuChooser
from app.pages.new_run.moments_popup import MomentsPopup
from app.pages.new_run.rehearsal_row import RehearsalRow
from app.state.draft import Draft
from app.state.planner import Planner
from app.state.rehearsing import Rehearsing
from app.state.remedy import Remedy
from app.theme import PAGE_MARGIN, PLAN_WIDTH, Theme
from app.widgets.button import Button
from app.widgets.flow import Flow
from app.widgets.label import ElidedLabel, Label, hairline, set_tooltip
from app.widgets.memory_bar import MemoryBar
from app.widgets.memory_layout import MemoryPicture
from app.widgets.suggestion_chip import SuggestionChip
from app.widgets.words import in_labels
from core.figures import count, duration, gib, size, whole

if TYPE_CHECKING:
    from core.memory.estimate import Estimate
    from core.memory.suggestions import Suggestion
    from core.plan import Plan

TONES = {"fits": "fits", "tight": "tight", "does not fit": "no"}
MOST_CHIPS = 4
FIGURE_HEIGHT = 29
CHOOSER_WIDTH = 252
NO_MODEL = "The plan stands here once a model can be read."
NO_EVIDENCE = "Not yet checked here: three runs like it narrow the band."


class PlanPanel(QFrame):
    """`start_pressed` is a wish to start; the page decides. Suggestions change the draft at once, undoably."""

    start_pressed = Signal()

    def __init__(
        self, planner: Planner, draft: Draft, remedy: Remedy, rehearsing: Rehearsing, theme: Theme
    ) -> None:
        super().__init__()
        self.setObjectName("plan")
        self.setFixedWidth(PLAN_WIDTH)
        self._planner, self._draft, self._remedy, self._theme = planner, draft, remedy, theme
        self._suggestions: list[Suggestion] = []
        self._chip_pool: list[SuggestionChip] = []
        self.verdict = Label("", "headline")
        self.verdict.setObjectName("verdict")
        self.peak = Label("", "secondary")
        self.moment = Button("", "link", tip="The peak at each moment of the run")
        self.moment.setObjectName("moment")
        self.moment.clicked.connect(self._open_moments)
        self._moments: MomentsPopup | None = None
        self.waiting = Label("", "secondary", wrap=True)
        self.bar = MemoryBar(theme)
        self.chooser = GpuChooser(planner)
        self.evidence = Label("", "small", wrap=True)
        self.evidence.setObjectName("evidence")
        self.stock = _Figure("Stock PEFT")
        self.rehearsal = RehearsalRow(planner, draft, rehearsing, theme)
        self.time, self.disk = _Figure("Time"), _Figure("Disk")
        self.steps, self.trainable = _Figure("Steps"), _Figure("Learns")
        set_tooltip(self.stock, "The same run in transformers' Trainer with PEFT, as most people set them up.")
        self._chips_title = Label("What to change", "caption")
        self._chips_title.hide()
        self._chips = Flow(spacing=8)
        self.note = Label("", "small", wrap=True)
        self.note.setObjectName("start-note")
        self.start = Button("Start", "primary", tip="Start this run (Ctrl+Enter)", name="Start")
        self.start.setObjectName("start")
        self.start.clicked.connect(lambda: self.start_pressed.emit())
        self._lay_out()
        planner.changed.connect(self._show)
        planner.free_changed.connect(self._show_free)
        remedy.changed.connect(self._show)
        self._order_tabs()
        self._show()

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(PAGE_MARGIN, PAGE_MARGIN, PAGE_MARGIN, PAGE_MARGIN)
        column.setSpacing(0)
        head = QHBoxLayout()
        head.setSpacing(6)
        head.addWidget(Label("The plan", "caption"))
        head.addStretch(1)
        head.addWidget(Label("for", "secondary"))
        head.addWidget(self.chooser)
        self.chooser.setFixedWidth(CHOOSER_WIDTH)
        column.addLayout(head)
        column.addSpacing(8)
        column.addWidget(self.verdict)
        column.addSpacing(2)
        peak = QHBoxLayout()
        peak.setSpacing(4)
        peak.addWidget(self.peak)
        peak.addWidget(self.moment)
        peak.addStretch(1)
        column.addLayout(peak)
        column.addWidget(self.waiting)
        column.addSpacing(2)
        column.addWidget(self.evidence)
        column.addSpacing(14)
        column.addWidget(self.bar, 10)
        column.addSpacing(12)
        for figure in (self.time, self.disk, self.steps, self.trainable, self.stock):
            column.addWidget(hairline())
            column.addWidget(figure)
        column.addWidget(self.rehearsal)
        column.addWidget(hairline())
        column.addSpacing(12)
        column.addWidget(self._chips_title)
        column.addSpacing(8)
        column.addWidget(self._chips)
        column.addStretch(1)
        column.addSpacing(12)
        column.addWidget(self.note)
        column.addSpacing(6)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addWidget(self.rehearsal.button)
        buttons.addWidget(self.start, 1)
        column.addLayout(buttons)

    def set_note(self, sentence: str, is_error: bool = False) -> None:
        """A sentence above Start: why it cannot be pressed, or what went wrong."""
        self.note.setText(in_labels(sentence))
        self.note.setVisible(bool(sentence))
        self.note.set_tone("no" if is_error else "")

    def _show(self) -> None:
        plan = self._planner.plan
        if plan is None:
            self._show_waiting()
        else:
            self._show_estimate(plan.estimate)
            self._show_figures(plan)

    def _show_free(self) -> None:
        if self._planner.plan is not None:
            self._show_estimate(self._planner.plan.estimate)

    def _show_waiting(self) -> None:
        is_error = bool(self._planner.obstacle) and self._planner.obstacle != self._planner.waiting_for
        self.verdict.setText("No estimate yet")
        self.verdict.set_tone("secondary")
        self.waiting.setText(NO_MODEL if is_error else self._planner.waiting_for)
        self._show_peak(False)
        self.evidence.setText("")
        self.bar.show_picture(None)
        for figure in (self.time, self.disk, self.steps, self.trainable, self.stock):
            figure.show_words("–")
        self._show_suggestions([])

    def _show_estimate(self, estimate: Estimate) -> None:
        spare = estimate.free_bytes - estimate.peak_bytes
        word = {"fits": "Fits", "tight": "Tight", "does not fit": "Does not fit"}[estimate.verdict]
        room = f"{size(spare)} to spare" if spare >= 0 else f"{size(-spare)} short"
        self.verdict.setText(f"{word} · {room if estimate.is_sure else f'likely {room}'}")
        self.verdict.set_tone(TONES[estimate.verdict])
        band = size(estimate.margin_bytes)
        self.peak.setText(f"Peak {_with_band(estimate.peak_bytes, estimate.margin_bytes)} {_at(estimate.moment)}")
        self.moment.setText(estimate.moment)
        self._show_peak(True)
        set_tooltip(self.peak, f"The true peak is expected within ± {band}.")
        self._show_evidence(estimate)
        self.bar.show_picture(self._picture(estimate))
        offered = [one for one in estimate.suggestions if one.saved_bytes]
        is_in_vain = self._remedy.is_in_vain and all(one.verdict != "fits" for one in offered)
        self._chips_title.setText(_chips_title(estimate, is_in_vain=is_in_vain))
        if (several := self._remedy.found) is not None:
            offered = [replace(several, title="Make it fit", cost=several.title), *offered]
        self._show_suggestions(offered[:MOST_CHIPS])

    def _picture(self, estimate: Estimate) -> MemoryPicture:
        """Of one process of the run: what is free for the others of it is left out."""
        free, others = estimate.free_bytes, estimate.others_bytes
        device = self._planner.device
        total = estimate.total_bytes - (max(0, device.free_bytes - free) if device is not None else 0)
        ours = max(0, total - free - others)
        return MemoryPicture(estimate.parts, estimate.margin_bytes, free, total, others, ours)

    def _show_evidence(self, estimate: Estimate) -> None:
        """What the estimate rests on, or why it rests on little; all there is to know of it as the tooltip."""
        gpu, notes = self._planner.gpu, [in_labels(note) for note in estimate.notes]
        words = [f"On {estimate.each_of}."] if estimate.each_of else []
        if gpu is not None:
            words.append(f"Planned for another card, the {gpu.name}. Start trains on this machine.")
        if notes and not estimate.is_sure:
            words.append(notes[0])
        elif gpu is None:
            words.append(f"{estimate.evidence}." if estimate.evidence else next(iter(notes), NO_EVIDENCE))
        self.evidence.setText(" ".join(words))
        self.evidence.set_tone("" if gpu is None and estimate.is_sure else "tight")
        set_tooltip(self.evidence, " ".join(notes))

    def _show_peak(self, is_known: bool) -> None:
        self.peak.setVisible(is_known)
        self.moment.setVisible(is_known)
        self.waiting.setVisible(not is_known)

    def _open_moments(self) -> None:
        if self._planner.plan is not None:
            self._moments = self._moments or MomentsPopup(self._theme)
            self._moments.show_estimate(self._planner.plan.estimate)
            self._moments.open_under(self.evidence)

    def _show_figures(self, plan: Plan) -> None:
        self.time.show_words(duration(plan.seconds) if plan.seconds is not None else "known after a first run")
        self.disk.show_words(f"{size(plan.disk_bytes)} · adapter {size(plan.adapter_bytes)}")
        self.stock.show_words(_against(plan.stock_peak_bytes, plan.estimate.peak_bytes))
        tokens = f" · {count(plan.tokens_per_epoch)} tokens an epoch" if plan.tokens_per_epoch else ""
        self.steps.show_words(f"{whole(plan.total_steps)}{tokens}" if plan.total_steps is not None else "–")
        share = 100 * plan.num_trainable / max(1, plan.num_parameters)
        self.trainable.show_words(
            f"{count(plan.num_trainable)} of {count(plan.num_parameters)} parameters"
            if share < 99.5
            else f"all {count(plan.num_parameters)} parameters"
        )

    def _show_suggestions(self, suggestions: list[Suggestion]) -> None:
        if suggestions == self._suggestions:
            return
        self._suggestions = suggestions
        self._chips_title.setVisible(bool(suggestions))
        for index in range(len(self._chip_pool), len(suggestions)):
            chip = SuggestionChip(self._theme)
            chip.clicked.connect(lambda _=False, index=index: self._take(index))
            self._chip_pool.append(chip)
            self._chips.add(chip)
            self._order_tabs()
        for index, chip in enumerate(self._chip_pool):
            chip.setVisible(index < len(suggestions))
            if index < len(suggestions):
                suggestion = suggestions[index]
                mends = suggestion.verdict == "fits" and suggestion.saved_bytes > 0
                chip.show_words(suggestion.title, suggestion.amount, mends)
                set_tooltip(chip, f"{suggestion.cost}; then it {_then(suggestion.verdict)}")

    def _order_tabs(self) -> None:
        """From top to bottom, though chips are made last."""
        chain = [
            self.chooser,
            self.moment,
            self.rehearsal.more,
            *self._chip_pool,
            self.rehearsal.button,
            self.start,
        ]
        for before, after in itertools.pairwise(chain):
            QWidget.setTabOrder(before, after)

    def _take(self, index: int) -> None:
        self._draft.set_many(self._suggestions[index].changes)


class _Figure(QWidget):
    """A name at the left, its figure at the right."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._words = ElidedLabel("–", "number")
        self._words.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(Label(name, "secondary"))
        row.addWidget(self._words, 1)
        self.setFixedHeight(FIGURE_HEIGHT)
        self.setAccessibleName(name)

    def show_words(self, words: str) -> None:
        self._words.setText(words)
        self.setAccessibleDescription(words)


def _then(verdict: str) -> str:
    return {"fits": "fits", "tight": "is tight"}.get(verdict, "still does not fit")


def _at(moment: str) -> str:
    """The word before a moment: "in the optimizer step", "while loading the model"."""
    return "while" if moment.partition(" ")[0].endswith("ing") else "in"


def _against(stock: int, ours: int) -> str:
    """ "16.9 GiB, 2.2 times as much": what the run takes there, measured by what it takes here."""
    if stock < 1.02 * ours:
        return f"{size(stock)}, about the same"
    more = f"{stock / ours:.1f} times as much" if stock >= 1.5 * ours else f"{100 * (stock / ours - 1):.0f}% more"
    return f"{size(stock)}, {more}"


def _chips_title(estimate: Estimate, *, is_in_vain: bool) -> str:
    """What the changes below it are for."""
    if estimate.verdict == "fits":
        return "Room for more"
    if estimate.peak_bytes + estimate.margin_bytes <= estimate.free_bytes:  # and tight only because it is a guess
        return "What would save memory"
    return "What helps, but not enough" if is_in_vain else "What to change"


def _with_band(peak: int, margin: int) -> str:
    """ "7.8 ± 0.2 GiB": both in the peak's unit."""
    if peak >= 2**30:
        return f"{peak / 2**30:.1f} ± {gib(margin)}"
    return f"{peak / 2**20:.0f} ± {margin / 2**20:.0f} MiB"
