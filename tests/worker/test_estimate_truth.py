"""Rehearsal and estimate against what real training on the CPU really allocates: a spread sample of what
tests/bench/rehearsal_truth.py measures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from real_peaks import estimated_peak, real_peak, rehearsed_peak, save_model, settings_of

from core.config import RunConfig

LLAMA = {"model_type": "llama", "hidden_size": 320, "num_hidden_layers": 4, "num_attention_heads": 5,
         "num_key_value_heads": 5, "intermediate_size": 1024, "vocab_size": 8000, "max_position_embeddings": 1024,
         "tie_word_embeddings": False}  # fmt: skip
GPT2 = {"model_type": "gpt2", "n_embd": 320, "n_layer": 4, "n_head": 5, "vocab_size": 16000, "n_positions": 1024,
        "tie_word_embeddings": True, "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}  # fmt: skip
DROPPING = {**GPT2, "resid_pdrop": 0.1, "embd_pdrop": 0.1, "attn_pdrop": 0.1}
MIXTURE = {"model_type": "qwen3_moe", "hidden_size": 256, "num_hidden_layers": 3, "num_attention_heads": 4,
           "num_key_value_heads": 2, "head_dim": 64, "intermediate_size": 512, "moe_intermediate_size": 256,
           "num_experts": 8, "num_experts_per_tok": 2, "vocab_size": 8000,
           "max_position_embeddings": 1024}  # fmt: skip
WIDE = {"model_type": "gpt_neox", "hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
        "intermediate_size": 512, "vocab_size": 50304, "max_position_embeddings": 1024}  # fmt: skip
"""Its scores of a batch are two chunks."""
USUAL = {"data.max_length": 128, "optim.batch_size": 4}
RUNS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "kept, in 16 bits": (LLAMA, {"memory.activation_checkpointing": False, "model.dtype": "bf16"}),
    "nf4, whole scores": (LLAMA, {"model.quantization": "nf4", "memory.loss": "full", "optim.accumulation": 2}),
    "int8": (LLAMA, {"model.quantization": "int8", "optim.accumulation": 2}),
    "full, 8-bit states": (GPT2, {"method.kind": "full", "optim.optimizer": "adamw_8bit"}),
    "full, a loss in two chunks": (WIDE, {"method.kind": "full", "optim.optimizer": "sgd"}),
    "a model that drops": (DROPPING, {"memory.activation_checkpointing": False}),
    "experts in nf4": (MIXTURE, {"model.quantization": "nf4"}),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("truth")
    models = (LLAMA, GPT2, DROPPING, MIXTURE, WIDE)
    return {str(one): save_model(one, root / str(number)) for number, one in enumerate(models)}


@pytest.mark.filterwarnings("ignore:fan_in_fan_out is set")  # which PEFT mends
@pytest.mark.parametrize("name", RUNS)
def test_what_is_rehearsed_and_estimated_is_what_is_allocated(name: str, folders: dict[str, Path]) -> None:
    settings, values = RUNS[name]
    values = {**USUAL, **values}
    config = RunConfig().with_value("method.kind", values.pop("method.kind", "lora")).with_values(values)
    folder = folders[str(settings)]
    real = real_peak(config, folder)
    rehearsed, estimated = rehearsed_peak(config, folder), estimated_peak(config, settings_of(folder))
    assert real > 20e6
    assert abs(rehearsed / real - 1) <= 0.02, f"{rehearsed / real - 1:+.2%}"
    assert abs(estimated / real - 1) <= 0.03, f"{estimated / real - 1:+.2%}"
