"""The counts from config.json against the real classes of transformers, built without weights."""

from __future__ import annotations

import json
from collections import Counter

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.pytorch_utils import Conv1D

from core.models.facts import facts_from_config

SMALL = {
    "hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 6, "intermediate_size": 100,
    "vocab_size": 211, "max_position_embeddings": 64, "pad_token_id": 0,
}  # fmt: skip
FALCON = {**{k: v for k, v in SMALL.items() if k != "intermediate_size"}, "ffn_hidden_size": 100}
GROUPED = {**SMALL, "num_key_value_heads": 2}
WIDE = {**GROUPED, "head_dim": 10}
MIXTURE = {**WIDE, "num_experts_per_tok": 2}

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
