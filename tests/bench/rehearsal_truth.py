"""The rehearsal against what training really allocates: `python tests/bench/rehearsal_truth.py [--csv FILE]`.

Random-weight models of 10 to 150 million parameters are made on the spot, in several architectures, and trained on
the processor by our own loop in each number format and quantisation, with adapters and in full, through lengths,
batches, losses and optimizers drawn at random. What is compared is the most bytes that torch's CPU allocator had
handed out, counted from its own memory events, and the peak of the same run rehearsed from config.json alone. The
estimate stands beside them. A run takes seconds to a minute on one core; all of them about an hour.
"""

from __future__ import annotations

import argparse
import csv
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parent.parent
for place in (TESTS.parent, TESTS / "worker", TESTS / "bench"):
    sys.path.insert(0, str(place))

from estimate_grid import quieten  # noqa: E402
from real_peaks import estimated_peak, real_peak, rehearsed_peak, save_model  # noqa: E402

from core.config import RunConfig  # noqa: E402
from core.models.headers import read_headers  # noqa: E402

MIXED = {"num_experts": 8, "num_local_experts": 8, "num_experts_per_tok": 2}
MODELS: dict[str, dict[str, Any]] = {
    "llama": {"model_type": "llama", "hidden_size": 320, "num_hidden_layers": 6, "num_attention_heads": 5,
              "num_key_value_heads": 5, "intermediate_size": 1024, "vocab_size": 16000},
    "SmolLM2-135M": {"model_type": "llama", "hidden_size": 576, "num_hidden_layers": 30, "num_attention_heads": 9,
                     "num_key_value_heads": 3, "intermediate_size": 1536, "vocab_size": 49152,
                     "tie_word_embeddings": True},
    "GPT-2": {"model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12, "vocab_size": 50257,
              "n_positions": 1024, "tie_word_embeddings": True,
              "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0},
    "pythia-70m": {"model_type": "gpt_neox", "hidden_size": 512, "num_hidden_layers": 6, "num_attention_heads": 8,
                   "intermediate_size": 2048, "vocab_size": 50304},
    "qwen2": {"model_type": "qwen2", "hidden_size": 448, "num_hidden_layers": 10, "num_attention_heads": 7,
              "num_key_value_heads": 1, "intermediate_size": 1216, "vocab_size": 24000},
    "qwen3": {"model_type": "qwen3", "hidden_size": 512, "num_hidden_layers": 8, "num_attention_heads": 8,
              "num_key_value_heads": 4, "head_dim": 128, "intermediate_size": 1536, "vocab_size": 32000,
              "tie_word_embeddings": True},
    "gemma2": {"model_type": "gemma2", "hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 4,
               "num_key_value_heads": 2, "head_dim": 96, "intermediate_size": 1152, "vocab_size": 32000,
               "sliding_window": 128},
    "gemma3": {"model_type": "gemma3_text", "hidden_size": 384, "num_hidden_layers": 8,
               "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 128, "intermediate_size": 1280,
               "vocab_size": 40000, "sliding_window": 128},
    "phi3": {"model_type": "phi3", "hidden_size": 512, "num_hidden_layers": 5, "num_attention_heads": 8,
             "num_key_value_heads": 8, "intermediate_size": 1408, "vocab_size": 16000, "pad_token_id": 0},
    "olmo2": {"model_type": "olmo2", "hidden_size": 512, "num_hidden_layers": 6, "num_attention_heads": 8,
              "num_key_value_heads": 8, "intermediate_size": 1536, "vocab_size": 20000},
    "starcoder2": {"model_type": "starcoder2", "hidden_size": 384, "num_hidden_layers": 8,
                   "num_attention_heads": 6, "num_key_value_heads": 2, "intermediate_size": 1536,
                   "vocab_size": 24000, "residual_dropout": 0.0, "embedding_dropout": 0.0},
    "qwen3_moe": {"model_type": "qwen3_moe", "hidden_size": 320, "num_hidden_layers": 6,
                  "num_attention_heads": 5, "num_key_value_heads": 1, "head_dim": 64, "intermediate_size": 768,
                  "moe_intermediate_size": 256, "vocab_size": 16000, **MIXED},
    "mixtral": {"model_type": "mixtral", "hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 6,
                "num_key_value_heads": 2, "intermediate_size": 640, "vocab_size": 12000, **MIXED},
    "gpt_oss": {"model_type": "gpt_oss", "hidden_size": 320, "num_hidden_layers": 4, "num_attention_heads": 5,
                "num_key_value_heads": 1, "head_dim": 64, "intermediate_size": 320, "vocab_size": 16000,
                "sliding_window": 128, **MIXED},
    "lfm2": {"model_type": "lfm2", "hidden_size": 320, "num_hidden_layers": 6, "num_attention_heads": 5,
             "num_key_value_heads": 1, "intermediate_size": 1536, "vocab_size": 16000,
             "full_attn_idxs": [2, 5]},
    "qwen3.5": {"model_type": "qwen3_5_text", "hidden_size": 320, "num_hidden_layers": 4,
                "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 64, "intermediate_size": 768,
                "vocab_size": 16000, "linear_num_key_heads": 2, "linear_num_value_heads": 4,
                "linear_key_head_dim": 64, "linear_value_head_dim": 64},
    "granite-4-h": {"model_type": "granitemoehybrid", "hidden_size": 320, "num_hidden_layers": 4,
                    "num_attention_heads": 5, "num_key_value_heads": 1, "num_local_experts": 0,
                    "shared_intermediate_size": 768, "intermediate_size": 768, "vocab_size": 16000,
                    "mamba_n_heads": 10, "mamba_d_state": 64, "mamba_chunk_size": 64,
                    "layer_types": ["mamba", "mamba", "attention", "mamba"]},
    "falcon-h1": {"model_type": "falcon_h1", "hidden_size": 320, "num_hidden_layers": 4,
                  "num_attention_heads": 5, "num_key_value_heads": 1, "intermediate_size": 768,
                  "vocab_size": 16000, "mamba_d_ssm": 384, "mamba_n_heads": 6, "mamba_d_state": 64,
                  "mamba_chunk_size": 64},
}  # fmt: skip
USUAL = {"max_position_embeddings": 1024, "tie_word_embeddings": False}
KINDS: tuple[dict[str, Any], ...] = (
    {"model.quantization": "none"},
    {"model.quantization": "none", "model.dtype": "bf16"},
    {"model.quantization": "nf4"},
    {"model.quantization": "int8"},
    {"method.kind": "full"},
)
SHAPES = ((1, 512), (2, 200), (4, 128), (8, 64), (3, 96), (2, 256))
"""Rows and their length."""


@dataclass(frozen=True)
class Point:
    """One model and one set of settings."""

    name: str
    values: dict[str, Any]
    """What of the config is not its default."""

    @property
    def settings(self) -> dict[str, Any]:
        """The config.json of the model."""
        return {**USUAL, **MODELS[self.name]}

    @property
    def config(self) -> RunConfig:
        values = dict(self.values)
        kind = values.pop("method.kind", "lora")
        return RunConfig().with_value("method.kind", kind).with_values(values)


def points(seed: int) -> Iterator[Point]:
    """Every model in each of KINDS, with the rest drawn at random."""
    for name in MODELS:
        random_ = random.Random(f"{seed} {name}")
        for kind in KINDS:
            yield Point(name, {**kind, **_drawn(random_, kind)})


def _drawn(random_: random.Random, kind: dict[str, Any]) -> dict[str, Any]:
    pick = random_.choice
    rows, length = pick(SHAPES)
    values: dict[str, Any] = {
        "optim.batch_size": rows,
        "data.max_length": length,
        "optim.accumulation": pick((1, 2)),
        "optim.optimizer": pick(("adamw", "adamw", "adamw_8bit", "sgd")),
        "memory.activation_checkpointing": pick((True, False)),
        "memory.loss": pick(("chunked", "chunked", "full")),
    }
    if "method.kind" not in kind:
        values["method.rank"] = pick((4, 16, 64))
        values["method.dropout"] = pick((0.0, 0.0, 0.1))
    if kind.get("model.quantization", "none") != "none":
        values["model.dtype"] = pick(("fp32", "fp32", "bf16"))
    if kind.get("model.quantization") == "nf4":
        values["model.double_quantization"] = pick((True, False))
    return values


def compare(point: Point, folder: Path) -> dict[str, Any]:
    """A point as a row of the table; its model stands in a folder."""
    begun = time.perf_counter()
    real, rehearsed = real_peak(point.config, folder), rehearsed_peak(point.config, folder)
    return {
        "model": point.name,
        "parameters": sum(tensor.num_elements for tensor in read_headers(folder)),
        **told(point),
        "allocated_bytes": real,
        "rehearsed_bytes": rehearsed,
        "error": f"{rehearsed / real - 1:+.5f}",
        **_estimated(point, real),
        "seconds": f"{time.perf_counter() - begun:.1f}",
    }


def told(point: Point) -> dict[str, str]:
    """What a row of the table says of a point, by which it is found again."""
    values = {path.partition(".")[2]: str(value) for path, value in point.values.items()}
    return {"model": point.name, **{column: values.get(column, "") for column in COLUMNS}}


def _estimated(point: Point, real: int) -> dict[str, Any]:
    found = estimated_peak(point.config, point.settings)
    return {"estimated_bytes": found, "estimate_error": f"{found / real - 1:+.5f}"}


COLUMNS = (
    "quantization", "dtype", "kind", "batch_size", "max_length", "accumulation", "optimizer",
    "activation_checkpointing", "loss", "rank", "dropout", "double_quantization",
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--csv", type=Path, default=TESTS / "recorded" / "rehearsal-truth.csv")
    parser.add_argument("--only", default="", help="models whose name has this in it; others keep their rows")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    quieten()
    rows = [row for row in _read(options.csv) if options.only not in row["model"]]
    known = {tuple(row[name] for name in ("model", *COLUMNS)): row for row in rows}
    with tempfile.TemporaryDirectory() as root:
        folders: dict[str, Path] = {}
        for point in points(options.seed):
            row = known.get(tuple(told(point).values()))
            if options.only not in point.name:
                if row:
                    row |= _estimated(point, int(row["allocated_bytes"]))
                continue
            if point.name not in folders:
                folders[point.name] = save_model(point.settings, Path(root) / str(len(folders)))
            rows.append(compare(point, folders[point.name]))
            _write(rows, options.csv)
            print(rows[-1], flush=True)
    _write(rows, options.csv)
    for column in ("error", "estimate_error"):
        errors = [abs(float(row[column])) for row in rows]
        print(f"{column}: {len(rows)} runs   mean {statistics.mean(errors):.3%}   worst {max(errors):.3%}")
    return 0


def _write(rows: list[dict[str, Any]], path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    sys.exit(main())
