"""What a config.json leaves out is what the class of its family takes, or is asked for in a sentence."""

from __future__ import annotations

from typing import Any

import pytest
from transformers import AutoConfig

from core.errors import HoneError
from core.models.catalogue import catalogue
from core.models.facts import facts_from_config
from core.models.families import FAMILIES, FOURFOLD

LEAST = {"hidden_size": 4096, "num_hidden_layers": 2, "num_attention_heads": 32, "vocab_size": 1000,
         "pad_token_id": 0}  # fmt: skip
SPLIT = {"qwen2_moe", "qwen3_moe"}
"""Families whose experts have a width of their own."""
WINDOW = "sliding_window"
KEPT = {"smollm3"}
"""Families whose config keeps the number where the switch is off, though no layer looks at it."""


def of_class(family: str, config: dict[str, Any]) -> dict[str, Any]:
    made = AutoConfig.for_model(family, **config)
    heads = made.num_attention_heads
    kv_heads = getattr(made, "num_key_value_heads", None) or heads
    return {
        "kv_heads": 1 if family == "falcon" else kv_heads,
        "head_dim": getattr(made, "head_dim", None) or made.hidden_size // heads,
        "tied": made.tie_word_embeddings,
        "window": getattr(made, "sliding_window", None) or 0,
        "experts": getattr(made, "num_experts", None) or getattr(made, "num_local_experts", None) or 0,
        "per_token": getattr(made, "num_experts_per_tok", 0),
        "expert_width": getattr(made, "moe_intermediate_size", 0) if family in SPLIT else 0,
        "shared_width": getattr(made, "shared_expert_intermediate_size", 0),
    }


def of_facts(family: str, config: dict[str, Any]) -> dict[str, Any]:
    facts = facts_from_config({"model_type": family, **config})
    shared = next((layer for layer in facts.linears if layer.name == "shared_expert_gate"), None)
    widths = [layer.num_out for layer in facts.linears if layer.name == "gate_proj"] if shared else [0]
    return {
        "kv_heads": facts.num_kv_heads, "head_dim": facts.head_dim, "tied": facts.tied,
        "window": facts.sliding_window, "experts": facts.num_experts, "per_token": facts.experts_per_token,
        "expert_width": facts.mlp if family in SPLIT else 0, "shared_width": widths[-1],
    }  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_left_out_is_what_the_class_takes(family: str) -> None:
    config = LEAST | ({"intermediate_size": 900} if family not in FOURFOLD else {})
    assert of_facts(family, config) == of_class(family, config)


@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in FOURFOLD])
def test_a_width_that_no_rule_gives_is_asked_for(family: str) -> None:
    with pytest.raises(HoneError, match="does not give intermediate_size"):
        facts_from_config({"model_type": family, **LEAST})


@pytest.mark.parametrize("stated", [{}, {"use_sliding_window": True}], ids=["plain", "switched on"])
@pytest.mark.parametrize("window", [None, 77])
@pytest.mark.parametrize(
    "family", [family for family in FAMILIES if hasattr(AutoConfig.for_model(family), WINDOW)]
)
def test_a_window_is_what_the_class_makes_of_what_is_stated(family: str, window: int | None, stated: Any) -> None:
    config = LEAST | {"intermediate_size": 900, WINDOW: window} | stated
    expected = 0 if family in KEPT and not stated else of_class(family, config)["window"]
    assert of_facts(family, config)["window"] == expected


def test_every_shape_of_the_catalogue_is_what_its_class_makes_of_it() -> None:
    for model in catalogue():
        config = {key: value for key, value in model.config.items() if key != "model_type"}
        family = model.config["model_type"]
        assert of_facts(family, config) == of_class(family, config), model.name
