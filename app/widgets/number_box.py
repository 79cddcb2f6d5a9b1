"""A spin box for any number: knows its scale, writes 2 × 10⁻⁴ and reads 2e-4, and never rounds what was typed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QValidator, QWheelEvent
from PySide6.QtWidgets import QAbstractSpinBox, QSizePolicy

from app.theme import CONTROL_HEIGHT
from core.figures import scientific

Scale = Literal["linear", "log", "double", "share"]
_PLAIN = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹−", "-0123456789-")


@dataclass(frozen=True)
class Range:
    """What a number may be and how it is stepped and shown. `zero` is the word shown for 0. A share, 0.05, is
    shown and typed as a percentage, 5%."""

    low: float
    high: float
    is_whole: bool
    scale: Scale = "linear"
    unit: str = ""
    zero: str = ""
    low_is_open: bool = False

    def holds(self, number: float) -> bool:
        return (self.low < number if self.low_is_open else self.low <= number) and number <= self.high

    def stepped(self, number: float, steps: int) -> float:
        """The number after so many presses of the arrow, inside the range."""
        for _ in range(abs(steps)):
            number = self._one_step(number, up=steps > 0)
        number = min(max(number, self.low), self.high)
        return round(number) if self.is_whole else number

    def refusal(self, text: str) -> str:
        """Why a text is no share, in percent as it was typed; empty for one, and for numbers of other kinds, of
        which the config itself says so."""
        number = self.parse(text)
        if self.scale != "share" or (number is not None and self.holds(number)):
            return ""
        if number is None:
            return f"{text.strip()[:40]} is no percentage."
        limit = f"at least {self.text(self.low)}" if number < self.low else f"at most {self.text(self.high)}"
        return f"{self.text(number)} is out of range; it must be {limit}."

    def _one_step(self, number: float, up: bool) -> float:
        if self.scale == "double":
            if number <= 0:
                return 1 if up else 0
            power = math.log2(number)
            return 2.0 ** (math.floor(power + 1e-9) + 1 if up else math.ceil(power - 1e-9) - 1)
        if self.scale == "log":
            return _one_two_five(number, up)
        if self.is_whole:
            size = 5 if self.high > 10_000 else 1
            return math.floor(number / size + 1) * size if up else math.ceil(number / size - 1) * size
        size = 0.01 if self.high <= 1 else 0.1
        return round(number + (size if up else -size), 10)

    def text(self, number: float) -> str:
        if number == 0 and self.zero:
            return self.zero
        if self.scale == "share":
            return f"{Decimal(repr(number)).scaleb(2).normalize():f}%"
        shown = (
            f"{round(number):,}" if self.is_whole else scientific(number) if self.scale == "log" else f"{number:g}"
        )
        return f"{shown} {self.unit}" if self.unit else shown

    def parse(self, text: str) -> float | int | None:
        """The number a person meant; None when it is none."""
        text = text.strip().casefold()
        if self.zero and text == self.zero.casefold():
            return 0
        text = text.removesuffix(self.unit.casefold()).strip() if self.unit else text
        text = text.translate(_PLAIN).replace(",", "").replace(" ", "").replace("×10", "e").replace("x10", "e")
        text = text.replace("*10^", "e").replace("^", "")
        is_percent = text.endswith("%") or self.scale == "share"
        try:
            number = float(Decimal(text.removesuffix("%")).scaleb(-2 if is_percent else 0))
        except (ValueError, ArithmeticError):
            return None
        if not math.isfinite(number):
            return None
        if self.is_whole:
            return int(number) if number == int(number) else None
        return number


class NumberBox(QAbstractSpinBox):
    """`edited` carries a number in range, as it is typed or stepped; `refused` the text that is none, or a number
    out of range, once the person has finished typing."""

    edited = Signal(object)
    refused = Signal(object)

    def __init__(self, limits: Range) -> None:
        super().__init__()
        self.limits = limits
        self._value: float | int = limits.low
        self._is_refused = False
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccelerated(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.lineEdit().setTextMargins(7, 0, 0, 0)
        self.lineEdit().textEdited.connect(self._typed)
        self.editingFinished.connect(self._finished)

    def sizeHint(self) -> QSize:
        return QSize(64, CONTROL_HEIGHT)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def value(self) -> float | int:
        return self._value

    def show_value(self, value: float | int) -> None:
        """Show a value without emitting; text that already means it is left as it was typed."""
        self._value, self._is_refused = value, False
        if self.limits.parse(self.text()) != value:
            self.lineEdit().setText(self.limits.text(value))

    def stepBy(self, steps: int) -> None:
        typed = self.limits.parse(self.text())
        start = typed if typed is not None and self.limits.holds(typed) else self._value
        number = self.limits.stepped(start, steps)
        if self.limits.holds(number):
            self.lineEdit().setText(self.limits.text(number))
            self._take(number)

    def stepEnabled(self) -> QAbstractSpinBox.StepEnabledFlag:
        flags = QAbstractSpinBox.StepEnabledFlag.StepNone
        if self._value < self.limits.high:
            flags |= QAbstractSpinBox.StepEnabledFlag.StepUpEnabled
        if self._value > self.limits.low:
            flags |= QAbstractSpinBox.StepEnabledFlag.StepDownEnabled
        return flags

    def validate(self, text: str, position: int) -> tuple[QValidator.State, str, int]:
        return QValidator.State.Acceptable, text, position

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self.limits.parse(self.text()) != self._value:
            self.lineEdit().setText(self.limits.text(self._value))
            self._take(self._value)
            return
        super().keyPressEvent(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        super().wheelEvent(event) if self.hasFocus() else event.ignore()

    def _typed(self, text: str) -> None:
        number = self.limits.parse(text)
        if number is not None and self.limits.holds(number):
            self._take(number)

    def _finished(self) -> None:
        if self.text() == self.limits.text(self._value) and not self._is_refused:
            return  # what is shown may be rounded: reading it back would change the value
        number = self.limits.parse(self.text())
        if number is None or not self.limits.holds(number):
            self._is_refused = True
            self.refused.emit(self.text() if number is None else number)
        else:
            self._take(number)
            self.lineEdit().setText(self.limits.text(number))

    def _take(self, number: float | int) -> None:
        if number != self._value or self._is_refused:
            self._value, self._is_refused = number, False
            self.edited.emit(number)


def _one_two_five(number: float, up: bool) -> float:
    """The next of 1, 2, 5, 10, 20, 50 … above or below."""
    exponent = math.floor(math.log10(number) + 1e-9)
    marks = [factor * 10.0**power for power in range(exponent - 1, exponent + 2) for factor in (1, 2, 5)]
    if up:
        found = next(mark for mark in marks if mark > number * (1 + 1e-9))
    else:
        found = next(mark for mark in reversed(marks) if mark < number * (1 - 1e-9))
    return float(f"{found:.3g}")
