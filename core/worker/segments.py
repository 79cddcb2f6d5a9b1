"""How torch's caching allocator on CUDA comes to hold more than is used: its segments and blocks, without a GPU.

Follows c10/cuda/CUDACachingAllocator.cpp and c10/core/AllocatorConfig.h of torch 2.13: requests are rounded up to
512 bytes (kMinBlockSize); those of up to 1 MiB (kSmallSize) share segments of 2 MiB (kSmallBuffer), those under
10 MiB (kMinLargeAlloc) segments of 20 MiB (large_segment_size), larger ones have segments of their own, rounded up
to 2 MiB (kRoundLarge). A request takes the smallest free block that has room. Expandable segments are one stretch
of addresses per pool instead, to which memory is mapped in pieces of 2 or 20 MiB as it is needed.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field

MIB = 1 << 20
BLOCK = 512
SMALL, SMALL_SEGMENT = MIB, 2 * MIB
LARGE, LARGE_SEGMENT, LARGE_ROUND = 10 * MIB, 20 * MIB, 2 * MIB
ENDLESS = 1 << 50
"""Addresses of an expandable segment: more than a device has memory."""


@dataclass(eq=False, slots=True)
class Block:
    """A stretch of a segment: in use, free, or, in an expandable segment, without memory."""

    address: int
    size: int
    pool: Pool
    is_used: bool = False
    is_mapped: bool = True
    before: Block | None = None
    after: Block | None = None


@dataclass(eq=False, slots=True)
class Pool:
    """The free blocks of small or large requests by size, then address; and the unmapped ones by address."""

    is_small: bool
    free: list[tuple[int, int, Block]] = field(default_factory=list)
    unmapped: list[tuple[int, Block]] = field(default_factory=list)

    @property
    def piece(self) -> int:
        return SMALL_SEGMENT if self.is_small else LARGE_SEGMENT

    def add(self, block: Block) -> None:
        if block.is_mapped:
            insort(self.free, (block.size, block.address, block))
        else:
            insort(self.unmapped, (block.address, block))

    def remove(self, block: Block) -> None:
        if block.is_mapped:
            del self.free[bisect_left(self.free, (block.size, block.address))]
        else:
            del self.unmapped[bisect_left(self.unmapped, (block.address,))]


class Segments:
    """The allocator. `reserved` and `allocated` are bytes now, `peak` and `peak_allocated` their most."""

    def __init__(self, *, expandable: bool) -> None:
        self.expandable = expandable
        self.reserved = self.allocated = self.peak = self.peak_allocated = 0
        self._pools = {True: Pool(is_small=True), False: Pool(is_small=False)}
        self._next_address = 0

    def allocate(self, num_bytes: int) -> Block:
        """A block for a request of at least one byte."""
        size = -(-num_bytes // BLOCK) * BLOCK
        pool = self._pools[size <= SMALL]
        block = self._best(pool, size)
        if block is None:
            block = self._expanded(pool, size) if self.expandable else self._segment(pool, size)
        rest = block.size - size
        if rest >= BLOCK if pool.is_small or self.expandable else rest > SMALL:
            self._cut(block, size)
        block.is_used = True
        self.allocated += block.size
        self.peak_allocated = max(self.peak_allocated, self.allocated)
        return block

    def release(self, block: Block) -> None:
        """Free a block; the segment keeps its memory."""
        block.is_used = False
        self.allocated -= block.size
        self._merge(block)
        block.pool.add(block)

    def empty_cache(self) -> None:
        """Give back whole free segments, or of expandable ones whole free pieces."""
        for pool in self._pools.values():
            for _, _, block in list(pool.free):
                if self.expandable:
                    self._unmap(block)
                elif block.before is None and block.after is None:
                    pool.remove(block)
                    self.reserved -= block.size

    def _best(self, pool: Pool, size: int) -> Block | None:
        """The smallest free block of at least this size, taken out of the pool. One that can still grow counts as
        large as it can become."""
        place = bisect_left(pool.free, (size,))
        if place == len(pool.free):
            return None
        if self.expandable:
            while place + 1 < len(pool.free) and _reach(pool.free[place + 1][2]) < _reach(pool.free[place][2]):
                place += 1
        return pool.free.pop(place)[2]

    def _segment(self, pool: Pool, size: int) -> Block:
        wanted = pool.piece if size < LARGE else -(-size // LARGE_ROUND) * LARGE_ROUND
        self._reserve(wanted)
        return self._stretch(pool, wanted)

    def _stretch(self, pool: Pool, size: int, is_mapped: bool = True) -> Block:
        """New addresses, with a gap before the next ones."""
        block = Block(self._next_address, size, pool, is_mapped=is_mapped)
        self._next_address += size + LARGE_SEGMENT
        return block

    def _expanded(self, pool: Pool, size: int) -> Block:
        """The first addresses with room for `size` bytes, free or unmapped, with memory all over."""
        block = next((found for _, one in pool.unmapped if (found := _start(one, size))), None)
        if block is None:
            block = self._stretch(pool, ENDLESS, is_mapped=False)
            pool.add(block)
        if not block.is_mapped:
            block = self._map(block, min(block.size, size))
        while block.size < size:
            after = block.after
            assert after is not None
            block = self._map(after, min(after.size, size - block.size))
        pool.remove(block)
        return block

    def _map(self, block: Block, size: int) -> Block:
        """Memory for the first `size` bytes of an unmapped block, in whole pieces; free, and merged with what is
        free beside it."""
        wanted = -(-size // block.pool.piece) * block.pool.piece
        block.pool.remove(block)
        if wanted < block.size:
            self._cut(block, wanted)
        block.is_mapped = True
        self._reserve(block.size)
        self._merge(block)
        block.pool.add(block)
        return block

    def _unmap(self, block: Block) -> None:
        """Give back the whole pieces of a free block, which starts anywhere in one."""
        pool, piece = block.pool, block.pool.piece
        base = self._base(block)
        start = base + -(-(block.address - base) // piece) * piece
        end = base + (block.address + block.size - base) // piece * piece
        if end <= start:
            return
        pool.remove(block)
        if block.address < start:
            self._cut(block, start - block.address)
            pool.add(block)
            assert block.after is not None
            block = block.after
            pool.remove(block)
        if block.size > end - start:
            self._cut(block, end - start)
        block.is_mapped = False
        self.reserved -= block.size
        self._merge(block)
        pool.add(block)

    def _base(self, block: Block) -> int:
        while block.before is not None:
            block = block.before
        return block.address

    def _cut(self, block: Block, size: int) -> None:
        """Shorten a block that is in no pool to `size` bytes; the rest becomes a block of its own, free or
        unmapped as the block was."""
        rest = Block(
            block.address + size, block.size - size, block.pool, is_mapped=block.is_mapped,
            before=block, after=block.after,
        )  # fmt: skip
        if rest.after is not None:
            rest.after.before = rest
        block.after, block.size = rest, size
        block.pool.add(rest)

    def _merge(self, block: Block) -> None:
        """Swallow what is free, or unmapped, beside a block that is in no pool."""
        before, after = block.before, block.after
        if before is not None and not before.is_used and before.is_mapped == block.is_mapped:
            before.pool.remove(before)
            block.address, block.before = before.address, before.before
            block.size += before.size
            if block.before is not None:
                block.before.after = block
        if after is not None and not after.is_used and after.is_mapped == block.is_mapped:
            after.pool.remove(after)
            block.size += after.size
            block.after = after.after
            if block.after is not None:
                block.after.before = block

    def _reserve(self, num_bytes: int) -> None:
        self.reserved += num_bytes
        self.peak = max(self.peak, self.reserved)


def _reach(block: Block) -> int:
    """What a free block can become without moving."""
    after = block.after
    return block.size + (after.size if after is not None and not after.is_mapped else 0)


def _start(unmapped: Block, size: int) -> Block | None:
    """Where a request can begin that takes in this unmapped block; None if there is no room."""
    first = unmapped.before if unmapped.before is not None and not unmapped.before.is_used else unmapped
    block: Block | None = first
    room = 0
    while room < size and block is not None and not block.is_used:
        room += block.size
        block = block.after
    return first if room >= size else None
