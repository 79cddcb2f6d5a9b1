"""What config.json and the headers say about a model, and one sentence where they say nonsense."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from core.errors import HoneError
from core.models.facts import facts_from_config, read_facts
from core.models.families import FAMILIES

LLAMA_8B = {
    "model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128256, "max_position_embeddings": 131072,
}  # fmt: skip
TINY = {
    "model_type": "llama", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
    "intermediate_size": 16, "vocab_size": 10,
}  # fmt: skip

PUBLISHED = [
    ("Llama-3.1-8B", LLAMA_8B, 8_030_261_248),
    ("Qwen3-0.6B", {
        "model_type": "qwen3", "hidden_size": 1024, "num_hidden_layers": 28, "num_attention_heads": 16,
        "num_key_value_heads": 8, "head_dim": 128, "intermediate_size": 3072, "vocab_size": 151936,
        "tie_word_embeddings": True}, 596_049_920),
    ("gemma-3-4b", {"model_type": "gemma3", "text_config": {
        "model_type": "gemma3_text", "hidden_size": 2560, "num_hidden_layers": 34, "intermediate_size": 10240}},
     3_880_263_168),
    ("Qwen3-30B-A3B", {
        "model_type": "qwen3_moe", "hidden_size": 2048, "num_hidden_layers": 48, "num_attention_heads": 32,
        "num_key_value_heads": 4, "head_dim": 128, "intermediate_size": 6144, "moe_intermediate_size": 768,
        "num_experts": 128, "num_experts_per_tok": 8, "vocab_size": 151936}, 30_532_122_624),
    ("Mixtral-8x7B", {
        "model_type": "mixtral", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
        "num_key_value_heads": 8, "intermediate_size": 14336, "num_local_experts": 8, "num_experts_per_tok": 2,
        "vocab_size": 32000}, 46_702_792_704),
]  # fmt: skip


@pytest.mark.parametrize(("name", "config", "count"), PUBLISHED, ids=[name for name, *_ in PUBLISHED])
def test_counts_of_published_models(name: str, config: dict, count: int) -> None:
    assert facts_from_config(config, name).num_parameters == count


def test_the_facts_of_a_model(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**TINY, "tie_word_embeddings": True}))
    (tmp_path / "README.md").write_text("---\nlanguage: en\nlicense: apache-2.0\n---\n# A model\nlicense: no\n")
    (tmp_path / "tokenizer_config.json").write_text('{"chat_template": "{{ messages }}"}')
    save_file({"model.embed_tokens.weight": np.zeros((10, 8), np.float16)}, tmp_path / "model.safetensors")
    facts = read_facts(tmp_path)
    assert (facts.hidden, facts.head_dim, facts.query, facts.key_value, facts.vocab) == (8, 4, 8, 8, 10)
    assert facts.is_modelled
    assert facts.tied
    assert facts.num_head == 0
    assert facts.num_parameters == 80 + 4 * 64 + 3 * 128 + 3 * 8
    assert (facts.bytes_on_disk, facts.dtype_on_disk) == (160, "float16")
    assert facts.has_chat_template
    assert facts.licence == "apache-2.0"
    assert facts.max_positions == 0


def test_an_unknown_family_is_read_off_its_headers(tmp_path: Path) -> None:
    config = {**TINY, "model_type": "novel"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(HoneError, match=r"novel.*download it first") as caught:
        read_facts(tmp_path)
    assert caught.value.path == "model.source"
    shapes = {
        "model.embed_tokens.weight": (10, 8),
        "model.layers.0.mixer.weight": (8, 8),
        "model.layers.0.experts.up": (4, 8, 6),
        "model.layers.0.norm.weight": (8,),
        "lm_head.weight": (10, 8),
    }
    save_file(
        {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}, tmp_path / "model.safetensors"
    )
    facts = read_facts(tmp_path)
    assert not facts.is_modelled
    assert [(linear.name, linear.num_in, linear.num_out, linear.count) for linear in facts.linears] == [
        ("mixer", 8, 8, 1)
    ]
    assert facts.num_expert == 4 * 8 * 6
    assert facts.num_parameters == sum(int(np.prod(shape)) for shape in shapes.values())


WRONG = [
    ({"hidden_size": 0}, "hidden_size as 0"),
    ({"hidden_size": -5}, "hidden_size as -5"),
    ({"hidden_size": "wide"}, "hidden_size as wide"),
    ({"hidden_size": 8.5}, "hidden_size as 8.5"),
    ({"hidden_size": True}, "hidden_size as True"),
    ({"hidden_size": 10**12}, "hidden_size as 1000000000000"),
    ({"hidden_size": None}, "does not give hidden_size"),
    ({"num_attention_heads": 3}, "splits a hidden_size of 8 over 3 heads"),
    ({"num_key_value_heads": 4}, "more key heads"),
    ({"vocab_size": []}, "vocab_size as"),
    ({"intermediate_size": [1, 2]}, "intermediate_size as"),
    ({"num_hidden_layers": {"a": 1}}, "num_hidden_layers as"),
    ({"head_dim": 0}, "head_dim as 0"),
    ({"hidden_size": float("nan")}, "hidden_size as nan"),
    ({"num_hidden_layers": 100_000}, "num_hidden_layers as 100000"),
    ({"vocab_size": 2**30}, "vocab_size as 1073741824"),
    ({"intermediate_size": "14336"}, "intermediate_size as 14336"),
    ({"num_experts": -1}, "num_experts as -1"),
    ({"max_position_embeddings": -1}, "max_position_embeddings as -1"),
    ({"quantization_config": {"quant_method": "gptq"}}, "stored quantised with gptq"),
    ({"quantization_config": {"bits": 4}}, "stored quantised with None"),
    ({"quantization_config": "yes"}, "stored quantised with None"),
]


@pytest.mark.parametrize(("change", "words"), WRONG, ids=[words for _, words in WRONG])
def test_absurd_dimensions_are_one_sentence(change: dict, words: str) -> None:
    with pytest.raises(HoneError, match=words) as caught:
        facts_from_config({**TINY, **change}, "m")
    assert caught.value.path == "model.source"


@pytest.mark.parametrize("text", ["", "[]", "{", '"x"', "[" * 100_000])
def test_a_config_that_is_no_table_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(HoneError, match=r"config\.json"):
        read_facts(tmp_path)


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(HoneError, match="is no model"):
        read_facts(tmp_path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


KEYS = [
    *LLAMA_8B, "tie_word_embeddings", "quantization_config", "text_config", "head_dim", "sliding_window",
    "num_experts", "mlp_only_layers", "decoder_sparse_step", "shared_expert_intermediate_size", "n_positions",
    "attention_bias", "torch_dtype", "new_decoder_architecture", "num_ln_in_parallel_attn", "num_experts_per_tok",
]  # fmt: skip


@given(st.sampled_from(sorted(FAMILIES)), st.dictionaries(st.sampled_from(KEYS), json_values))
def test_no_config_raises_anything_but_a_sentence(family: str, change: dict) -> None:
    try:
        facts = facts_from_config({**TINY, "model_type": family, **change}, "m")
    except HoneError as error:
        assert "\n" not in error.message
    else:
        assert facts.num_parameters > 0
