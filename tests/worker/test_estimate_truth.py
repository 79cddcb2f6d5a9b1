"""Rehearsal and estimate against what real training on the CPU really allocates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from real_peaks import CPU, real_peak, save_model, settings_of

from core.config import RunConfig
from core.memory.estimate import estimate
from core.memory.moments import MOMENTS
from core.models.facts import facts_from_config
from core.worker import replay
from core.worker.rehearse import rehearse

# 17 M parameters. Widths that 64 divides: bitsandbytes' CPU kernel needs that of rows.
LLAMA = {"model_type": "llama", "hidden_size": 320, "num_hidden_layers": 6, "num_attention_heads": 5,
         "num_key_value_heads": 5, "intermediate_size": 1024, "vocab_size": 16000, "max_position_embeddings": 1024,
         "tie_word_embeddings": False}  # fmt: skip
MIXTURE = {"model_type": "qwen3_moe", "hidden_size": 256, "num_hidden_layers": 3, "num_attention_heads": 4,
           "num_key_value_heads": 2, "head_dim": 64, "intermediate_size": 512, "moe_intermediate_size": 256,
           "num_experts": 8, "num_experts_per_tok": 2, "vocab_size": 8000,
           "max_position_embeddings": 1024}  # fmt: skip
USUAL = {"data.max_length": 256, "optim.batch_size": 4, "optim.accumulation": 2, "method.rank": 8}
RUNS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "lora": (LLAMA, {}),
    "kept": (LLAMA, {"memory.activation_checkpointing": False}),
    "nf4": (LLAMA, {"model.quantization": "nf4"}),
    "int8": (LLAMA, {"model.quantization": "int8"}),
    "full": (LLAMA, {"method.kind": "full"}),
    "full, 8-bit states": (LLAMA, {"method.kind": "full", "optim.optimizer": "adamw_8bit"}),
    "whole scores": (LLAMA, {"memory.loss": "full"}),
    "experts in nf4": (MIXTURE, {"model.quantization": "nf4"}),
}


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("truth")
    return {one["model_type"]: save_model(one, root / one["model_type"]) for one in (LLAMA, MIXTURE)}


def config_of(values: dict[str, Any]) -> RunConfig:
    values = {**USUAL, **values}
    kind = values.pop("method.kind", None)
    if kind == "full":
        del values["method.rank"]
        return RunConfig().with_value("method.kind", kind).with_values(values)
    return RunConfig().with_values(values)


@pytest.mark.parametrize("name", RUNS)
def test_what_is_rehearsed_and_estimated_is_what_is_allocated(name: str, folders: dict[str, Path]) -> None:
    settings, values = RUNS[name]
    config, folder = config_of(values), folders[settings["model_type"]]
    real = real_peak(config, folder)
    rehearsed = replay.peak(rehearse(config, settings_of(folder), CPU).log).num_bytes
    found = estimate(config, facts_from_config(settings_of(folder)), CPU, with_suggestions=False)
    moments = [found.moments[MOMENTS[name]] for name in ("loss", "layer", "step", "evaluation")]
    estimated = max(moments) - found.parts["context"] - found.parts["margin"]
    assert real > 20e6
    assert abs(rehearsed / real - 1) <= 0.02, f"{rehearsed / real - 1:+.2%}"
    assert abs(estimated / real - 1) <= 0.03, f"{estimated / real - 1:+.2%}"
