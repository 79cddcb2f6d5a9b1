"""The moments of a run at which memory may peak."""

from __future__ import annotations

from dataclasses import dataclass

MOMENTS = {
    "load": "loading the model",
    "loss": "the head and the loss",
    "layer": "the backward pass of a layer",
    "step": "the optimizer step",
    "evaluation": "an evaluation",
    "sampling": "writing samples",
}
"""Each moment in words, as the window shows it."""


@dataclass(frozen=True)
class Moment:
    """One moment and the bytes alive in it, by part."""

    words: str
    parts: dict[str, int]

    @property
    def num_bytes(self) -> int:
        return sum(self.parts.values())
