"""Where the pieces of the memory bar and their labels go. Pure arithmetic in pixels, no painting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

LENS_BELOW = 0.3  # a run that takes less of its device than this is shown enlarged


@dataclass(frozen=True)
class MemoryPicture:
    """What the bar shows, in bytes. `parts` adds up to the peak; `band` is the ± of the estimate."""

    parts: Mapping[str, int]
    band: int
    free: int
    total: int
    others: int = 0
    ours: int = 0
    """Memory that this program's runs hold now; neither free nor others'."""

    peak: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "peak", sum(self.parts.values()))

    @property
    def is_small(self) -> bool:
        return self.peak + self.band < LENS_BELOW * self.total

    @property
    def fits(self) -> bool:
        return self.peak <= self.free


@dataclass(frozen=True)
class Piece:
    """One stretch of the bar, from `top` to `bottom` in pixels, measured downwards."""

    name: str
    num_bytes: int
    top: float
    bottom: float

    @property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2


def stack(parts: Mapping[str, int], bottom: float, pixels_per_byte: float, least: float = 2.0) -> list[Piece]:
    """The non-empty parts piled up from `bottom`, in order. A thin part gets `least` pixels, which the thick
    ones give up, so that the pile ends where the peak is."""
    shown = {name: num_bytes for name, num_bytes in parts.items() if num_bytes > 0}
    heights = {name: num_bytes * pixels_per_byte for name, num_bytes in shown.items()}
    lifted = {name: max(height, least) for name, height in heights.items()}
    excess = sum(lifted.values()) - sum(heights.values())
    roomy = {name: height - least for name, height in heights.items() if height > 2 * least}
    if excess > 0 and sum(roomy.values()) > excess:
        share = excess / sum(roomy.values())
        lifted |= {name: heights[name] - room * share for name, room in roomy.items()}
    pieces, edge = [], bottom
    for name, num_bytes in shown.items():
        pieces.append(Piece(name, num_bytes, edge - lifted[name], edge))
        edge -= lifted[name]
    return pieces


def spread(wanted: list[float], gap: float, top: float, bottom: float) -> list[float]:
    """Positions as near as possible to the wanted ones (ascending), at least `gap` apart, inside top … bottom.

    Least squares by pooling adjacent violators. When there are too many they overlap evenly.
    """
    if not wanted:
        return []
    if len(wanted) > 1:
        gap = min(gap, (bottom - top) / (len(wanted) - 1))
    pools: list[tuple[float, int]] = []
    for index, position in enumerate(wanted):
        pools.append((position - index * gap, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (high, m), (low, n) = pools[-2], pools[-1]
            pools[-2:] = [((high * m + low * n) / (m + n), m + n)]
    last = bottom - (len(wanted) - 1) * gap
    flat = [min(max(value, top), last) for value, times in pools for _ in range(times)]
    return [value + index * gap for index, value in enumerate(flat)]
