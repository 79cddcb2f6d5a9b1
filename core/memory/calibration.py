"""What past runs on this machine say of the estimate: how far they were from it, and how much they differed.

Knows no files; core.memory.past reads them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

FEWEST = 3
"""Runs below which nothing is concluded."""
ALIKE = 4.0
"""Runs count whose predicted peak is within this factor of the one in question: what a small run takes beside its
tensors says nothing of a large one."""
MOST_CHANGE = 0.25
"""Runs that far from the estimate had something else going on, so they are no evidence."""
FLOOR = 0.03
"""The band never becomes narrower than this share of the peak."""
DOUBT = 0.14
"""Over the square root of the number of runs: the band's floor while they are few."""


@dataclass(frozen=True)
class PastPeak:
    """One finished run: what was expected of it, without calibration, and what it took; in bytes."""

    device: str
    """Name of the device, as hardware.Device has it."""
    method: str
    quantization: str
    predicted_bytes: int
    measured_bytes: int

    @property
    def ratio(self) -> float:
        return self.measured_bytes / self.predicted_bytes


@dataclass(frozen=True)
class Prediction:
    """What a run is expected to take, as it is written down when it begins; in bytes, 0 when nothing is known."""

    raw_bytes: int = 0
    """By the estimate alone: what a later calibration is drawn from, lest it corrects its own corrections."""
    planned_bytes: int = 0
    """As past runs correct it."""
    evidence: str = ""
    """What they changed, in words."""


@dataclass(frozen=True)
class Calibration:
    """What the estimate is to be multiplied with, and how sure that is."""

    ratio: float
    band: float
    """Half-width of the band as a share of the peak."""
    num_runs: int

    @property
    def sentence(self) -> str:
        """Such as "Adjusted by +2 % from 5 runs on this machine"."""
        percent = round(100 * (self.ratio - 1))
        change = f"Adjusted by {'+' if percent > 0 else '−'}{abs(percent)}%" if percent else "Confirmed"
        return f"{change} {'from' if percent else 'by'} {self.num_runs} runs on this machine"


def calibrate(
    past: Sequence[PastPeak], *, device: str, method: str, quantization: str, predicted_bytes: int
) -> Calibration | None:
    """The median ratio of the runs that are like the one in question: same device, method and quantisation, and
    about as large. None with fewer than three of them."""
    ratios = sorted(
        one.ratio
        for one in past
        if (one.device, one.method, one.quantization) == (device, method, quantization)
        and one.predicted_bytes > 0
        and 1 / ALIKE <= predicted_bytes / one.predicted_bytes <= ALIKE
        and abs(one.ratio - 1) <= MOST_CHANGE
    )
    if len(ratios) < FEWEST:
        return None
    middle = (ratios[(len(ratios) - 1) // 2] + ratios[len(ratios) // 2]) / 2
    # The largest deviation seen, widened for how few were looked at: the next run may well lie beyond it.
    seen = max(abs(ratio / middle - 1) for ratio in ratios) * (1 + 2 / len(ratios))
    return Calibration(middle, max(FLOOR, DOUBT / math.sqrt(len(ratios)), seen), len(ratios))


def adjusted(parts: dict[str, int], ratio: float) -> dict[str, int]:
    """The parts of a peak that is `ratio` times as large. What is counted exactly stays: what is more goes to the
    margin; what is less comes off the margin, then off the context, then off the largest of the rest."""
    found = dict(parts)
    change = round((ratio - 1) * sum(parts.values()))
    if change >= 0:
        found["margin"] = found.get("margin", 0) + change
        return found
    passing = ("margin", "context", "recompute", "head_and_loss", "activations", "workspace", "weights")
    for name in passing:
        taken = min(-change, found.get(name, 0))
        found[name] = found.get(name, 0) - taken
        change += taken
    return found
