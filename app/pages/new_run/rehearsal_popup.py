"""What a rehearsal found: the exact peak, the step as a timeline, and what was alive at the peak, by kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from app.theme import Theme, sized
from app.widgets import words
from app.widgets.amount_bars import ROW, Amount, AmountBars
from app.widgets.label import Label, hairline
from app.widgets.popup import Popup
from app.widgets.step_timeline import StepTimeline
from core.figures import duration, size, whole

if TYPE_CHECKING:
    from core.memory.rehearsal import Living, Rehearsal

WIDTH = 600
MOST_TENSORS = 6
PHASES = {
    "load": "while loading the model", "forward": "in the forward pass", "head": "in the head and the loss",
    "backward": "in the backward pass", "step": "in the optimizer step", "evaluation": "in the evaluation",
}  # fmt: skip


class RehearsalPopup(Popup):
    """`show_found` fills it; it stays true to what was rehearsed, and says when the plan is of something else."""

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme, WIDTH)
        self.setObjectName("rehearsal")
        self.headline = Label("", "headline")
        self.detail = Label("", "secondary", wrap=True)
        self.stale = Label("", "warning", wrap=True)
        self.timeline = StepTimeline(theme)
        self.kinds = AmountBars(theme)
        self.tensors = _Tensors(theme)
        for widget in (
            Label("Rehearsed", "caption"), self.headline, self.detail, self.stale, self.timeline, hairline(),
            Label("Alive at the peak, by kind", "caption"), self.kinds, hairline(),
            Label("The largest tensors among them", "caption"), self.tensors,
        ):  # fmt: skip
            self.body.addWidget(widget)
        self.body.setSpacing(8)

    def show_found(self, found: Rehearsal, estimated_bytes: int, is_current: bool) -> None:
        """`estimated_bytes` are the plan's for the same tensors; they are compared while the plan is the same."""
        self.headline.setText(f"{size(found.peak_bytes)} of tensors")
        parts = [PHASES[found.peak_phase]]
        if is_current and estimated_bytes:
            parts.append(compared(estimated_bytes, found.peak_bytes))
        rows = f"{found.rows} {'row' if found.rows == 1 else 'rows'} of {whole(found.length)} tokens"
        held = [f"the allocator holds {size(found.reserved_bytes)}"] if found.reserved_bytes else []
        self.detail.setText(" · ".join([*parts, *held, rows, f"took {duration(found.seconds)}"]))
        self.stale.setText("The settings have changed since; rehearse again for the plan as it is now.")
        self.stale.setVisible(not is_current)
        self.timeline.show_points(found.timeline)
        parts = sorted(found.parts.items(), key=lambda part: -part[1])
        self.kinds.show_amounts([Amount(_name(name), num, name) for name, num in parts if num])
        self.tensors.show_living(found.living[:MOST_TENSORS])
        self.body.activate()
        self.setFixedHeight(self.body.totalHeightForWidth(WIDTH))


def compared(estimated: int, rehearsed: int) -> str:
    """How far the estimate is from the rehearsal: "the estimate says 0.4 % more"."""
    percent = 100 * (estimated / rehearsed - 1)
    if abs(percent) < 0.05:
        return "as the estimate says"
    return f"the estimate says {abs(percent):.1f}% {'more' if percent > 0 else 'less'}"


class _Tensors(QWidget):
    """One row for each group of like tensors: their kind's swatch, shape, what made them, how many, how much."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._living: list[Living] = []
        theme.changed.connect(self.update)

    def show_living(self, living: list[Living]) -> None:
        self._living = living
        self.setFixedHeight(ROW * len(living))
        self.setAccessibleDescription(", ".join(f"{_shape(one)} {size(one.num_bytes)}" for one in living))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        tokens, painter = self._theme.tokens, QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        middle, right = Qt.AlignmentFlag.AlignVCenter, Qt.AlignmentFlag.AlignRight
        for index, one in enumerate(self._living):
            row = QRectF(0, index * ROW, self.width(), ROW)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(tokens.segments.get(one.part, tokens.others)))
            painter.drawRoundedRect(QRectF(0, row.center().y() - 4.5, 9, 9), 2, 2)
            painter.setFont(sized(12))
            painter.setPen(QColor(tokens.text))
            painter.drawText(row.adjusted(18, 0, 0, 0), middle, f"{one.count} × {_shape(one)}")
            painter.setPen(QColor(tokens.secondary))
            made = _name(one.part) if one.operation == one.part else _operation(one.operation)
            painter.drawText(row.adjusted(300, 0, -84, 0), middle, made)
            painter.setFont(sized(12, QFont.Weight.DemiBold))
            painter.setPen(QColor(tokens.text))
            painter.drawText(row, middle | right, size(one.num_bytes))


def _name(part: str) -> str:
    return words.PARTS.get(part, (part.replace("_", " "), ""))[0]


def _shape(one: Living) -> str:
    return f"[{', '.join(f'{number:,}' for number in one.shape)}] {one.dtype}"


def _operation(name: str) -> str:
    """torch's name of an operation without its namespace and overload: "aten._to_copy.default" is "to copy"."""
    return (name.split(".")[1:2] or [name])[0].strip("_").replace("_", " ")
