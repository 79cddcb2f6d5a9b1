"""The estimate's peak at each moment of a run, of which the largest is the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.theme import Theme
from app.widgets.amount_bars import Amount, AmountBars
from app.widgets.label import Label
from app.widgets.popup import Popup

if TYPE_CHECKING:
    from core.memory.estimate import Estimate

WIDTH = 460
NAME_WIDTH = 190


class MomentsPopup(Popup):
    """`show_estimate` fills it."""

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme, WIDTH)
        self.setObjectName("moments")
        self.bars = AmountBars(theme, NAME_WIDTH)
        self.body.setSpacing(8)
        self.body.addWidget(Label("The peak at each moment", "caption"))
        self.body.addWidget(self.bars)

    def show_estimate(self, estimate: Estimate) -> None:
        self.bars.show_amounts(
            [
                Amount(words, num_bytes, "accent" if is_peak else "others", is_peak)
                for words, num_bytes in estimate.moments.items()
                if (is_peak := words == estimate.moment) or num_bytes
            ]
        )
