"""What the training loop costs over a bare one: `python tests/bench/loop_overhead.py [--steps 120] [--json FILE]`.

Both arms train the same LoRA on the same batches in the same process, in blocks that take turns (ABBA), so that
other load on the machine hits both alike. The bare loop does forward, loss, backward, clipping and the optimizer's
step on tensors made beforehand, and nothing else; ours orders, collates, reseeds, guards, measures, writes an
event for every step and looks for requests. A third arm repeats the bare loop: its ratio is the noise.
Prints the ratios of median times with 95 % intervals, and one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS.parent), str(TESTS / "worker")]

import torch  # noqa: E402
from tiny_models import make_model, write_chats  # noqa: E402  # pyright: ignore[reportMissingImports]

from core.config import RunConfig  # noqa: E402
from core.runs import RunStore  # noqa: E402
from core.worker import optimizer, train  # noqa: E402
from core.worker.batches import Batch, collate  # noqa: E402
from core.worker.journal import Journal  # noqa: E402
from core.worker.setup import Setup, set_up  # noqa: E402

BLOCKS = 12
SHAPES = {
    "small": {"hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 512},
    "starter": {"hidden_size": 256, "num_hidden_layers": 6, "num_attention_heads": 4, "intermediate_size": 704},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=120, help="steps of each arm")
    parser.add_argument("--shape", choices=SHAPES, default="starter")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(prefix="hone-bench-") as folder:
        os.environ["HONE_HOME"] = str(Path(folder) / "home")
        report = measure(Path(folder), options.steps, options.shape, options.threads)
    print(f"ours / bare   {report['ratio']:.3f}  [{report['low']:.3f}, {report['high']:.3f}]")
    print(f"bare / bare   {report['noise']:.3f}  [{report['noise_low']:.3f}, {report['noise_high']:.3f}]")
    print(f"ours {report['tokens_per_second']:,.0f} tokens/s")
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report))


def measure(folder: Path, num_steps: int, shape: str, threads: int) -> dict[str, float]:
    model = make_model(folder / "model", **SHAPES[shape])
    data = write_chats(folder / "chats.jsonl")
    per_block = max(1, num_steps // BLOCKS)
    config = RunConfig().with_values({
        "model.source": str(model), "data.source": str(data), "data.max_length": 128, "data.holdout": 0.0,
        "optim.batch_size": 8, "optim.accumulation": 2, "optim.epochs": 1000, "evaluation.every_steps": 0,
        "memory.activation_checkpointing": False, "runtime.device": "cpu", "runtime.threads": threads,
        "runtime.save_every_steps": 2**31 - 1,
    })  # fmt: skip
    run = RunStore(folder / "runs").create(config, "bench")
    setup = set_up(run, Journal(run.events_file).write)
    with setup.gauge, setup.ceiling:
        arms = {
            "ours": lambda: ours(setup, per_block),
            "bare": bare(setup, per_block),
            "again": bare(setup, per_block),
        }
        for arm in arms.values():
            arm()
        times: dict[str, list[float]] = {name: [] for name in arms}
        order = list(arms)
        for block in range(BLOCKS):
            for name in order if block % 2 == 0 else reversed(order):
                began = time.perf_counter()
                arms[name]()
                times[name].append(time.perf_counter() - began)
    tokens = setup.progress.num_tokens / setup.progress.step * per_block
    ratio, low, high = compared(times["ours"], times["bare"])
    noise, noise_low, noise_high = compared(times["again"], times["bare"])
    return {
        "ratio": ratio, "low": low, "high": high, "noise": noise, "noise_low": noise_low, "noise_high": noise_high,
        "tokens_per_second": tokens / statistics.median(times["ours"]), "steps": per_block * BLOCKS,
        "ms_per_step": 1000 * statistics.median(times["ours"]) / per_block, "threads": threads,
        "load": os.getloadavg()[0],
    }  # fmt: skip


def ours(setup: Setup, count: int) -> None:
    """As many steps as that of the worker's own loop."""
    left = count

    def is_enough() -> bool:
        nonlocal left
        left -= 1
        return left == 0

    held = train._save
    train._save = lambda setup, must_succeed: None  # a stop saves; only the loop itself is measured here
    try:
        train.steps(setup, is_enough)
    finally:
        train._save = held


def bare(setup: Setup, count: int) -> Callable[[], None]:
    """The same steps with nothing around them: the batches of the first epoch, collated beforehand."""
    device = setup.accelerator.device
    ready: list[list[Batch]] = [
        [collate(batch, setup.data.examples, device) for batch in setup.order.batches(step)]
        for step in range(setup.order.steps_per_epoch)
    ]
    totals = [sum(len(batch.targets) for batch in batches) for batches in ready]
    parameters = setup.trained.parameters
    rule = optimizer.make_optimizer(parameters, setup.config.optim)
    weights = [parameter for _, parameter in parameters]
    place = 0

    def run() -> None:
        nonlocal place
        for _ in range(count):
            batches, total = ready[place % len(ready)], totals[place % len(ready)]
            place += 1
            rule.zero_grad()
            for batch in batches:
                (setup.loss.sum(batch) / total).backward()
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            rule.step()

    return run


def compared(ours: list[float], theirs: list[float]) -> tuple[float, float, float]:
    """The median of the ratios of neighbouring blocks, with a 95 % bootstrap interval."""
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    dice = random.Random(0)
    medians = sorted(statistics.median(dice.choices(ratios, k=len(ratios))) for _ in range(2000))
    return statistics.median(ratios), medians[50], medians[-51]


if __name__ == "__main__":
    main()
