"""The models of the estimate's grid: shapes out of the catalogue, and of families and kinds that are not in it."""

from __future__ import annotations

from typing import Any

from core.models.catalogue import catalogue

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
MOSTLY_LINEAR = ["linear_attention", "linear_attention", "full_attention", "linear_attention"]
QWEN35: dict[str, Any] = {
    "model_type": "qwen3_5_text", "head_dim": 256, "vocab_size": 248320, "linear_num_key_heads": 16,
    "linear_key_head_dim": 128, "linear_value_head_dim": 128,
}  # fmt: skip
RARE: dict[str, dict[str, Any]] = {
    "gpt2-dropping": {"model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12, "vocab_size": 50257,
                      "n_positions": 4096},
    "starcoder2-7b-dropping": {
        "model_type": "starcoder2", "hidden_size": 4608, "num_hidden_layers": 32, "num_attention_heads": 36,
        "num_key_value_heads": 4, "intermediate_size": 18432, "vocab_size": 49152, "sliding_window": 4096,
        "max_position_embeddings": 16384, "embedding_dropout": 0.1, "residual_dropout": 0.1,
        "attention_dropout": 0.1,
    },
    "granite-3.0-8b-dropping": {
        "model_type": "granite", "hidden_size": 4096, "num_hidden_layers": 40, "num_attention_heads": 32,
        "num_key_value_heads": 8, "intermediate_size": 12800, "vocab_size": 49155, "attention_dropout": 0.1,
        "tie_word_embeddings": True,
    },
    "phi-2-dropping": {
        "model_type": "phi", "hidden_size": 2560, "num_hidden_layers": 32, "num_attention_heads": 32,
        "intermediate_size": 10240, "vocab_size": 51200, "partial_rotary_factor": 0.4, "resid_pdrop": 0.1,
        "max_position_embeddings": 4096,
    },
    "falcon-7b": {"model_type": "falcon", "hidden_size": 4544, "num_hidden_layers": 32, "num_attention_heads": 71,
                  "multi_query": True, "parallel_attn": True, "bias": False, "alibi": False, "vocab_size": 65024},
    "falcon-40b": {"model_type": "falcon", "hidden_size": 8192, "num_hidden_layers": 60,
                   "num_attention_heads": 128, "num_kv_heads": 8, "bias": False, "alibi": False,
                   "new_decoder_architecture": True, "vocab_size": 65024},
    "falcon-rw-1b": {"model_type": "falcon", "hidden_size": 2048, "num_hidden_layers": 24,
                     "num_attention_heads": 32, "multi_query": False, "parallel_attn": False, "bias": True,
                     "alibi": True, "vocab_size": 50304},
    "gemma-2b": {"model_type": "gemma", "hidden_size": 2048, "num_hidden_layers": 18, "num_attention_heads": 8,
                 "num_key_value_heads": 1, "head_dim": 256, "intermediate_size": 16384, "vocab_size": 256000},
    "gemma-7b": {"model_type": "gemma", "hidden_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 16,
                 "num_key_value_heads": 16, "head_dim": 256, "intermediate_size": 24576, "vocab_size": 256000},
    "glm-4-0414": {"model_type": "glm4", "hidden_size": 4096, "num_hidden_layers": 40, "num_attention_heads": 32,
                   "num_key_value_heads": 2, "head_dim": 128, "intermediate_size": 13696, "vocab_size": 151552,
                   "pad_token_id": 0},
    "aya-8b": {"model_type": "cohere", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
               "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 256000,
               "tie_word_embeddings": True, "pad_token_id": 0},
    "olmo-1b": {"model_type": "olmo", "hidden_size": 2048, "num_hidden_layers": 16, "num_attention_heads": 16,
                "num_key_value_heads": 16, "intermediate_size": 8192, "vocab_size": 50304,
                "tie_word_embeddings": True, "pad_token_id": 1},
    "olmo-3-7b": {"model_type": "olmo3", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
                  "num_key_value_heads": 32, "intermediate_size": 11008, "vocab_size": 100278,
                  "sliding_window": 4096, "max_position_embeddings": 65536, "pad_token_id": 0},
    "qwen1.5-moe": {"model_type": "qwen2_moe", "hidden_size": 2048, "num_hidden_layers": 24,
                    "num_attention_heads": 16, "num_key_value_heads": 16, "intermediate_size": 5632,
                    "moe_intermediate_size": 1408, "shared_expert_intermediate_size": 5632, "num_experts": 60,
                    "num_experts_per_tok": 4, "vocab_size": 151936},
    "granite-4.0-h-tiny": {
        "model_type": "granitemoehybrid", "hidden_size": 1536, "num_hidden_layers": 8, "num_attention_heads": 12,
        "num_key_value_heads": 4, "intermediate_size": 512, "shared_intermediate_size": 1024,
        "num_local_experts": 64, "num_experts_per_tok": 6, "mamba_n_heads": 48, "mamba_d_state": 128,
        "mamba_expand": 2, "vocab_size": 100352, "position_embedding_type": "nope", "tie_word_embeddings": True,
        "layer_types": ["mamba", "attention"] * 4,
    },
    "granite-4.0-h-micro": {
        "model_type": "granitemoehybrid", "hidden_size": 2048, "num_hidden_layers": 40, "num_attention_heads": 32,
        "num_key_value_heads": 8, "intermediate_size": 8192, "shared_intermediate_size": 8192,
        "num_local_experts": 0, "mamba_n_heads": 64, "mamba_d_state": 128, "mamba_expand": 2,
        "vocab_size": 100352, "position_embedding_type": "nope", "tie_word_embeddings": True,
        "layer_types": ["mamba", "mamba", "attention", "mamba"] * 10,
    },
    "lfm2-1.2b": {
        "model_type": "lfm2", "hidden_size": 2048, "num_hidden_layers": 16, "num_attention_heads": 32,
        "num_key_value_heads": 8, "intermediate_size": 12288, "vocab_size": 65536,
        "layer_types": ["conv", "conv", "full_attention", "conv"] * 4,
    },
    "qwen3.5-27b": {
        **QWEN35, "hidden_size": 5120, "num_hidden_layers": 64, "num_attention_heads": 24,
        "num_key_value_heads": 4, "intermediate_size": 17408, "linear_num_value_heads": 48,
        "tie_word_embeddings": False, "layer_types": MOSTLY_LINEAR * 16,
    },
    "qwen3.5-ungrouped": {
        **QWEN35, "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 8,
        "num_key_value_heads": 2, "intermediate_size": 3584, "linear_num_value_heads": 16,
        "tie_word_embeddings": True, "layer_types": MOSTLY_LINEAR * 6,
    },
    "qwen3-next-80b": {
        "model_type": "qwen3_next", "hidden_size": 2048, "num_hidden_layers": 48, "num_attention_heads": 16,
        "num_key_value_heads": 2, "head_dim": 256, "intermediate_size": 5120, "num_experts": 512,
        "num_experts_per_tok": 10, "moe_intermediate_size": 512, "shared_expert_intermediate_size": 512,
        "linear_num_key_heads": 16, "linear_num_value_heads": 32, "linear_key_head_dim": 128,
        "linear_value_head_dim": 128, "vocab_size": 151936,
        "layer_types": MOSTLY_LINEAR * 12,
    },
    "falcon-h1-0.5b": {
        "model_type": "falcon_h1", "hidden_size": 1024, "num_hidden_layers": 36, "num_attention_heads": 8,
        "num_key_value_heads": 2, "head_dim": 64, "intermediate_size": 2048, "mamba_d_ssm": 1536,
        "mamba_n_heads": 24, "mamba_d_state": 128, "mamba_n_groups": 1, "mamba_chunk_size": 128,
        "vocab_size": 32784,
    },
    "pythia-sequential": {"model_type": "gpt_neox", "hidden_size": 1024, "num_hidden_layers": 24,
                          "num_attention_heads": 16, "intermediate_size": 4096, "vocab_size": 50304,
                          "use_parallel_residual": False, "max_position_embeddings": 4096},
    "llama-biased": {"model_type": "llama", "hidden_size": 2048, "num_hidden_layers": 24,
                     "num_attention_heads": 16, "num_key_value_heads": 16, "intermediate_size": 5632,
                     "vocab_size": 64000, "attention_bias": True, "mlp_bias": True},
}  # fmt: skip
"""Kinds that few people train, hybrids, in which each kind of layers comes after few others, and models that drop
some of what they compute, as published ones do."""


def models() -> dict[str, dict[str, Any]]:
    """The config.json of each architecture, whole."""
    known = {model.name: model.config for model in catalogue()}
    listed = {name.partition("/")[2]: known[name] for name in FROM_CATALOGUE}
    for settings in listed.values():
        if settings["model_type"] == "mistral":
            settings["sliding_window"] = None  # as in the config.json of v0.3; a table of shapes does not say
    return {**listed, **OTHERS}
