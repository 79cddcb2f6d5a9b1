"""Hybrids: the estimate against the rehearsal where layers were traced, and what is said where they were not."""

from __future__ import annotations

from typing import Any

import pytest

from core.config import RunConfig
from core.hardware import Device
from core.memory.estimate import Estimate, estimate
from core.memory.hybrids import find_hybrid
from core.memory.modes import Mode
from core.memory.moments import MOMENTS
from core.memory.rows import has_rows
from core.models.facts import facts_from_config
from core.worker import replay
from core.worker.rehearse import rehearse

DEVICES = {
    "cuda": Device("cuda", 0, "GPU", 80 << 30, 80 << 30, bf16=True, capability=(8, 0)),
    "cpu": Device("cpu", 0, "CPU", 80 << 30, 80 << 30),
}
USUAL = {"num_attention_heads": 8, "num_key_value_heads": 2, "vocab_size": 16000, "max_position_embeddings": 4096,
         "tie_word_embeddings": False}  # fmt: skip
DELTA = {**USUAL, "head_dim": 128, "linear_num_key_heads": 4, "linear_num_value_heads": 8,
         "linear_key_head_dim": 128, "linear_value_head_dim": 128}  # fmt: skip
MAMBA = {**USUAL, "mamba_n_heads": 16, "mamba_d_state": 128, "mamba_chunk_size": 128}
MODELS: dict[str, dict[str, Any]] = {
    "lfm2": {**USUAL, "hidden_size": 1024, "num_hidden_layers": 5, "intermediate_size": 4608,
             "full_attn_idxs": [2, 4]},
    "qwen3_5_text": {**DELTA, "hidden_size": 1024, "num_hidden_layers": 4, "intermediate_size": 3584},
    "qwen3_next": {**DELTA, "hidden_size": 768, "num_hidden_layers": 4, "intermediate_size": 1024,
                   "num_experts": 16, "num_experts_per_tok": 4, "moe_intermediate_size": 512,
                   "shared_expert_intermediate_size": 512},
    "falcon_h1": {**MAMBA, "hidden_size": 1024, "num_hidden_layers": 3, "intermediate_size": 2048,
                  "mamba_d_ssm": 1536},
    "granitemoehybrid": {**MAMBA, "hidden_size": 1024, "num_hidden_layers": 5, "intermediate_size": 4096,
                         "shared_intermediate_size": 4096, "num_local_experts": 0,
                         "layer_types": ["mamba", "mamba", "attention", "mamba", "mamba"]},
    "granite, experts": {**MAMBA, "model_type": "granitemoehybrid", "hidden_size": 1024, "num_hidden_layers": 5,
                         "intermediate_size": 384, "shared_intermediate_size": 1024, "num_local_experts": 16,
                         "num_experts_per_tok": 4,
                         "layer_types": ["mamba", "mamba", "attention", "mamba", "mamba"]},
    "bamba": {**MAMBA, "hidden_size": 768, "num_hidden_layers": 2, "intermediate_size": 2048,
              "attn_layer_indices": [1]},
}  # fmt: skip
RUNS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "lfm2": ("lfm2", "cuda", {"optim.batch_size": 4, "data.max_length": 512}),
    "lfm2, kept, nf4": (
        "lfm2", "cuda", {"memory.activation_checkpointing": False, "model.quantization": "nf4"},
    ),
    "lfm2, full": ("lfm2", "cpu", {"method.kind": "full", "memory.loss": "full"}),
    "qwen3.5": ("qwen3_5_text", "cuda", {"data.max_length": 700}),
    "qwen3.5, kept": ("qwen3_5_text", "cpu", {"memory.activation_checkpointing": False}),
    "qwen3.5, dropout": ("qwen3_5_text", "cuda", {"method.dropout": 0.1}),
    "qwen3.5, eager": (
        "qwen3_5_text", "cuda", {"model.attention": "eager", "memory.activation_checkpointing": False},
    ),
    "qwen3.5, packed": ("qwen3_5_text", "cuda", {"data.packing": True}),
    "qwen3.5, bf16": ("qwen3_5_text", "cpu", {"model.dtype": "bf16"}),
    "lfm2, values": (
        "lfm2", "cuda", {"memory.activation_checkpointing": False, "method.targets": ("q_proj", "v_proj")},
    ),
    "qwen3.5, values": ("qwen3_5_text", "cuda", {"method.targets": ("q_proj", "v_proj")}),
    "qwen3.5, MLP": (
        "qwen3_5_text", "cpu", {
            "memory.activation_checkpointing": False, "model.quantization": "nf4",
            "method.targets": ("gate_proj", "up_proj", "down_proj"),
        },
    ),
    "granite, attention": (
        "granitemoehybrid", "cuda", {
            "memory.activation_checkpointing": False, "method.dropout": 0.1,
            "method.targets": ("q_proj", "k_proj", "v_proj", "o_proj"),
        },
    ),
    "qwen3-next": ("qwen3_next", "cuda", {"model.quantization": "nf4"}),
    "falcon-h1": ("falcon_h1", "cpu", {"data.max_length": 600}),
    "falcon-h1, kept": ("falcon_h1", "cuda", {"memory.activation_checkpointing": False}),
    "granite": ("granitemoehybrid", "cuda", {"model.quantization": "nf4", "data.max_length": 1000}),
    "granite, kept": (
        "granitemoehybrid", "cpu", {"memory.activation_checkpointing": False, "model.quantization": "int8"},
    ),
    "granite, experts": ("granite, experts", "cuda", {"model.quantization": "nf4"}),
    "granite, experts, kept": (
        "granite, experts", "cuda", {"memory.activation_checkpointing": False, "model.quantization": "int8"},
    ),
    "granite, full": ("granitemoehybrid", "cuda", {"method.kind": "full", "memory.loss": "full"}),
}  # fmt: skip


DROPPED, PACKED = {"method.dropout": 0.1}, {"data.packing": True}


def config_of(values: dict[str, Any]) -> RunConfig:
    values = {"optim.batch_size": 2, "data.max_length": 300, "optim.accumulation": 1, **values}
    return RunConfig().with_value("method.kind", values.pop("method.kind", "lora")).with_values(values)


def estimated(model: str, config: RunConfig, device: Device) -> Estimate:
    return estimate(
        config, facts_from_config({"model_type": model, **MODELS[model]}), device, with_suggestions=False
    )


@pytest.mark.parametrize("name", RUNS)
def test_the_estimate_of_a_hybrid_is_near_its_rehearsal(name: str) -> None:
    model, device, values = RUNS[name]
    config = config_of(dict(values))
    rehearsed = replay.peak(rehearse(config, {"model_type": model, **MODELS[model]}, DEVICES[device]).log)
    found = estimated(model, config, DEVICES[device])
    moments = max(found.moments[MOMENTS[one]] for one in ("loss", "layer", "step", "evaluation"))
    tensors = moments - found.parts["context"] - found.parts["margin"]
    assert abs(tensors / rehearsed.num_bytes - 1) <= 0.03, f"{tensors / rehearsed.num_bytes - 1:+.2%}"
    assert found.is_sure and found.verdict == "fits"


def test_a_hybrid_without_rows_is_capped_and_says_why_and_can_be_rehearsed() -> None:
    config = config_of({})
    assert not has_rows("bamba_linear")
    found = estimated("bamba", config, DEVICES["cuda"])
    assert found.peak_bytes + found.margin_bytes < found.free_bytes and found.verdict == "tight"
    assert "What bamba keeps for its backward pass was not traced" in found.notes[0]
    done = rehearse(config, {"model_type": "bamba", **MODELS["bamba"]}, DEVICES["cuda"])
    assert done.num_layers == 2 and replay.peak(done.log).num_bytes > 50e6


def test_experts_beside_state_spaces_have_rows_of_their_own() -> None:
    facts = facts_from_config(MODELS["granite, experts"])
    plain = facts_from_config({"model_type": "granitemoehybrid", **MODELS["granitemoehybrid"]})
    assert facts.kinds == plain.kinds and facts.mlp == 384 and (facts.shared_mlp, plain.shared_mlp) == (1024, 0)
    mode = Mode()
    assert find_hybrid(facts, mode, "chunked") != find_hybrid(plain, mode, "chunked")


def test_what_runs_without_attention_is_told() -> None:
    for model in ("qwen3_5_text", "falcon_h1"):
        assert any(
            "transformers' own code" in note for note in estimated(model, config_of({}), DEVICES["cuda"]).notes
        )
    assert not estimated("lfm2", config_of({}), DEVICES["cuda"]).notes


@pytest.mark.parametrize("name", ["lfm2", "falcon_h1"])
def test_settings_that_were_not_traced_are_capped_and_said(name: str) -> None:
    facts = facts_from_config({"model_type": name, **MODELS[name]})
    usual = estimate(RunConfig(), facts, DEVICES["cuda"], with_suggestions=False)
    rare = RunConfig().with_values({**DROPPED, **PACKED, "model.attention": "eager"})
    found = estimate(rare, facts, DEVICES["cuda"], with_suggestions=False)
    assert usual.verdict == "fits" and found.verdict == "tight"
    assert "was not traced for these settings" in found.notes[0]


def test_whole_chunks_of_the_delta_rule_in_32_bits_are_said_not_to_be_traced() -> None:
    broken, whole = (
        estimated("qwen3_5_text", config_of({"data.max_length": n}), DEVICES["cpu"]) for n in (300, 320)
    )
    assert broken.is_sure and not whole.is_sure
    assert estimated("qwen3_5_text", config_of({"data.max_length": 320}), DEVICES["cuda"]).is_sure


def test_a_hybrid_s_rare_settings_are_made_up_of_what_each_of_them_changes() -> None:
    usual, dropped, packed, both = (
        estimated("qwen3_5_text", config_of(values), DEVICES["cuda"]).tensor_bytes
        for values in ({}, DROPPED, PACKED, {**DROPPED, **PACKED})
    )
    assert usual < dropped and packed < both
    assert both - packed == pytest.approx(dropped - usual, rel=0.1)
