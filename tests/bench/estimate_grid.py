"""The live estimate against the rehearsal: `python tests/bench/estimate_grid.py [--rare] [--csv FILE]`.

Every architecture × quantisation is taken through settings drawn at random, spread over batch, length, rank,
checkpointing, optimizer, method, loss and device. Models have their real widths; most have few of their layers, as
both sides grow by the same bytes with each. Prints mean and worst deviation, and writes every point. The peak that
is compared is that of tensors in training and evaluation: the framework's own memory and the allocator's slack are
not rehearsed. `--rare` draws what fewer people change as well, all at once: targets, dropout, eager attention,
packing, the adapter's number format, upcast.
"""

from __future__ import annotations

import argparse
import csv
import logging
import random
import statistics
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS.parent))

import torch  # noqa: E402
import transformers  # noqa: E402

from core.config import ConfigError, RunConfig  # noqa: E402
from core.hardware import Device  # noqa: E402
from core.memory.estimate import estimate  # noqa: E402
from core.memory.moments import MOMENTS  # noqa: E402
from core.models.catalogue import catalogue  # noqa: E402
from core.models.facts import ModelFacts, facts_from_config  # noqa: E402
from core.worker import replay  # noqa: E402
from core.worker.hollow import shallow  # noqa: E402
from core.worker.rehearse import rehearse  # noqa: E402

DEVICES = {
    "cuda": Device("cuda", 0, "GPU", 0, 0, bf16=True, capability=(8, 0)),
    "cpu": Device("cpu", 0, "CPU", 0, 0),
}
FROM_CATALOGUE = (
    "meta-llama/Llama-3.2-1B", "meta-llama/Llama-3.1-8B", "mistralai/Mistral-7B-v0.3", "Qwen/Qwen2.5-0.5B",
    "Qwen/Qwen3-0.6B", "google/gemma-2-2b", "google/gemma-3-1b-pt", "HuggingFaceTB/SmolLM3-3B",
    "Qwen/Qwen3-30B-A3B", "mistralai/Mixtral-8x7B-v0.1", "openai/gpt-oss-20b",
    "microsoft/Phi-3-mini-4k-instruct", "allenai/OLMo-2-0425-1B",
)  # fmt: skip
OTHERS: dict[str, dict[str, Any]] = {
    "gpt2": {"model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12, "vocab_size": 50257,
             "n_positions": 4096, "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0},
    "pythia-1.4b": {"model_type": "gpt_neox", "hidden_size": 2048, "num_hidden_layers": 24,
                    "num_attention_heads": 16, "intermediate_size": 8192, "vocab_size": 50304,
                    "max_position_embeddings": 4096},
    "stablelm-2-1.6b": {"model_type": "stablelm", "hidden_size": 2048, "num_hidden_layers": 24,
                        "num_attention_heads": 32, "num_key_value_heads": 32, "intermediate_size": 5632,
                        "vocab_size": 100352, "use_qkv_bias": True},
    "starcoder2-3b": {"model_type": "starcoder2", "hidden_size": 3072, "num_hidden_layers": 30,
                      "num_attention_heads": 24, "num_key_value_heads": 2, "intermediate_size": 12288,
                      "vocab_size": 49152, "sliding_window": 4096, "max_position_embeddings": 16384},
    "glm-4-9b": {"model_type": "glm", "hidden_size": 4096, "num_hidden_layers": 40, "num_attention_heads": 32,
                 "num_key_value_heads": 2, "head_dim": 128, "intermediate_size": 13696, "vocab_size": 151552,
                 "pad_token_id": 0},
    "granite-3.1-2b": {"model_type": "granite", "hidden_size": 2048, "num_hidden_layers": 40,
                       "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 8192,
                       "vocab_size": 49155, "tie_word_embeddings": True},
}  # fmt: skip
QUANTIZATIONS = ("none", "nf4", "int8")
POINTS_EACH = 6
MOST_SCORES, MOST_ATTENTION = 2**31, 2**30
"""Beyond these a point would be of no machine anybody has."""


@dataclass(frozen=True)
class Point:
    """One model and one set of settings."""

    name: str
    settings: dict[str, Any]
    config: RunConfig
    device: Device
    values: dict[str, Any]
    """What of the config is not its default."""


@dataclass(frozen=True)
class Outcome:
    """Both answers, in bytes."""

    point: Point
    estimated: int
    rehearsed: int
    estimated_at: str
    rehearsed_at: str
    seconds: float

    @property
    def error(self) -> float:
        """How much more than was rehearsed was estimated, as a share."""
        return self.estimated / self.rehearsed - 1


def models() -> dict[str, dict[str, Any]]:
    """The config.json of each architecture, whole."""
    known = {model.name: model.config for model in catalogue()}
    listed = {name.partition("/")[2]: known[name] for name in FROM_CATALOGUE}
    for settings in listed.values():
        if settings["model_type"] == "mistral":
            settings["sliding_window"] = None  # as in the config.json of v0.3; a table of shapes does not say
    return {**listed, **OTHERS}


def points(seed: int, each: int = POINTS_EACH, is_rare: bool = False) -> Iterator[Point]:
    """The grid: `each` points of every architecture and quantisation; one in 3 × `each` has all its layers."""
    for name, settings in models().items():
        random_ = random.Random(f"{seed} {name}")
        for quantization in QUANTIZATIONS:
            for number in range(each):
                point = None
                while point is None:
                    point = _drawn(random_, name, settings, quantization, is_rare)
                is_whole = quantization == "nf4" and number == 0 and "-8x7B" not in name
                if not is_whole:
                    layers = random_.choice((2, 3, 5))
                    point = Point(name, shallow(settings, layers), point.config, point.device, point.values)
                yield point


def _drawn(
    random_: random.Random, name: str, settings: dict[str, Any], quantization: str, is_rare: bool
) -> Point | None:
    facts = facts_from_config(settings)
    pick = random_.choice
    device = pick(("cuda", "cuda", "cpu"))
    is_full = quantization == "none" and pick((True, False, False))
    values: dict[str, Any] = {
        "model.quantization": quantization,
        "optim.batch_size": pick((1, 2, 3, 4, 8, 16)),
        "data.max_length": pick((96, 128, 500, 512, 1024, 2048, 4096)),
        "optim.accumulation": pick((1, 4)),
        "optim.optimizer": pick(("adamw", "adamw", "adamw_8bit", "sgd")),
        "memory.activation_checkpointing": pick((True, True, False)),
        "memory.loss": pick(("chunked", "chunked", "full")),
    }
    if is_full:
        values["method.kind"] = "full"
    else:
        values["method.rank"] = pick((4, 8, 16, 64, 256))
    if quantization == "nf4":
        values["model.double_quantization"] = pick((True, True, False))
    if is_rare:
        values |= _rare(random_, facts, is_full, quantization)
    rows, length = values["optim.batch_size"], values["data.max_length"]
    is_eager = values.get("model.attention") == "eager" or facts.attention == "eager"
    if rows * length * facts.vocab > MOST_SCORES and values["memory.loss"] == "full":
        return None
    if rows * length * length * (facts.num_heads if is_eager else 8) > MOST_ATTENTION * (1 if is_eager else 8):
        return None
    if rows * length > 16384 or (0 < facts.max_positions < length):
        return None
    kind = values.pop("method.kind", None)
    config = RunConfig().with_value("method.kind", kind) if kind else RunConfig()
    try:
        config = config.with_values(values)
    except ConfigError:
        return None
    if kind:
        values["method.kind"] = kind
    return Point(name, settings, config, DEVICES[device], values)


def _rare(random_: random.Random, facts: ModelFacts, is_full: bool, quantization: str) -> dict[str, Any]:
    pick = random_.choice
    values: dict[str, Any] = {"data.packing": pick((False, False, False, True))}
    if not is_full:
        values["method.targets"] = pick((("all-linear",), ("all-linear",), tuple(facts_targets(facts))))
        values["memory.adapter_dtype"] = pick(("fp32", "fp32", "bf16"))
        values["method.dropout"] = pick((0.0, 0.0, 0.0, 0.1))
    if quantization != "none":
        values["memory.upcast"] = pick((False, False, False, True))
    if facts.attention == "sdpa" and pick((False,) * 5 + (True,)):
        values["model.attention"] = "eager"
    return values


def facts_targets(facts: ModelFacts) -> list[str]:
    """The layers of attention alone."""
    from core.models.families import FAMILIES

    family = FAMILIES[facts.family]
    return [*family.qkv, family.output]


def compare(point: Point) -> Outcome:
    """Estimate and rehearse one point."""
    begun = time.perf_counter()
    done = rehearse(point.config, point.settings, point.device)
    peak = replay.peak(done.log)
    found = estimate(point.config, facts_from_config(point.settings), point.device, with_suggestions=False)
    beside = found.parts["context"] + found.parts["margin"]
    wanted = [MOMENTS[name] for name in ("loss", "layer", "step", "evaluation")]
    moment = max(wanted, key=lambda words: found.moments[words])
    return Outcome(
        point, found.moments[moment] - beside, peak.num_bytes, moment, peak.phase, time.perf_counter() - begun
    )


def row_of(outcome: Outcome) -> dict[str, Any]:
    """An outcome as a row of the table."""
    point = outcome.point
    facts = facts_from_config(point.settings)
    told = {
        path.partition(".")[2]: " ".join(value) if isinstance(value, tuple) else value
        for path, value in point.values.items()
    }
    return {
        "model": point.name,
        "layers": facts.num_layers,
        "device": point.device.kind,
        **{column: told.get(column, "") for column in SETTINGS},
        "estimated_bytes": outcome.estimated,
        "rehearsed_bytes": outcome.rehearsed,
        "error": f"{outcome.error:+.5f}",
        "estimated_at": outcome.estimated_at,
        "rehearsed_at": outcome.rehearsed_at,
        "seconds": f"{outcome.seconds:.1f}",
    }


def write_table(rows: list[dict[str, Any]], path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


SETTINGS = (
    "quantization", "kind", "batch_size", "max_length", "accumulation", "optimizer", "activation_checkpointing",
    "loss", "packing", "rank", "targets", "adapter_dtype", "dropout", "upcast", "double_quantization", "attention",
)  # fmt: skip


def quieten() -> None:
    """Libraries have nothing to say here."""
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    torch.set_num_threads(1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--csv", type=Path, default=TESTS / "recorded" / "estimate-grid.csv")
    parser.add_argument("--only", default="", help="models whose name has this in it")
    parser.add_argument("--each", type=int, default=POINTS_EACH, help="points of each model and quantisation")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rare", action="store_true", help="draw what fewer people change too")
    options = parser.parse_args()
    quieten()
    rows: list[dict[str, Any]] = []
    errors: dict[str, list[float]] = defaultdict(list)
    for point in points(options.seed, options.each, options.rare):
        if options.only not in point.name:
            continue
        outcome = compare(point)
        rows.append(row_of(outcome))
        write_table(rows, options.csv)
        for group in ("all", f"model {point.name}", f"quantization {point.values['model.quantization']}",
                      f"device {point.device.kind}"):  # fmt: skip
            errors[group].append(abs(outcome.error))
        if abs(outcome.error) > 0.01:
            print(f"{outcome.error:+.2%} {rows[-1]}", flush=True)
    for group, found in errors.items():
        print(f"{group:45} {len(found):4} points   mean {statistics.mean(found):.3%}   worst {max(found):.3%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
