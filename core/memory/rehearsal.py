"""What a rehearsal found: the JSON document that `python -m core.worker rehearse` prints. Knows no torch.

The job is started as `rehearse CONFIG.yaml [--device cpu|cuda|mps] [--longest TOKENS] [--shape CONFIG.json]`:
a device that is not here is rehearsed for as well, `--longest` is the longest row of the data, and `--shape` is
the config.json of a model that is not on this machine. Without it the model is looked for here, then in the
catalogue. Lines on stderr tell how far it is; what went wrong is one sentence there, with exit code 1.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

PHASES: tuple[str, ...] = ("load", "forward", "head", "backward", "step", "evaluation")
"""The phases of a run, in order: forward is that of the layers, head is the output layer with the loss."""
Phase = Literal["load", "forward", "head", "backward", "step", "evaluation"]
MOST_POINTS = 500
MOST_LIVING = 40


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)


class Point(_Record):
    """The most bytes alive in one stretch of the timeline."""

    at: float
    """Where the stretch begins, as a share of the timeline's operations, 0 to 1."""
    num_bytes: int
    phase: Phase


class Living(_Record):
    """Tensors alive at the peak that are alike: of one shape, made by one operation."""

    part: str
    """The part of the estimate that they belong to, such as "weights" or "recompute"."""
    operation: str
    """What made them: an operation of torch such as "aten.mm"; the part itself for what stood before the step."""
    shape: tuple[int, ...]
    dtype: str
    """As torch names it: "bfloat16"."""
    count: int
    num_bytes: int
    """Of all of them together."""


class Rehearsal(_Record):
    """A rehearsed run. All bytes are those of tensors, as the device's allocator hands them out, unless said
    otherwise; what the framework itself takes beside them is not among them."""

    peak_bytes: int
    peak_phase: Phase
    """Where it was reached."""
    phases: dict[str, int]
    """The most bytes alive in each phase, in the order of PHASES."""
    parts: dict[str, int]
    """The peak by part of the estimate; they add up to peak_bytes."""
    timeline: list[Point]
    """An optimizer step and an evaluation, from first to last operation: at most MOST_POINTS, the peak in one."""
    living: list[Living]
    """What was alive at the peak, largest first; at most MOST_LIVING."""
    num_living: int
    """Tensors alive at the peak, all together."""
    reserved_bytes: int = 0
    """What torch's allocator holds at most on CUDA, used or not, where its segments can grow, as workers on Linux
    have it; 0 on other devices."""
    paged_bytes: int = 0
    """What of the peak is an optimizer's states in unified memory: torch's allocator does not hold them, and they
    move to RAM where the GPU is full."""
    fixed_reserved_bytes: int = 0
    """The same where segments cannot grow, as on Windows."""
    num_layers: int
    num_trainable: int
    """Parameters that the run trains."""
    rows: int
    """Rows computed at once."""
    length: int
    """Tokens of each of them."""
    model: str
    device: Literal["cpu", "cuda", "mps"]
    seconds: float
    """What the rehearsal took."""
    versions: dict[str, str]
    """Of the libraries whose code was rehearsed."""
