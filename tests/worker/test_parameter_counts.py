"""The counts from config.json against the real classes of transformers, built without weights."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.pytorch_utils import Conv1D

from core.config import RunConfig
from core.errors import HoneError
from core.hardware import Device
from core.memory.stack import resolve
from core.memory.training import num_trainable
from core.models.facts import facts_from_config
from core.worker import adapters
from core.worker.hollow import build

SMALL = {
    "hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 6, "intermediate_size": 100,
    "vocab_size": 211, "max_position_embeddings": 64, "pad_token_id": 0,
}  # fmt: skip
FALCON = {**{k: v for k, v in SMALL.items() if k != "intermediate_size"}, "ffn_hidden_size": 100}
GROUPED = {**SMALL, "num_key_value_heads": 2}
WIDE = {**GROUPED, "head_dim": 10}
MIXTURE = {**WIDE, "num_experts_per_tok": 2}
DELTA = {
    **MIXTURE, "linear_num_key_heads": 2, "linear_num_value_heads": 6, "linear_key_head_dim": 7,
    "linear_value_head_dim": 11,
}  # fmt: skip
MAMBA = {**GROUPED, "mamba_n_heads": 6, "mamba_n_groups": 2, "mamba_d_state": 9}

CONFIGS = [
    ("llama", GROUPED),
    ("llama", {**WIDE, "attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True}),
    ("mistral", WIDE),
    ("ministral3", WIDE),
    ("qwen2", GROUPED),
    ("qwen3", WIDE),
    ("qwen3", {**WIDE, "attention_bias": True}),
    ("gemma", WIDE),
    ("gemma2", WIDE),
    ("gemma3_text", WIDE),
    ("phi", SMALL),
    ("phi", {**SMALL, "qk_layernorm": True}),
    ("phi3", GROUPED),
    ("smollm3", GROUPED),
    ("olmo", SMALL),
    ("olmo2", GROUPED),
    ("olmo3", GROUPED),
    ("granite", {**GROUPED, "attention_bias": True}),
    ("glm", WIDE),
    ("glm", {**WIDE, "attention_bias": False}),
    ("glm4", WIDE),
    ("starcoder2", GROUPED),
    ("starcoder2", {**GROUPED, "use_bias": False}),
    ("falcon", FALCON),
    ("falcon", {**FALCON, "multi_query": False, "parallel_attn": False, "bias": True}),
    ("falcon", {**FALCON, "new_decoder_architecture": True, "num_kv_heads": 2, "num_ln_in_parallel_attn": 2}),
    ("gpt2", {"n_embd": 48, "n_layer": 3, "n_head": 6, "vocab_size": 211, "n_positions": 64}),
    ("gpt2", {"n_embd": 48, "n_layer": 3, "n_head": 6, "vocab_size": 211, "n_positions": 64, "n_inner": 90}),
    ("gpt_neox", SMALL),
    ("gpt_neox", {**SMALL, "attention_bias": False}),
    ("stablelm", GROUPED),
    ("stablelm", {**GROUPED, "use_qkv_bias": True, "qk_layernorm": True, "use_parallel_residual": True}),
    ("cohere", GROUPED),
    ("cohere", {**GROUPED, "use_qk_norm": True}),
    ("mixtral", {**MIXTURE, "num_local_experts": 4}),
    (
        "qwen2_moe",
        {**MIXTURE, "num_experts": 4, "moe_intermediate_size": 30, "shared_expert_intermediate_size": 50},
    ),
    ("qwen3_moe", {**MIXTURE, "num_experts": 4, "moe_intermediate_size": 30, "mlp_only_layers": [1]}),
    ("gpt_oss", {**MIXTURE, "num_local_experts": 4}),
    ("lfm2", {**GROUPED, "layer_types": ["conv", "full_attention", "conv"]}),
    ("lfm2", {**GROUPED, "full_attn_idxs": [2], "conv_bias": True, "block_ffn_dim_multiplier": 1.5}),
    ("lfm2", {**GROUPED, "full_attn_idxs": [2], "block_auto_adjust_ff_dim": False, "tie_word_embeddings": False}),
    ("qwen3_next", {**DELTA, "num_experts": 4, "moe_intermediate_size": 30, "mlp_only_layers": [1]}),
    ("qwen3_next", {**DELTA, "num_experts": 4, "layer_types": ["full_attention", *["linear_attention"] * 2]}),
    ("qwen3_5_text", {**DELTA, "full_attention_interval": 2, "attention_bias": True}),
    ("falcon_h1", {**MAMBA, "mamba_d_ssm": 60, "mlp_bias": True, "attention_bias": True}),
    ("falcon_h1", {**MAMBA, "mamba_d_ssm": None, "mamba_rms_norm": True, "projectors_bias": True}),
    ("granitemoehybrid", {**MAMBA, "num_local_experts": 0, "layer_types": ["mamba", "attention", "mamba"]}),
    ("granitemoehybrid", {**MAMBA, "num_local_experts": 4, "shared_intermediate_size": 70}),
    ("bamba", {**MAMBA, "attn_layer_indices": [1], "mamba_proj_bias": True, "mamba_conv_bias": False}),
]


@pytest.mark.parametrize(
    ("family", "settings"), CONFIGS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_counts_are_those_of_the_real_class(family: str, settings: dict) -> None:
    made = AutoConfig.for_model(family, **settings)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(made)
    facts = facts_from_config({"model_type": family, **settings, "tie_word_embeddings": made.tie_word_embeddings})
    head = model.get_output_embeddings()
    real = Counter(
        (
            name.rpartition(".")[2],
            *(module.weight.shape if isinstance(module, Conv1D) else module.weight.shape[::-1]),
        )
        for name, module in model.named_modules()
        if isinstance(module, (torch.nn.Linear, Conv1D)) and module is not head
    )
    counted: Counter = Counter()
    for linear in facts.linears:
        counted[linear.name, linear.num_in, linear.num_out] += linear.count
    assert counted == real
    assert facts.num_expert == sum(p.numel() for n, p in model.named_parameters() if "experts." in n)
    assert facts.num_parameters == sum(p.numel() for p in model.parameters())


def test_a_saved_config_says_the_same_as_the_settings(tmp_path) -> None:
    for family, settings in CONFIGS:
        made = AutoConfig.for_model(family, **settings)
        made.save_pretrained(tmp_path)
        saved = json.loads((tmp_path / "config.json").read_text())
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(made)
        assert facts_from_config(saved).num_parameters == sum(p.numel() for p in model.parameters()), family


@pytest.mark.parametrize("family", ["qwen2_moe", "lfm2", "qwen3_next", "qwen3_5_text", "falcon_h1", "bamba"])
def test_adapters_are_where_they_are_counted(family: str) -> None:
    """PEFT refuses some layers of some families, and takes others for experts."""
    settings = next(settings for name, settings in CONFIGS if name == family)
    config = RunConfig()
    base = build({"model_type": family, **settings}, config.model, compute=torch.float32, weights=torch.float32)
    with torch.device("meta"):
        model = adapters.attach(base, config.method, config.memory, 0)
    facts = facts_from_config({"model_type": family, **settings})
    counted = num_trainable(facts, resolve(config, facts, Device("cpu", 0, "CPU", 0, 0)))
    assert counted == sum(p.numel() for p in model.parameters() if p.requires_grad) > 0


STATE_SPACES: dict[str, dict[str, Any]] = {
    "mamba": {"state_size": 8},
    "falcon_mamba": {"state_size": 8},
    "mamba2": {"state_size": 16, "num_heads": 8, "head_dim": 16, "n_groups": 1, "chunk_size": 16},
    "nemotron_h": {"intermediate_size": 128, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
                   "mamba_num_heads": 8, "mamba_head_dim": 16, "ssm_state_size": 16, "n_groups": 2,
                   "chunk_size": 16, "layers_block_type": ["mamba", "attention", "mlp"]},
    "jamba": {"intermediate_size": 128, "num_attention_heads": 4, "num_key_value_heads": 2, "num_experts": 2,
              "mamba_d_state": 8, "use_mamba_kernels": False, "attn_layer_period": 2, "attn_layer_offset": 1},
    "bamba": {**MAMBA, "attn_layer_indices": [1]},
}  # fmt: skip


@pytest.mark.parametrize("family", STATE_SPACES)
def test_the_usual_targets_of_state_spaces_all_learn(family: str) -> None:
    """PEFT refuses some of their layers, and an adapter on others would never be called."""
    usual = {"hidden_size": 64, "num_hidden_layers": 3, "vocab_size": 300}
    base = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **{**usual, **STATE_SPACES[family]}))
    config = RunConfig()
    model = adapters.attach(base, config.method, config.memory, 0)
    model(input_ids=torch.arange(24)[None]).logits.square().sum().backward()
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert any("in_proj" in name for name in trained)
    assert [name for name, p in trained.items() if p.grad is None or ("lora_B" in name and not p.grad.any())] == []


def test_a_layer_that_cannot_have_an_adapter_is_named() -> None:
    config = RunConfig().with_value("method.targets", ("in_proj", "out_proj"))
    settings = {"model_type": "falcon_h1", **MAMBA, "mamba_d_ssm": 60}
    base = build(settings, config.model, compute=torch.float32, weights=torch.float32)
    with pytest.raises(HoneError, match="out_proj cannot have an adapter in models of the family falcon_h1"):
        adapters.attach(base, config.method, config.memory, 0)


def test_a_config_that_its_class_refuses_is_one_sentence() -> None:
    with pytest.raises(HoneError, match=r"The model's config.json cannot be built \(.*mamba_n_heads must divide"):
        build(
            {"model_type": "falcon_h1", **MAMBA}, RunConfig().model, compute=torch.float32, weights=torch.float32
        )
