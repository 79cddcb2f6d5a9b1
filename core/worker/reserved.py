"""Plays a rehearsal's log through the allocator's segments: how much memory a run on a GPU holds, used or not."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import torch

from core.worker.segments import Block, Segments
from core.worker.storages import Birth, StorageLog

WORKSPACES = 2
"""Of cuBLAS: the backward pass runs in a thread of its own, which has another."""
LASTING = ("weights", "constants", "adapter", "optimizer")
"""Kinds of storages that stay from step to step."""


def reserved_peak(
    log: StorageLog, *, compute_bytes: int, is_upcast: bool, workspace_bytes: int, expandable: bool
) -> int:
    """The most bytes that torch's allocator holds in a run of ours: while it loads, in its first step, in an
    evaluation and in a step after it. `log` is that of a rehearsal, `workspace_bytes` what cuBLAS takes."""
    play = Play(log, expandable=expandable)
    play.load(compute_bytes, is_upcast)
    play.segments.empty_cache()
    play.cast()
    play.attach()
    play.take_workspaces(workspace_bytes)
    training, evaluation = events_of(log, "training"), events_of(log, "evaluation")
    play.follow(training)
    play.make(number for number, birth in enumerate(log.births) if birth.kind == "optimizer")
    play.follow(evaluation)
    play.free_passing()
    play.follow(training)
    return play.segments.peak


class Play:
    """One allocator, and where in it the storages of a log are."""

    def __init__(self, log: StorageLog, *, expandable: bool) -> None:
        self.segments = Segments(expandable=expandable)
        self._log = log
        self._blocks: dict[int, Block] = {}

    def load(self, compute_bytes: int, is_upcast: bool, *, ahead_bytes: int | None = None) -> None:
        """Bring the base in, in the order of the log. A quantised weight is there in the format of `compute_bytes`
        while it is packed.

        `is_upcast` says that what stands in fp32 comes in that format too, until `cast`. So many bytes are taken
        at once and freed ahead of it; without a number as many as the whole model has, as transformers does when
        it loads onto a device.
        """
        base = [n for n, birth in enumerate(self._log.births) if birth.kind in ("weights", "constants")]
        sizes = [_loaded(self._log.births[number], compute_bytes, is_upcast) for number in base]
        ahead = sum(size for size, _ in sizes) if ahead_bytes is None else ahead_bytes
        if ahead:
            self.segments.release(self.segments.allocate(ahead))
        for number, (size, whole) in zip(base, sizes, strict=True):
            passing = self.segments.allocate(whole) if whole else None
            if size:
                self._blocks[number] = self.segments.allocate(size)
            if passing is not None:
                self.segments.release(passing)

    def cast(self) -> None:
        """Make every tensor of the base as large as it stands in the log; what it was cast from is freed."""
        for number, before in list(self._blocks.items()):
            if before.size < self._log.births[number].num_bytes:
                del self._blocks[number]
                self.make([number])
                self.segments.release(before)

    def attach(self) -> None:
        """Add the adapter."""
        self.make(number for number, birth in enumerate(self._log.births) if birth.kind == "adapter")

    def take_workspaces(self, num_bytes: int) -> None:
        """Those of cuBLAS, so many bytes together: they are taken at the first products and kept."""
        for _ in range(WORKSPACES if num_bytes else 0):
            self.segments.allocate(num_bytes // WORKSPACES)

    def make(self, numbers: Iterable[int]) -> None:
        """Allocate these storages where they do not stand yet."""
        for number in numbers:
            num_bytes = self._log.births[number].num_bytes
            if num_bytes and number not in self._blocks:
                self._blocks[number] = self.segments.allocate(num_bytes)

    def follow(self, events: Iterable[int]) -> None:
        """Make and free what these events of the log make and free."""
        for event in events:
            if event >= 0:
                self.make((event,))
            elif block := self._blocks.pop(~event, None):
                self.segments.release(block)

    def free_passing(self) -> None:
        """Free what a step leaves behind and the next does not need, gradients among it."""
        passing = [number for number in self._blocks if self._log.births[number].kind not in LASTING]
        self.follow(~number for number in passing)


def events_of(log: StorageLog, section: str) -> list[int]:
    """The events in the phases of a section, such as "training", in order."""
    marks = [*log.marks, (len(log.events), "")]
    stretches = [
        log.events[start:end] for (start, name), (end, _) in itertools.pairwise(marks) if name.startswith(section)
    ]
    return list(itertools.chain.from_iterable(stretches))


def _loaded(birth: Birth, compute_bytes: int, is_upcast: bool) -> tuple[int, int]:
    """Bytes of a tensor of the base as it is loaded, and of what it is packed from; 0 when it is not packed."""
    if birth.dtype == torch.uint8 and birth.kind == "weights":
        return birth.num_bytes, 2 * birth.num_bytes * compute_bytes
    if birth.dtype == torch.int8:
        return birth.num_bytes, birth.num_bytes * compute_bytes
    if is_upcast and birth.dtype == torch.float32 and birth.kind == "weights":
        return birth.num_bytes * compute_bytes // 4, 0
    return birth.num_bytes, 0
