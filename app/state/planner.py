"""The plan of the draft: estimate, steps, time and disk, made again at every change that could move it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from app.state.chosen_data import ChosenData
from app.state.chosen_model import ChosenModel
from app.state.draft import Draft
from app.state.memory_watch import MemoryWatch
from app.state.paces import Paces
from app.state.row_lengths import RowLengths

if TYPE_CHECKING:
    from core.gpus import Gpu
    from core.hardware import Device
    from core.memory.calibration import PastPeak
    from core.models.facts import ModelFacts
    from core.plan import Plan

STEADY = 0.01
"""Free memory that moved by no more than this share of the whole moves no suggestion: the band is far wider."""


class Planner(QObject):
    """`plan` is None while model or device are unknown; `waiting_for` says what is missing, in words."""

    changed = Signal()
    free_changed = Signal()
    """In place of `changed` when nothing but free memory moved, by little: of the plan only the figures of free
    and taken memory are others."""

    def __init__(
        self,
        draft: Draft,
        model: ChosenModel,
        data: ChosenData,
        lengths: RowLengths,
        paces: Paces,
        watch: MemoryWatch,
    ) -> None:
        super().__init__()
        self._draft, self._model, self._data, self._watch = draft, model, data, watch
        self._lengths, self._paces = lengths, paces
        self.plan: Plan | None = None
        self.waiting_for = ""
        self._misplaced = ""
        self._devices: list[Device] = []
        """Those that the plan was made for: its own, then all of its kind."""
        self.gpu: Gpu | None = None
        """The card that is planned for in place of this machine's; a run starts on this machine all the same."""
        draft.changed.connect(self._follow)
        for state in (model, data, lengths, paces):
            state.changed.connect(self.make)
        watch.changed.connect(self._look)
        self.make()

    @property
    def obstacle(self) -> str:
        """Why the run cannot start, in one sentence; empty when it can."""
        if self._model.known:
            return "Download the model to start: it is not on this machine yet."
        if self._model.error:
            return self._model.error
        if self._data.error:
            return self._data.error
        if self._watch.error:
            return self._watch.error
        if self._misplaced:
            return self._misplaced
        if (report := self._lengths.findings or self._data.report) is not None:
            lengths = self._lengths.lengths
            if not report.num_used or (lengths is not None and not lengths.num_sequences):
                return "None of the rows can be used; see Problems."
            if report.stop:
                return report.stop
        if problem := self._data.unlearnable:
            return problem
        return self.waiting_for

    def plan_for(self, gpu: Gpu | None) -> None:
        """Plan for a card of the table, or for this machine again."""
        if gpu != self.gpu:
            self.gpu = gpu
            self.make()

    @property
    def device(self) -> Device | None:
        """What is planned for; None until this machine has been looked at."""
        return self.gpu.device if self.gpu is not None else self._tightest()

    @property
    def has_several_gpus(self) -> bool:
        """Whether more than one process could train here."""
        return sum(device.kind == "cuda" for device in self._watch.alike) > 1

    @property
    def facts(self) -> ModelFacts | None:
        """Of the chosen model: from its files, or from the catalogue before it is downloaded. None while they are
        being read, or cannot be had."""
        return self._model.facts or self._model.known

    @property
    def past(self) -> tuple[PastPeak, ...]:
        """The peaks of past runs on this machine; none while another card is planned for."""
        return self._paces.peaks if self.gpu is None else ()

    @property
    def longest_row(self) -> int:
        """The longest row of the data in tokens; 0 while that is not known for sure."""
        lengths = self._lengths.lengths
        return lengths.longest if lengths and not lengths.is_sample else 0

    def make(self) -> None:
        """Make the plan from what is known now. Pure arithmetic: about a millisecond."""
        self.plan, self.waiting_for = None, self._missing()
        self._misplaced = self._mistake()
        self._devices = self._looked_at()
        facts, device, report = self.facts, self.device, self._lengths.findings or self._data.report
        if facts is not None and device is not None:
            from core.plan import make_plan

            config, lengths = self._draft.config, self._lengths.lengths
            limit = config.data.max_length
            rows = lengths.num_pieces(limit) if lengths and report else report.num_usable if report else None
            self.plan = make_plan(
                config,
                facts,
                device,
                rows,
                lengths.mean(limit) if lengths else None,
                trained_share=report.trained_share if report else None,
                longest_row=self.longest_row,
                paces=self._paces.paces,
                past=self.past,
                alike=self._watch.alike if self.gpu is None else (),
            )
        self.changed.emit()

    def _look(self) -> None:
        """Follow the devices. Other programs move their memory at any time: little of it is no reason to try every
        change anew, which is most of what a plan takes."""
        plan, facts, device, before = self.plan, self.facts, self.device, self._devices
        if plan is None or facts is None or device is None or not _is_steady(before, self._looked_at()):
            self.make()
            return
        from core.memory.estimate import estimate

        config, longest, past = self._draft.config, self.longest_row, self.past
        now = estimate(config, facts, device, longest_row=longest, past=past, with_suggestions=False)
        if (now.verdict, now.peak_bytes) != (plan.estimate.verdict, plan.estimate.peak_bytes):
            self.make()
            return
        self.plan = replace(plan, estimate=replace(now, suggestions=plan.estimate.suggestions))
        self.free_changed.emit()

    def _looked_at(self) -> list[Device]:
        device = self.device
        return [] if device is None else [device, *self._watch.alike]

    def _follow(self) -> None:
        self._watch.want(self._draft.config.runtime.device)
        self.make()

    def _tightest(self) -> Device | None:
        """Of the devices that the run's processes would take, the one with least room."""
        if self._watch.device is None or self._misplaced or not self._watch.alike:
            return self._watch.device
        from core.placement import place, tightest

        return tightest(place(self._draft.config, self._watch.alike))

    def _mistake(self) -> str:
        """Why the run cannot take place on this machine, in one sentence."""
        if not self._watch.alike:
            return ""
        from core.errors import HoneError
        from core.placement import place

        try:
            place(self._draft.config, self._watch.alike)
        except HoneError as error:
            return error.message
        return ""

    def _missing(self) -> str:
        if self._model.is_reading:
            return "Reading the model …"
        if self._data.is_reading:
            return "Reading the data …"
        if self._watch.device is None:
            return "Looking at the device's memory …"
        return ""


def _is_steady(before: list[Device], now: list[Device]) -> bool:
    """Whether these are the same devices with nearly as much free."""

    def alike(old: Device, new: Device) -> bool:
        free, others, ours = old.free_bytes, old.others_bytes, old.used_by_us_bytes
        return replace(new, free_bytes=free, others_bytes=others, used_by_us_bytes=ours) == old

    return len(before) == len(now) and all(
        alike(old, new) and abs(new.free_bytes - old.free_bytes) <= STEADY * old.total_bytes
        for old, new in zip(before, now, strict=True)
    )
