"""Reads a log of storages: what was alive when, the peak of each phase, and what kind of thing each was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from core.worker.phases import EMBED, HEAD
from core.worker.storages import Birth, StorageLog, rounded

PAGED = "paged"
"""The kind of optimizer states in unified memory: on the GPU while it has room, but never torch's."""
COPIED = ("weights", "constants", "adapter")


def part_of(birth: Birth, births: list[Birth]) -> str:
    """The part of the estimate that a storage belongs to."""
    if birth.kind:
        return "optimizer" if birth.kind == PAGED else birth.kind
    if "dequantize" in birth.operation or (birth.copied >= 0 and births[birth.copied].kind in COPIED):
        return "workspace"  # a weight in another number format, for as long as it is multiplied with
    phase = birth.phase.rpartition("/")[2]
    if phase == HEAD:
        return "head_and_loss"
    if phase == EMBED or phase.startswith("forward"):
        return "activations"
    return "recompute" if phase.startswith("backward") else "workspace"


@dataclass(frozen=True)
class Moment:
    """A place in the log: the number of the event, its phase, and the bytes alive after it."""

    event: int
    phase: str
    num_bytes: int


def walk(log: StorageLog, block: int = 1) -> Iterator[Moment]:
    """Every event of a phase in order, with the bytes alive after it; sizes are rounded up to whole blocks."""
    sizes = [rounded(birth.num_bytes, block) for birth in log.births]
    marks = [*log.marks, (len(log.events) + 1, "")]
    live, phase, mark = 0, "", 0
    for number, event in enumerate(log.events):
        while marks[mark][0] <= number:
            phase = marks[mark][1]
            mark += 1
        live += sizes[event] if event >= 0 else -sizes[~event]
        if phase:
            yield Moment(number, phase, live)


def peak(log: StorageLog, block: int = 1) -> Moment:
    """The moment at which most bytes were alive."""
    return max(walk(log, block), key=lambda moment: moment.num_bytes)


def phase_peaks(log: StorageLog, block: int = 1) -> dict[str, int]:
    """The most bytes alive in each phase, in order of appearance."""
    found: dict[str, int] = {}
    for moment in walk(log, block):
        found[moment.phase] = max(found.get(moment.phase, 0), moment.num_bytes)
    return found


def alive(log: StorageLog, event: int) -> list[Birth]:
    """The storages alive after an event."""
    living: set[int] = set()
    for change in log.events[: event + 1]:
        if change >= 0:
            living.add(change)
        else:
            living.discard(~change)
    return [log.births[number] for number in living]


def parts(log: StorageLog, event: int, block: int = 1) -> dict[str, int]:
    """The bytes alive after an event, by part of the estimate."""
    found: dict[str, int] = {}
    for birth in alive(log, event):
        part = part_of(birth, log.births)
        found[part] = found.get(part, 0) + rounded(birth.num_bytes, block)
    return found


def timeline(log: StorageLog, num_points: int, block: int = 1) -> list[tuple[float, int, str]]:
    """The log in at most so many stretches of equally many events: where each begins (0 to 1), the most bytes
    alive in it, and the phase that was in."""
    moments = list(walk(log, block))
    size = max(1, -(-len(moments) // num_points))
    stretches = [moments[start : start + size] for start in range(0, len(moments), size)]
    tops = [max(stretch, key=lambda moment: moment.num_bytes) for stretch in stretches]
    return [(i * size / len(moments), top.num_bytes, top.phase) for i, top in enumerate(tops)]


Likeness = tuple[str, str, tuple[int, ...], str]
"""Part of the estimate, operation, shape, and number format."""


def alike(log: StorageLog, living: list[Birth], block: int = 1) -> list[tuple[Likeness, tuple[int, int]]]:
    """Storages of one likeness together, with their count and their bytes, largest first."""
    found: dict[Likeness, tuple[int, int]] = {}
    for birth in living:
        likeness = (
            part_of(birth, log.births),
            birth.operation.removesuffix(".default"),
            birth.shape,
            str(birth.dtype).removeprefix("torch."),
        )
        count, num_bytes = found.get(likeness, (0, 0))
        found[likeness] = (count + 1, num_bytes + rounded(birth.num_bytes, block))
    return sorted(found.items(), key=lambda pair: -pair[1][1])
