"""Chooses what the plan is for: this machine, or a card of the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.state.planner import Planner
from app.widgets.combo import Combo
from core.figures import GIB

if TYPE_CHECKING:
    from core.gpus import Gpu

HERE = "This machine"


class GpuChooser(Combo):
    """Filled when it is first opened; typing a name goes to it."""

    def __init__(self, planner: Planner) -> None:
        super().__init__([(HERE, None)])
        self._planner = planner
        self.setObjectName("plan-for")
        self.setAccessibleName("Plan for")
        self.setToolTip("Plan for this machine, or for a card that you do not have here")
        self.activated.connect(self._choose)
        planner.changed.connect(self._follow)

    def showPopup(self) -> None:
        self.fill()
        super().showPopup()

    def fill(self) -> None:
        """List every card of the table, with a line between kinds."""
        if self.count() > 1:
            return
        from core.gpus import gpus

        use = ""
        for gpu in gpus():
            if gpu.use != use:
                self.insertSeparator(self.count())
                use = gpu.use
            self.addItem(_name(gpu), gpu)

    def _follow(self) -> None:
        if self.currentData() != self._planner.gpu:
            self.fill()
            self.pick(self._planner.gpu)

    def _choose(self, index: int) -> None:
        self._planner.plan_for(self.itemData(index))


def _name(gpu: Gpu) -> str:
    """With its memory, which some have in their names: "RTX 4090 · 24 GB" and "Apple M4 · 16 GB"."""
    name, _, last = gpu.name.rpartition(" ")
    if last.endswith("GB"):
        return f"{name} · {last.removesuffix('GB')} GB"
    return f"{gpu.name} · {gpu.memory_bytes / GIB:.0f} GB"
