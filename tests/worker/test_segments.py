"""torch's caching allocator, followed without a GPU: what its published sizes and rules come to."""

from __future__ import annotations

import itertools
import random

import pytest
import torch

from core.worker.reserved import Play, events_of, reserved_peak
from core.worker.segments import MIB, Block, Segments
from core.worker.storages import StorageLog


@pytest.mark.parametrize(
    ("num_bytes", "fixed", "expandable"),
    [
        (1, 2 * MIB, 2 * MIB),
        (MIB, 2 * MIB, 2 * MIB),
        (MIB + 1, 20 * MIB, 20 * MIB),
        (10 * MIB - 512, 20 * MIB, 20 * MIB),
        (10 * MIB, 10 * MIB, 20 * MIB),
        (11 * MIB, 12 * MIB, 20 * MIB),
        (41 * MIB, 42 * MIB, 60 * MIB),
    ],
)
def test_a_first_request_takes_a_segment_of_its_kind(num_bytes: int, fixed: int, expandable: int) -> None:
    for wanted, can_grow in ((fixed, False), (expandable, True)):
        segments = Segments(expandable=can_grow)
        segments.allocate(num_bytes)
        assert segments.reserved == wanted


def test_small_requests_share_a_segment_and_large_ones_what_is_left_of_one() -> None:
    segments = Segments(expandable=False)
    for _ in range(4):
        segments.allocate(500_000)
    assert segments.reserved == 2 * MIB
    first = segments.allocate(9 * MIB)
    segments.allocate(9 * MIB)
    assert segments.reserved == 22 * MIB
    segments.release(first)
    assert segments.allocate(8 * MIB).address == first.address
    assert segments.reserved == 22 * MIB


def test_a_fixed_segment_is_not_joined_with_another_and_an_expandable_one_grows() -> None:
    """Two freed halves are no room for the whole, unless addresses go on from one to the other."""
    reserved = {}
    for can_grow in (False, True):
        segments = Segments(expandable=can_grow)
        halves = [segments.allocate(100 * MIB) for _ in range(2)]
        for half in halves:
            segments.release(half)
        segments.allocate(220 * MIB)
        reserved[can_grow] = segments.reserved
    assert reserved == {False: 420 * MIB, True: 220 * MIB}


def test_a_remainder_too_small_to_cut_off_stays_with_its_block() -> None:
    for can_grow, used in ((False, 64 * MIB), (True, 64 * MIB - 4096)):
        segments = Segments(expandable=can_grow)
        segments.release(segments.allocate(64 * MIB))
        segments.allocate(64 * MIB - 4096)
        assert segments.allocated == used


def test_emptying_gives_back_what_nothing_stands_in() -> None:
    for can_grow, left in ((False, 100 * MIB), (True, 20 * MIB)):
        segments = Segments(expandable=can_grow)
        whole, rest = segments.allocate(60 * MIB), segments.allocate(100 * MIB)
        segments.release(rest)
        segments.release(whole)
        kept = segments.allocate(MIB + 512)
        segments.empty_cache()
        assert segments.reserved in (left, 60 * MIB)
        segments.release(kept)
        segments.empty_cache()
        assert segments.reserved == segments.allocated == 0


@pytest.mark.parametrize("can_grow", [False, True])
def test_blocks_never_overlap_and_nothing_is_lost(can_grow: bool) -> None:
    dice, segments = random.Random(7), Segments(expandable=can_grow)
    live: list[Block] = []
    for turn in range(4000):
        if live and dice.random() < 0.5:
            segments.release(live.pop(dice.randrange(len(live))))
        else:
            live.append(segments.allocate(dice.choice((1, 70_000, 900_000, 3 * MIB, 17 * MIB, 130 * MIB))))
        if turn % 500 == 499:
            segments.empty_cache()
        assert segments.allocated <= segments.reserved <= segments.peak
    spans = sorted((block.address, block.address + block.size) for block in live)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))
    assert sum(block.size for block in live) == segments.allocated
    for block in live:
        segments.release(block)
    segments.empty_cache()
    assert segments.reserved == segments.allocated == 0


def test_a_log_is_played_step_after_step() -> None:
    """A weight stands; each step makes 60 MiB, half of which the next step frees; the state lies between."""
    log = StorageLog()
    with log:
        log.adopt([torch.empty(30 * MIB // 4)], "weights")
        standing = [torch.empty(4 * MIB // 4) for _ in range(2)]
        log.adopt(standing, "optimizer")
        log.begin("training 1/forward 0")
        passing, kept = torch.empty(30 * MIB // 4), torch.empty(30 * MIB // 4)
        del passing
        log.begin("evaluation 1/forward 0")
        scored = torch.empty(8 * MIB // 4)
    play = Play(log, expandable=True)
    play.load(4, False)
    assert play.segments.reserved == 40 * MIB
    play.follow(events_of(log, "training"))
    assert play.segments.allocated == 60 * MIB
    play.free_passing()
    assert play.segments.allocated == 30 * MIB
    for expandable in (False, True):
        found = reserved_peak(log, compute_bytes=4, is_upcast=False, workspace_bytes=0, expandable=expandable)
        assert 30 + 60 + 8 <= found / MIB <= 140
    del kept, scored
