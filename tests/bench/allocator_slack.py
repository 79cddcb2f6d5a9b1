"""What torch's allocator holds beside tensors: `python tests/bench/allocator_slack.py [--csv FILE]`.

Rehearses runs of our loop on models of real shapes, plays each through the allocator's segments, growing and
fixed, and writes what was reserved beside what the estimate's slack_bytes expects. Nothing here is measured on a
GPU: it is what torch's published rules make of our own operations.
"""

from __future__ import annotations

import argparse
import csv
import logging
import statistics
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS.parent))

import torch  # noqa: E402
import transformers  # noqa: E402

from core.config import RunConfig  # noqa: E402
from core.hardware import Device  # noqa: E402
from core.memory import estimate as live  # noqa: E402
from core.memory.context import cublas_bytes  # noqa: E402
from core.models.catalogue import catalogue  # noqa: E402
from core.models.facts import facts_from_config  # noqa: E402
from core.worker.hollow import shallow  # noqa: E402
from core.worker.rehearse import rehearse  # noqa: E402
from core.worker.replay import peak  # noqa: E402
from core.worker.reserved import reserved_peak  # noqa: E402

CARD = Device("cuda", 0, "GPU", 80 << 30, 80 << 30, bf16=True, capability=(8, 9))
SHAPES = {model.name.rpartition("/")[2]: model.config for model in catalogue()}
PATHS = {"quantization": "model", "attention": "model", "rank": "method", "kind": "method", "optimizer": "optim",
         "accumulation": "optim", "loss": "memory", "activation_checkpointing": "memory"}  # fmt: skip
COLUMNS = ["model", "settings", "allocated_bytes", "growing_bytes", "fixed_bytes", "growing_slack_bytes",
           "fixed_slack_bytes", "growing_error", "fixed_error"]  # fmt: skip


def run(model: str, rows: int, length: int, layers: int = 0, **values: Any) -> tuple[str, int, dict[str, Any]]:
    """A model, how many of its layers (0 for all), and what of the config is not the default."""
    settings = {f"{PATHS[name]}.{name}": value for name, value in values.items()}
    return model, layers, {"optim.batch_size": rows, "data.max_length": length, **settings}


KEPT = {"activation_checkpointing": False}
RUNS = [
    run("Llama-3.2-1B", 2, 1024), run("Llama-3.2-1B", 2, 1024, quantization="nf4"),
    run("Llama-3.2-1B", 2, 1024, **KEPT), run("Llama-3.2-1B", 2, 1024, accumulation=1),
    run("Llama-3.2-1B", 1, 2048, loss="full"), run("Llama-3.2-1B", 8, 256, quantization="int8"),
    run("Llama-3.2-1B", 2, 512, kind="full"), run("Llama-3.2-1B", 4, 512, kind="full", optimizer="adamw_8bit"),
    run("Llama-3.1-8B", 2, 1024, quantization="nf4"), run("Llama-3.1-8B", 1, 512, quantization="nf4", loss="full"),
    run("SmolLM2-135M", 1, 128), run("SmolLM2-135M", 8, 512), run("SmolLM2-135M", 4, 256, **KEPT),
    run("SmolLM2-135M", 2, 512, kind="full", loss="full"), run("SmolLM2-1.7B", 4, 1024, attention="eager"),
    run("SmolLM2-1.7B", 2, 2048, rank=128), run("Qwen2.5-0.5B", 4, 512), run("Qwen2.5-0.5B", 8, 1024, **KEPT),
    run("Qwen2.5-0.5B", 1, 4096, attention="eager"), run("Qwen2.5-0.5B", 2, 1024, quantization="int8"),
    run("Qwen3-4B", 1, 1024, quantization="nf4"), run("gemma-2-2b", 1, 1024), run("gemma-3-1b-pt", 2, 512),
    run("Mistral-7B-v0.3", 1, 2048, quantization="nf4", optimizer="adamw_8bit"), run("Mistral-7B-v0.3", 1, 4096),
    run("Phi-3-mini-4k-instruct", 2, 512), run("OLMo-2-0425-1B", 2, 1024, quantization="nf4", **KEPT),
    run("Qwen3-30B-A3B", 1, 512, layers=6), run("Qwen3-30B-A3B", 2, 512, layers=6, quantization="nf4"),
    run("TinyLlama-1.1B-Chat-v1.0", 2, 1024, loss="full", quantization="nf4"),
]  # fmt: skip


def config_of(values: dict[str, Any]) -> RunConfig:
    values = dict(values)
    kind = values.pop("method.kind", None)
    return (RunConfig().with_value("method.kind", kind) if kind else RunConfig()).with_values(values)


def row_of(model: str, layers: int, values: dict[str, Any]) -> dict[str, Any]:
    """A line of the file."""
    settings = shallow(SHAPES[model], layers) if layers else SHAPES[model]
    config, facts = config_of(values), facts_from_config(settings, model)
    log = rehearse(config, settings, CARD).log
    allocated = peak(log, 512).num_bytes + cublas_bytes(CARD)
    found: dict[str, Any] = {
        "model": f"{model}, {layers} layers" if layers else model,
        "settings": " ".join(f"{path}={value}" for path, value in values.items()),
        "allocated_bytes": allocated,
    }
    for name, grows in (("growing", True), ("fixed", False)):
        held = reserved_peak(
            log, compute_bytes=4 if config.method.kind == "full" else 2, is_upcast=False,
            workspace_bytes=cublas_bytes(CARD), expandable=grows,
        )  # fmt: skip
        slack = expected(config, facts, grows)
        found |= {f"{name}_bytes": held, f"{name}_slack_bytes": slack,
                  f"{name}_error": round((allocated + slack) / held - 1, 4)}  # fmt: skip
    return found


def expected(config: RunConfig, facts: Any, grows: bool) -> int:
    """The estimate's slack on a machine where segments grow, or do not."""
    usual = live.can_grow
    live.can_grow = lambda: grows
    try:
        return live.estimate(config, facts, replace(CARD), with_suggestions=False).parts["margin"]
    finally:
        live.can_grow = usual


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--csv", type=Path, default=TESTS / "recorded" / "allocator-slack.csv")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    rows = []
    with options.csv.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for one in RUNS:
            began = time.monotonic()
            rows.append(row_of(*one))
            writer.writerow(rows[-1])
            file.flush()
            print(*rows[-1].values(), f"{time.monotonic() - began:.0f} s", flush=True)
    for name in ("growing", "fixed"):
        errors = [abs(row[f"{name}_error"]) for row in rows]
        print(f"{name}: {statistics.fmean(errors):.2%} mean, {max(errors):.2%} worst of what is reserved")
    return 0


if __name__ == "__main__":
    sys.exit(main())
