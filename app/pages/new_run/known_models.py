"""The models of the catalogue with a dot each: whether they fit what the plan is for, by the draft's settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app.state.background import Background
from app.state.draft import Draft
from app.state.planner import Planner
from app.theme import Theme
from app.widgets.label import Label
from app.widgets.option_list import Option, OptionList
from app.widgets.scrolled import scrolled
from core.config import RunConfig
from core.figures import count, size
from core.methods.presets import moved

if TYPE_CHECKING:
    from core.hardware import Device
    from core.memory.calibration import PastPeak

HEIGHT = 232
SETTLE_MS = 250
TONES = {"fits": "fits", "tight": "tight", "does not fit": "no"}


class KnownModels(QWidget):
    """`chosen` carries the Hub name of the row that was pressed. The dots are judged on a thread."""

    chosen = Signal(str)
    settled = Signal()
    """The plan has changed and come to rest: what was judged before no longer holds."""

    def __init__(self, draft: Draft, planner: Planner, background: Background, theme: Theme) -> None:
        super().__init__()
        self._draft, self._planner, self._background = draft, planner, background
        self.options = OptionList(theme, "Models that Hone knows")
        self.options.chosen.connect(self.chosen)
        self._about = Label("", "small")
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(SETTLE_MS)
        self._settle.timeout.connect(self.look)
        self._settle.timeout.connect(self.settled)
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, 0, 8, 0)
        column.addWidget(self.options)
        column.addStretch(1)
        scroll = scrolled(inside)
        scroll.setFixedHeight(HEIGHT)
        scroll.viewport().setAutoFillBackground(False)
        inside.setAutoFillBackground(False)  # the card shows through
        head = QHBoxLayout()
        head.addWidget(Label("On the Hub", "caption"))
        head.addStretch(1)
        head.addWidget(self._about)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 4, 0, 4)
        whole.setSpacing(6)
        whole.addLayout(head)
        whole.addWidget(scroll)
        planner.changed.connect(self._follow)

    def look(self) -> None:
        """Judge every model anew."""
        config, origin = self._draft.config, self._draft.origin
        device, past = self._planner.device, self._planner.past
        self._background.run(self, lambda: known_models(config, origin, device, past), self._show)

    def _follow(self) -> None:
        if self.isVisible():
            self._settle.start()

    def _show(self, options: list[Option]) -> None:
        self.options.show_options(options, self._draft.config.model.source)
        fitting = sum(option.tone == "fits" for option in options)
        place = self._planner.gpu.name if self._planner.gpu is not None else "this machine"
        self._about.setText(f"{fitting} of {len(options)} fit {place}")


def known_models(
    config: RunConfig, origin: RunConfig, device: Device | None, past: tuple[PastPeak, ...]
) -> list[Option]:
    """The catalogue as options: what fits first, the largest of them at the top. They are judged by the settings
    that a draft would have with them, which are the same for all."""
    from core.memory.fit import fit_of
    from core.models.catalogue import catalogue

    models = catalogue()
    config, _ = moved(config, origin, models[0].name)
    found = []
    for model in models:
        words = [count(model.num_parameters), model.licence, *(["terms to accept"] if model.is_gated else [])]
        tone, note, rank = "", "", 0
        if device is not None:
            estimate = fit_of(model, config, device, past)
            tone, note = TONES[estimate.verdict], f"{size(estimate.peak_bytes)} of memory"
            rank = list(TONES).index(estimate.verdict)
        option = Option(model.name, model.name, " · ".join(words), note, tone)
        found.append((rank, -model.num_parameters if rank == 0 else model.num_parameters, option))
    return [option for *_, option in sorted(found, key=lambda one: one[:2])]
