"""What a process takes on a GPU, rehearsed as others measured it: `python tests/bench/published_totals.py`.

Follows each `specified` row of tests/recorded/published-peaks.csv on tensors without content as its source's
script ran it: weights quantised one by one in the order of their names, all else cast to fp32, an AdamW that takes
many tensors at once, a model's outputs held for a step and no longer, two steps. Then plays it through the
allocator's segments, which do not grow there, and writes what it comes to hold beside what was measured. Only the
transformers of that time is not the one that is installed: before it loads, it takes half of the model's 16-bit
bytes at once, whatever they are quantised to (get_accelerator_warm_up_factor of its HfQuantizer).
"""

from __future__ import annotations

import argparse
import csv
import itertools
import logging
import statistics
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS.parent), str(TESTS / "core")]

import torch  # noqa: E402
import transformers  # noqa: E402
from test_published_peaks import MIB, ROWS, SHAPES, card, of_group  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: E402
from torch.nn import functional  # noqa: E402

from core.config import RunConfig  # noqa: E402
from core.memory.context import context_bytes, cublas_bytes  # noqa: E402
from core.worker import adapters  # noqa: E402
from core.worker.hollow import build, fill  # noqa: E402
from core.worker.pretence import Kernels, pretend  # noqa: E402
from core.worker.quantized import constants_of  # noqa: E402
from core.worker.rehearse import _no_collection, _states  # noqa: E402
from core.worker.reserved import WORKSPACES, Play  # noqa: E402
from core.worker.storages import StorageLog  # noqa: E402

FORWARD, BACKWARD, UPDATE = "forward", "backward", "update"
COLUMNS = ["id", "allocated_bytes", "reserved_bytes", "process_bytes", "measured_bytes", "error"]


@dataclass(frozen=True)
class Followed:
    """The log of a row's two steps, and the bytes of its model in 16 bits."""

    log: StorageLog
    half_bytes: int


def config_of(row: dict[str, str]) -> RunConfig:
    return RunConfig().with_values({
        "model.quantization": row["quantization"],
        "model.double_quantization": row["double_quantization"] == "yes",
        "model.attention": row["attention"],
        "model.dtype": "fp16",
        "method.rank": int(row["rank"]),
        "method.targets": tuple(row["targets"].split()),
        "memory.upcast": row["upcast"] == "yes",
        "memory.activation_checkpointing": row["checkpointing"] == "yes",
    })  # fmt: skip


def follow(row: dict[str, str]) -> Followed:
    """The row's script on fake tensors."""
    config, device = config_of(row), card(row)
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    base = build(SHAPES[row["model"]], config.model, compute=torch.float16, weights=torch.float16)
    with torch.device("meta"):
        adapters.prepare(base, config.model, config.memory)
        model = adapters.attach(base, config.method, config.memory, seed=0)
    fill(model, mode)
    base.enable_input_require_grads()
    model.train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    made = torch.optim.AdamW(trained, lr=1e-4, foreach=True)  # as torch chooses on CUDA
    log = StorageLog()
    for _, parameter in sorted(model.named_parameters(), key=lambda pair: in_order(pair[0])):
        log.adopt([parameter], "adapter" if parameter.requires_grad else "weights")
        log.adopt(constants_of(parameter), "constants")
    log.adopt((buffer for _, buffer in model.named_buffers()), "weights")
    half = 2 * sum(logical(parameter) for parameter in model.parameters() if not parameter.requires_grad)

    def step() -> None:
        made.zero_grad(set_to_none=True)
        log.begin(FORWARD)
        outputs = base(input_ids=tokens, labels=tokens, use_cache=False)
        log.begin(BACKWARD)
        outputs.loss.backward()
        log.begin(UPDATE)
        made.step()
        log.adopt(_states(made), "optimizer")

    with _no_collection(), pretend(device, is_packed=False), heads_alike(), mode, log, Kernels(log, device):
        tokens = torch.zeros(int(row["rows"]), int(row["length"]), dtype=torch.long)
        for _ in range(2):
            step()
    return Followed(log, half)


def in_order(name: str) -> list[tuple[bool, int, str]]:
    """A key that sorts names of weights as transformers does when it loads them: numbers by their value."""
    return [(not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in name.split(".")]


def logical(parameter: nn.Parameter) -> int:
    """Weights of a parameter, which may be packed."""
    state: Any = getattr(parameter, "quant_state", None)
    return parameter.numel() if state is None else state.shape.numel()


@contextmanager
def heads_alike() -> Iterator[None]:
    """The script repeats keys and values for each of their queries' heads, for a kernel that wants as many."""
    attend = functional.scaled_dot_product_attention

    def repeated(query: Tensor, key: Tensor, value: Tensor, *rest: Any, **more: Any) -> Tensor:
        groups = query.size(-3) // key.size(-3)
        if groups > 1:
            key, value = (one.repeat_interleave(groups, dim=-3) for one in (key, value))
            more.pop("enable_gqa", None)
        return attend(query, key, value, *rest, **more)

    functional.scaled_dot_product_attention = repeated
    try:
        yield
    finally:
        functional.scaled_dot_product_attention = attend


def played(row: dict[str, str], done: Followed) -> tuple[int, int]:
    """The most bytes that are allocated in the second step, and the most that were ever held."""
    log, play = done.log, Play(done.log, expandable=False)
    is_quantised = row["quantization"] != "none"
    play.load(2, row["upcast"] == "yes", ahead_bytes=done.half_bytes // 2 if is_quantised else 0)
    play.cast()
    play.attach()
    marks = [*log.marks, (len(log.events), "")]
    without = {FORWARD, BACKWARD}  # of cuBLAS' workspaces: each thread has one, from its first product on
    for number, ((start, phase), (end, _)) in enumerate(itertools.pairwise(marks)):
        if number == len(marks) // 2:
            play.segments.peak_allocated = play.segments.allocated
        for event in log.events[start:end]:
            play.follow([event])
            if event >= 0 and "mm." in log.births[event].operation and phase in without:
                play.segments.allocate(cublas_bytes(card(row)) // WORKSPACES)
                without.remove(phase)
    return play.segments.peak_allocated, play.segments.peak


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--csv", type=Path, default=TESTS / "recorded" / "published-totals.csv")
    parser.add_argument("--only", nargs="*", default=of_group("specified"), metavar="ID")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    errors = []
    with options.csv.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for name in options.only:
            row, began = ROWS[name], time.monotonic()
            allocated, reserved = played(row, follow(row))
            process = reserved + context_bytes(card(row)) - cublas_bytes(card(row))
            measured = round(float(row["process_mib"]) * MIB)
            errors.append(process / measured - 1)
            writer.writerow(dict(zip(COLUMNS, (name, allocated, reserved, process, measured, round(errors[-1], 4)),
                                     strict=True)))  # fmt: skip
            file.flush()
            near = allocated / MIB / float(row["peak_mib"]) - 1
            print(
                f"{name} process {errors[-1]:+.1%}, allocated {near:+.2%}, {time.monotonic() - began:.0f} s",
                flush=True,
            )
    print(f"{statistics.fmean(map(abs, errors)):.2%} on average, {max(map(abs, errors)):.2%} at worst")
    return 0


if __name__ == "__main__":
    sys.exit(main())
