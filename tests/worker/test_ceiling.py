"""What the C library keeps of freed memory goes back when a worker on a processor comes near its plan."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import psutil
import pytest
import torch

from core.worker.ceiling import Ceiling

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bench"))

from processor_totals import Point, totals  # pyright: ignore[reportMissingImports]

MIB = 1 << 20
CPU = torch.device("cpu")
pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="others return large blocks by themselves"
)


def resident() -> int:
    return psutil.Process().memory_info().rss


def resident_without_what_was_freed() -> int:
    """What earlier tests left free goes back first: tensors placed there would not show."""
    Ceiling(CPU, resident, 1).look()
    return resident()


def splinters() -> list[torch.Tensor]:
    """Tensors with freed room between them that glibc keeps, 200 MiB of each."""
    torch.ones(24 * MIB, dtype=torch.uint8)  # once freed, smaller ones come from the heap
    tensors = [torch.ones(MIB, dtype=torch.uint8) for _ in range(400)]
    return tensors[::2]


def test_freed_memory_stays_while_the_plan_has_room() -> None:
    before = resident_without_what_was_freed()
    kept = splinters()
    Ceiling(CPU, resident, before + 4000 * MIB).look()
    assert resident() - before > 350 * MIB
    assert len(kept) == 200


def test_freed_memory_goes_back_near_the_plan() -> None:
    before = resident_without_what_was_freed()
    kept = splinters()
    Ceiling(CPU, resident, before + 300 * MIB).look()
    assert resident() - before < 250 * MIB
    assert all(bool((tensor == 1).all()) for tensor in kept)


def test_nothing_is_tried_again_before_the_process_has_grown() -> None:
    asked = 0

    def full() -> int:
        nonlocal asked
        asked += 1
        return 1000 * MIB

    ceiling = Ceiling(CPU, full, 500 * MIB)
    for _ in range(10):
        ceiling.look()
    assert asked == 11, "the first look gave back, and asked once more what that had brought"


@pytest.mark.parametrize(("device", "planned_bytes"), [("cuda", 500 * MIB), ("cpu", 0)])
def test_runs_on_gpus_and_without_a_plan_are_left_alone(device: str, planned_bytes: int) -> None:
    def never() -> int:
        raise AssertionError

    with Ceiling(torch.device(device), never, planned_bytes) as ceiling:
        ceiling.look()


def test_a_run_of_many_long_rows_takes_what_was_predicted(tmp_path: Path) -> None:
    """Without the ceiling it took twice as much. How near it comes is for tests/bench/processor_totals.py to say,
    since a busy machine is late to look."""
    predicted, measured = totals(Point(200, 32, is_checkpointed=True), "starter:storyteller", tmp_path, epochs=2)
    assert measured == pytest.approx(predicted, rel=0.2)
