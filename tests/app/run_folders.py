"""Run folders for tests of the window, written with the worker's own event writer."""

from __future__ import annotations

import math
import random
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from core.config import RunConfig
from core.events import (
    Evaluated,
    Event,
    EventWriter,
    Failed,
    Finished,
    Loaded,
    Progress,
    Sampled,
    Saved,
    Started,
    Step,
    Warned,
    encode,
)
from core.runs import Run, RunStore

MIB = 2**20
RECORDED = Path(__file__).resolve().parents[1] / "recorded"
PROMPT = "Write a poem about a fox who lost her hat."
STORY = "Once there was a fox. She had a red hat and she lost it. Then she went home to look for it. She was sad."
POEM = (
    "The fox went out, the night was cold,\nher little hat was red and old.\n"
    "The wind came by and blew it high,\nand hung it softly in the sky."
)


def a_step(number: int, when: float = 0.0, loss: float = 2.0, **changes: Any) -> Step:
    values: dict[str, Any] = {
        "step": number, "epoch": number / 40, "loss": loss, "learning_rate": 2e-4, "grad_norm": 1.0,
        "num_tokens": 1536, "tokens_per_second": 2310.0, "memory_bytes": 300 * MIB, "peak_bytes": 320 * MIB,
        "time": when,
    }  # fmt: skip
    return Step(**{**values, **changes})


def learning(
    first: int, last: int, began: float, total: int, seed: int = 1, every: int = 25, pace: float = 0.5
) -> Iterable[Event]:
    """Steps, evaluations, samples and checkpoints of a run that learns, as a worker says them."""
    dice = random.Random(f"{seed}-{first}")
    for step in range(first, last + 1):
        when = began + (step - first + 1) * pace
        ideal = 1.15 + 1.3 * math.exp(-step / (total / 5))
        warm = min(1.0, step / max(1, total * 0.05))
        yield a_step(
            step, when,
            loss=ideal + dice.gauss(0, 0.09),
            learning_rate=2e-4 * warm * (0.5 + 0.5 * math.cos(math.pi * step / total)),
            grad_norm=0.6 + 0.8 * math.exp(-step / 30) + dice.random() * 0.25,
            tokens_per_second=2310 + dice.gauss(0, 60),
            memory_bytes=int((260 + 50 * min(1, step / 12) + dice.random() * 6) * MIB),
            peak_bytes=int((270 + 62 * min(1, step / 12)) * MIB),
        )  # fmt: skip
        if every and step % every == 0:
            yield Evaluated(step=step, loss=ideal + 0.06 + (0.02 if step > total * 0.8 else 0), time=when)
            yield Sampled(step=step, prompt=PROMPT, text=POEM if step > total / 4 else STORY, time=when)
            yield Sampled(step=step, prompt="Tell me about a bear.", text="The bear sat down.", time=when)
        if every and step % (2 * every) == 0:
            yield Saved(step=step, folder=f"checkpoints/step-{step:06d}", num_bytes=14 * MIB, time=when)


def opening(began: float, total: int, resumed_from: int = 0, pid: int = 4242) -> Iterable[Event]:
    yield Started(
        pid=pid, device="cpu", total_steps=total, resumed_from=resumed_from, num_rows=380, num_eval_rows=20,
        num_skipped_rows=2, predicted_peak_bytes=341 * MIB, time=began,
    )  # fmt: skip
    yield Progress(label="Loading model", done=1, total=1, time=began)
    yield Loaded(
        num_parameters=6_300_000, num_trainable=401_408, seconds=0.8, memory_bytes=255 * MIB, time=began + 0.8
    )
    if not resumed_from:
        yield Sampled(step=0, prompt=PROMPT, text=STORY, time=began + 1)
        yield Sampled(step=0, prompt="Tell me about a bear.", text="There was a bear in the wood.", time=began + 1)


def begin(total: int = 200, steps: int = 120, began: float | None = None, **changes: Any) -> list[Event]:
    """All that a run of `total` steps has said after `steps` of them."""
    began = time.time() - steps * 0.5 - 2 if began is None else began
    return [*opening(began, total), *learning(1, steps, began + 1, total, **changes)]


def write(store: RunStore, name: str, events: Iterable[Event], config: RunConfig | None = None) -> Run:
    run = store.create(config or RunConfig(), name)
    append(run, events)
    return run


def append(run: Run, events: Iterable[Event]) -> None:
    writer = EventWriter(run.events_file)
    for event in events:
        writer.write(event)
    writer.close()


def write_long(store: RunStore, name: str, num_steps: int) -> Run:
    """A run of very many steps, written fast."""
    run = store.create(RunConfig(), name)
    with run.events_file.open("wb") as file:
        for event in opening(1e9, num_steps):
            file.write(encode(event))
        parts = encode(a_step(7_654_321, 1_888_888_888.5, loss=8.25)).split(b"7654321")
        head, rest = parts[0], b"7654321".join(parts[1:])
        time_head, time_tail = head.split(b"1888888888.5")
        before, after = rest.split(b"8.25")
        dice = random.Random(2)
        for number in range(1, num_steps + 1):
            loss = b"%.4f" % (1 + 2 * math.exp(-number / num_steps * 5) + dice.random() * 0.3)
            when = b"%.3f" % (1e9 + number * 0.1)
            file.write(time_head + when + time_tail + b"%d" % number + before + loss + after)
        file.write(encode(Finished(reason="done", step=num_steps, time=1e9 + num_steps * 0.1 + 1, seconds=1.0)))
    return run


def done(step: int, when: float | None = None) -> Finished:
    return Finished(
        reason="done", step=step, peak_bytes=333 * MIB, seconds=61.0, time=time.time() if when is None else when
    )


def failed(
    message: str = "The graphics card ran out of memory: lower optim.batch_size.", path: str = "", **when: float
) -> Failed:
    return Failed(message=message, path=path, **when)


def warned(message: str = "2 rows were cut at 512 tokens.", step: int = 0) -> Warned:
    return Warned(message=message, step=step)


def recorded(store: RunStore, name: str) -> Run:
    """A copy of a run that the real worker made, from tests/recorded."""
    folder = next(RECORDED.glob(f"*-{name}"))
    return Run(Path(shutil.copytree(folder, store.root / folder.name)))


def hold(run: Run) -> Any:
    """Hold the run's lock as a worker does; release what is returned."""
    lock = run.lock()
    lock.acquire()
    return lock


def log(run: Run, text: str) -> Path:
    run.log_file.write_text(text, encoding="utf-8")
    return run.log_file
