"""The quarantine of adapters: one that PEFT saved loads equal, and one that would change more is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from core.errors import HoneError
from core.models.quarantine import clean_adapter

LORA = {
    "peft_type": "LORA",
    "r": 8,
    "lora_alpha": 16,
    "target_modules": ["q_proj", "v_proj"],
    "task_type": "CAUSAL_LM",
}


def make_adapter(folder: Path, **changes: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps(LORA | changes))
    save_file({"w": np.zeros((2, 2), np.float32)}, folder / "adapter_model.safetensors")
    return folder


def adapter_tree(folder: Path) -> dict[str, Any]:
    return json.loads((clean_adapter(folder) / "adapter_config.json").read_text())


def test_an_adapter_that_peft_saves_loads_equal(tmp_path):
    from peft import LoraConfig, PeftConfig

    original = LoraConfig(
        r=4, target_modules=["q_proj", "model.layers.0.mlp.up_proj"], rank_pattern={"q_proj": 2}, use_rslora=True,
        modules_to_save=["lm_head"], layers_to_transform=[0, 1], task_type="CAUSAL_LM",
        base_model_name_or_path="maker/base",
    )  # fmt: skip
    folder = make_adapter(tmp_path)
    original.save_pretrained(folder)
    expected, found = (
        PeftConfig.from_pretrained(str(folder)),
        PeftConfig.from_pretrained(str(clean_adapter(folder))),
    )
    assert found.base_model_name_or_path is None
    expected.base_model_name_or_path = None
    assert found == expected


def test_what_names_code_or_repositories_leaves_an_adapter(tmp_path):
    attack = {
        "megatron_core": "os", "megatron_config": {"x": 1}, "auto_mapping": {"parent_library": "evil"},
        "loftq_config": {"a": 1}, "eva_config": {"rho": 2}, "corda_config": {"cache_file": "/x"},
        "base_model_name_or_path": "evil/repo", "revision": "main", "runtime_config": {"x": 1},
    }  # fmt: skip
    assert adapter_tree(make_adapter(tmp_path, **attack)) == LORA


@pytest.mark.parametrize("key", ["target_modules", "exclude_modules", "modules_to_save", "layers_pattern"])
@pytest.mark.parametrize("value", [r"([a-z_0-9]+\.?)+!", [".*"], ["q_proj", "(a+)+$"], [7], [None], {"a": 1}])
def test_patterns_in_place_of_names_are_refused(tmp_path, key, value):
    with pytest.raises(HoneError, match=key):
        clean_adapter(make_adapter(tmp_path, **{key: value}))


@pytest.mark.parametrize("key", ["rank_pattern", "alpha_pattern"])
def test_patterns_as_keys_are_refused(tmp_path, key):
    with pytest.raises(HoneError, match=key):
        clean_adapter(make_adapter(tmp_path, **{key: {"(a+)+$": 4}}))


def test_all_linear_is_a_name(tmp_path):
    assert adapter_tree(make_adapter(tmp_path, target_modules="all-linear"))["target_modules"] == "all-linear"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"peft_type": "PROMPT_TUNING"}, "PROMPT_TUNING"),
        ({"peft_type": ["LORA"]}, "LoRA"),
        ({"init_lora_weights": "pissa"}, "pissa"),
        ({"init_lora_weights": "loftq"}, "loftq"),
        ({"init_lora_weights": {"a": 1}}, "initialised"),
        ({"layer_replication": [[0, 1_000_000]]}, "layer_replication"),
    ],
)
def test_adapters_that_change_more_than_they_hold_are_refused(tmp_path, changes, reason):
    with pytest.raises(HoneError, match=reason):
        clean_adapter(make_adapter(tmp_path, **changes))


def test_pickled_missing_and_damaged_adapters_are_refused(tmp_path):
    with pytest.raises(HoneError, match=r"no adapter_config\.json"):
        clean_adapter(tmp_path)
    folder = make_adapter(tmp_path)
    weights = folder / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])
    with pytest.raises(HoneError, match=r"adapter_model\.safetensors"):
        clean_adapter(folder)
    weights.unlink()
    with pytest.raises(HoneError, match="is missing"):
        clean_adapter(folder)
    (folder / "adapter_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(HoneError, match="pickle"):
        clean_adapter(folder)
