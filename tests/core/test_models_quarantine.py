"""The quarantine: what honest models need survives it, and what an attack needs does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from core import places
from core.errors import HoneError
from core.models import allowed
from core.models.quarantine import clean_copy

NAMED = {
    "llama",
    "qwen2",
    "qwen3",
    "gemma2",
    "gemma3",
    "gemma3_text",
    "phi3",
    "mistral",
    "smollm3",
    "olmo2",
    "granite",
    "glm4",
    "starcoder2",
    "falcon",
    "gpt2",
    "gpt_neox",
    "stablelm",
    "mixtral",
    "qwen3_moe",
    "gpt_oss",
}


def make_model(folder: Path, config: dict[str, Any], **others: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    for name, tree in others.items():
        (folder / f"{name}.json").write_text(json.dumps(tree))
    save_file({"w": np.zeros((2, 2), np.float32)}, folder / "model.safetensors")
    return folder


def cleaned(folder: Path, name: str = "config.json") -> dict[str, Any]:
    return json.loads((clean_copy(folder) / name).read_text())


def refusal(folder: Path) -> str:
    with pytest.raises(HoneError) as caught:
        clean_copy(folder)
    assert caught.value.path == "model.source"
    return caught.value.message


@pytest.mark.parametrize("family", sorted(allowed.FAMILIES))
def test_every_family_loads_equal_after_quarantine(tmp_path, family):
    from transformers import AutoConfig

    AutoConfig.for_model(family, architectures=["SomeModel"]).save_pretrained(tmp_path)
    make_model(tmp_path, json.loads((tmp_path / "config.json").read_text()))
    expected = AutoConfig.from_pretrained(tmp_path).to_dict()
    found = AutoConfig.from_pretrained(clean_copy(tmp_path)).to_dict()
    for tree in (expected, found):  # the folder's own name, and labels of classifiers
        for key in ("_name_or_path", "id2label", "label2id", "transformers_version"):
            tree.pop(key, None)
    assert found == expected


def test_the_families_that_must_load_are_known():
    assert NAMED <= allowed.FAMILIES


LLAMA31 = {
    "architectures": ["LlamaForCausalLM"],
    "attention_bias": False,
    "bos_token_id": 128000,
    "eos_token_id": [128001, 128008, 128009],
    "hidden_act": "silu",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "max_position_embeddings": 131072,
    "mlp_bias": False,
    "model_type": "llama",
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "rms_norm_eps": 1e-05,
    "rope_scaling": {
        "factor": 8.0,
        "high_freq_factor": 4.0,
        "low_freq_factor": 1.0,
        "original_max_position_embeddings": 8192,
        "rope_type": "llama3",
    },
    "rope_theta": 500000.0,
    "torch_dtype": "bfloat16",
    "vocab_size": 128256,
}


def test_a_config_in_the_older_style_loses_nothing(tmp_path):
    assert cleaned(make_model(tmp_path, LLAMA31)) == LLAMA31


def test_settings_that_name_code_or_repositories_are_dropped(tmp_path):
    attack = {
        "auto_map": {"AutoConfig": "evil--repo.Config"},
        "_attn_implementation": "evil/kernel",
        "_attn_implementation_internal": "evil/kernel",
        "attn_implementation": "evil/kernel",
        "_experts_implementation_internal": "evil/kernel",
        "trust_remote_code": True,
        "kernel_config": {"RMSNorm": "evil/kernel"},
        "use_kernels": True,
        "_name_or_path": "evil/repo",
        "backbone": "evil/repo",
        "custom_pipelines": {"x": {"impl": "evil.py"}},
        "base_model_tp_plan": {"layers.*": "evil"},
        "hidden_act": "evil/repo",
        "mlp_layer_types": ["dense", "../../evil"],
        "torch_dtype": "load",
        "architectures": ["os.system"],
        "tokenizer_class": "evil/repo.Tokenizer",
        "sliding_window": {"nested": "object"},
        "text_config": {"auto_map": {"AutoModel": "evil"}, "hidden_size": 8, "text_config": {"auto_map": "evil"}},
    }
    tree = cleaned(make_model(tmp_path, {"model_type": "gemma3", "hidden_size": 4, **attack}))
    assert tree == {"model_type": "gemma3", "hidden_size": 4, "text_config": {"hidden_size": 8}}


@pytest.mark.parametrize("family", ["custom_llama", "", None, 7, ["llama"], {"llama": 1}, "LLAMA", "vit"])
def test_an_unknown_family_is_refused(tmp_path, family):
    assert "cannot load" in refusal(make_model(tmp_path, {"model_type": family}))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "not valid JSON"),
        ("[1]", "not a JSON object"),
        ("[" * 200_000, "not valid JSON"),
        ('{"model_type": "llama", "x": ' + "[" * 50 + "]" * 50 + "}", "not a JSON object"),
        ('{"hidden_size": ' + "9" * 5000 + "}", "not valid JSON"),
        ("\udcff", "not valid JSON"),
        (" " * 20_000_001, "over 20 MB"),
    ],
)
def test_settings_that_are_no_settings_are_refused(tmp_path, text, reason):
    folder = make_model(tmp_path, {})
    (folder / "config.json").write_bytes(text.encode(errors="surrogateescape"))
    assert reason in refusal(folder)


def test_known_quantisation_is_kept_and_another_is_refused(tmp_path):
    kept = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
    config = {"model_type": "llama", "quantization_config": kept | {"modules_to_run": "evil.py"}}
    assert cleaned(make_model(tmp_path / "a", config))["quantization_config"] == kept
    config["quantization_config"] = {"load_in_8bit": True}
    assert cleaned(make_model(tmp_path / "b", config))["quantization_config"]["quant_method"] == "bitsandbytes"
    for other in ({"quant_method": "gptq"}, {"quant_method": ["bitsandbytes"]}, {}, "evil"):
        config["quantization_config"] = other
        assert "stored quantised" in refusal(make_model(tmp_path / "c", config))


def test_the_tokenizer_survives_without_what_names_code(tmp_path):
    token = {"content": "</s>", "lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
    honest = {
        "add_bos_token": True,
        "added_tokens_decoder": {"2": token | {"special": True}},
        "additional_special_tokens": ["<|im_start|>", token],
        "bos_token": "<s>",
        "chat_template": "{% for m in messages %}{{ m.content }}{% endfor %}",
        "eos_token": token | {"__type": "AddedToken"},
        "model_max_length": 1000000000000000019884624838656,
        "pad_token": None,
        "tokenizer_class": "LlamaTokenizer",
    }
    attack = {
        "auto_map": {"AutoTokenizer": ["evil--repo.T", None]},
        "tokenizer_file": "/etc/passwd",
        "vocab_file": "../../evil",
        "fast_tokenizer_files": ["../evil.json"],
        "name_or_path": "evil/repo",
        "sp_model_kwargs": {"model_file": "/etc/passwd"},
        "trust_remote_code": True,
    }
    honest_map = {"unk_token": "<unk>"}
    folder = make_model(
        tmp_path,
        {"model_type": "llama"},
        tokenizer_config=honest | attack,
        special_tokens_map=honest_map | attack,
        added_tokens={"<x>": 5, "evil": "text"},
        generation_config={"temperature": 0.6, "eos_token_id": [1, 2], "custom_generate": "evil/repo"},
    )
    assert cleaned(folder, "tokenizer_config.json") == honest
    assert cleaned(folder, "special_tokens_map.json") == honest_map
    assert cleaned(folder, "added_tokens.json") == {"<x>": 5}
    assert cleaned(folder, "generation_config.json") == {"temperature": 0.6, "eos_token_id": [1, 2]}


def test_chat_templates_are_passed_on_and_limited(tmp_path):
    folder = make_model(tmp_path, {"model_type": "llama"})
    (folder / "chat_template.jinja").write_text("{{ messages }} ä", encoding="utf-8")
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates" / "tool.jinja").write_text("tools")
    copy = clean_copy(folder)
    assert (copy / "chat_template.jinja").read_text(encoding="utf-8") == "{{ messages }} ä"
    assert (copy / "additional_chat_templates" / "tool.jinja").read_text() == "tools"
    (folder / "chat_template.jinja").write_text("x" * 1_000_001)
    assert "chat template" in refusal(folder)
    (folder / "chat_template.jinja").write_bytes(b"\xff\xfe")
    assert "chat template" in refusal(folder)


def test_only_listed_files_reach_the_copy(tmp_path):
    folder = make_model(tmp_path / "m", {"model_type": "llama"})
    for name in ("modeling_llama.py", "pytorch_model.bin", "consolidated.safetensors", "README.md", "evil.json"):
        (folder / name).write_bytes(b"x")
    (folder / "tokenizer.json").write_text("{}")
    assert sorted(path.name for path in clean_copy(folder).iterdir()) == [
        "config.json", "model.safetensors", "tokenizer.json",
    ]  # fmt: skip


def test_the_copy_links_its_weights_is_reused_and_follows_changes(tmp_path, hone_home):
    folder = make_model(tmp_path / "m", {"model_type": "llama"})
    first = clean_copy(folder)
    assert first.is_relative_to(places.cache_folder())
    assert (first / "model.safetensors").samefile(folder / "model.safetensors")
    made = (first / "config.json").stat().st_mtime_ns
    assert clean_copy(folder) == first
    assert (first / "config.json").stat().st_mtime_ns == made
    (folder / "config.json").write_text('{"model_type": "llama", "hidden_size": 8}')
    second = clean_copy(folder)
    assert second != first
    save_file({"w": np.ones((3, 3), np.float32)}, folder / "model.safetensors")
    assert clean_copy(folder) not in (first, second)


def test_a_copy_whose_links_broke_is_made_again(tmp_path):
    folder = make_model(tmp_path / "m", {"model_type": "llama"})
    copy = clean_copy(folder)
    (copy / "model.safetensors").unlink()
    assert (clean_copy(folder) / "model.safetensors").is_file()


def test_a_file_system_without_links_gets_copies(tmp_path, monkeypatch):
    def refuse(*_: Any) -> None:
        raise OSError("no links here")

    monkeypatch.setattr("os.symlink", refuse)
    monkeypatch.setattr("os.link", refuse)
    folder = make_model(tmp_path / "m", {"model_type": "llama"})
    copy = clean_copy(folder) / "model.safetensors"
    assert copy.read_bytes() == (folder / "model.safetensors").read_bytes()
    assert not copy.samefile(folder / "model.safetensors")


def test_a_cache_that_cannot_be_written_is_named(tmp_path, hone_home):
    hone_home.write_text("a file where the folder should be")
    with pytest.raises(HoneError, match="cannot be written"):
        clean_copy(make_model(tmp_path / "m", {"model_type": "llama"}))


def make_real_model(folder: Path) -> None:
    """A two-layer Llama with a tokenizer and a chat template, saved by the libraries themselves."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
    special = ["<unk>", "<s>", "</s>", "<|user|>", "<|assistant|>"]
    tokenizer.train_from_iterator(
        ["once upon a time there was a fox"] * 5, trainers.BpeTrainer(special_tokens=special)
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>",
        extra_special_tokens=["<|user|>", "<|assistant|>"], model_max_length=64,
    )  # fmt: skip
    fast.chat_template = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{{ eos_token }}{% endfor %}"
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(fast), hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=64, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder, max_shard_size="4kB")


def test_a_real_model_computes_the_same_from_its_copy(tmp_path):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    make_real_model(tmp_path)
    copy = clean_copy(tmp_path)
    assert len(list(copy.glob("*.safetensors"))) > 1
    chat = [{"role": "user", "content": "once upon"}, {"role": "assistant", "content": "a fox"}]
    found = []
    for folder in (tmp_path, copy):
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
        ids = tokenizer.apply_chat_template(chat, return_tensors="pt", return_dict=True)["input_ids"]
        with torch.no_grad():
            logits = model(ids).logits
        found.append((ids.tolist(), tokenizer.all_special_tokens, model.generation_config.eos_token_id, logits))
    (ids, *others, logits), (copied_ids, *copied_others, copied_logits) = found
    assert (ids, others) == (copied_ids, copied_others)
    assert torch.equal(logits, copied_logits)


def test_code_beside_a_model_is_never_run(tmp_path):
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    make_real_model(tmp_path)
    trap = tmp_path / "trap.py"
    trap.write_text(f"open({str(tmp_path / 'sprung')!r}, 'w').write('x')\nclass C: pass\n")
    for name, classes in (
        ("config.json", {"AutoConfig": "trap.C", "AutoModelForCausalLM": "trap.C"}),
        ("tokenizer_config.json", {"AutoTokenizer": ["trap.C", "trap.C"]}),
    ):
        tree = json.loads((tmp_path / name).read_text())
        (tmp_path / name).write_text(json.dumps(tree | {"auto_map": classes, "trust_remote_code": True}))
    copy = clean_copy(tmp_path)
    assert type(AutoConfig.from_pretrained(copy, trust_remote_code=True)).__module__.startswith("transformers.")
    AutoTokenizer.from_pretrained(copy, trust_remote_code=True)
    AutoModelForCausalLM.from_pretrained(copy, trust_remote_code=True)
    assert not (tmp_path / "sprung").exists()
