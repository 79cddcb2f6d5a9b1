"""Runs to ask of: what a worker would have said, and a process that holds a run as a worker does."""

from __future__ import annotations

from core.events import EventWriter, Started, Step
from core.runs import Run

HOLDER = """
import sys, time
from pathlib import Path
from core.runs import Run
lock = Run(Path(sys.argv[1])).lock()
lock.acquire()
print("held", flush=True)
time.sleep(60)
"""


def say(run: Run, *events) -> None:
    writer = EventWriter(run.events_file)
    for event in events:
        writer.write(event)
    writer.close()


def started() -> Started:
    return Started(pid=1, device="cpu", total_steps=10)


def step(number: int) -> Step:
    return Step(
        step=number, epoch=0, loss=1, learning_rate=1, grad_norm=1, num_tokens=1, tokens_per_second=1,
        memory_bytes=1, peak_bytes=1,
    )  # fmt: skip
