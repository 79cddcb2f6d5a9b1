"""What few runs set: some of a layer's matrices, dropout, models that drop by themselves."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional

from core.config import RunConfig
from core.hardware import Device
from core.memory.estimate import Estimate, estimate
from core.memory.moments import MOMENTS
from core.memory.targets import traced_targets
from core.models.facts import facts_from_config
from core.worker import replay
from core.worker.pretence import CudaLike
from core.worker.rehearse import rehearse

DEVICES = {
    "cuda": Device("cuda", 0, "GPU", 80 << 30, 80 << 30, bf16=True, capability=(8, 0)),
    "cpu": Device("cpu", 0, "CPU", 80 << 30, 80 << 30),
}
SHAPE = {"hidden_size": 512, "num_hidden_layers": 3, "num_attention_heads": 8, "num_key_value_heads": 2,
         "intermediate_size": 2048, "vocab_size": 8000, "max_position_embeddings": 2048}  # fmt: skip
GPT2 = {"model_type": "gpt2", "n_embd": 512, "n_layer": 3, "n_head": 8, "vocab_size": 8000, "n_positions": 2048}
MODELS: dict[str, dict[str, Any]] = {
    "llama": {"model_type": "llama", **SHAPE},
    "gpt2": GPT2,
    "granite": {"model_type": "granite", **SHAPE, "attention_dropout": 0.1},
    "olmo": {"model_type": "olmo", **SHAPE, "num_key_value_heads": 8, "tie_word_embeddings": True,
             "pad_token_id": 1},
    "qwen moe": {"model_type": "qwen2_moe", **SHAPE, "num_experts": 8, "num_experts_per_tok": 2,
                 "moe_intermediate_size": 512, "shared_expert_intermediate_size": 2048},
    "falcon": {"model_type": "falcon", **SHAPE, "num_kv_heads": 2, "new_decoder_architecture": True},
}  # fmt: skip
VALUES, MLP = ("q_proj", "v_proj"), ("gate_proj", "up_proj", "down_proj")
KEPT = {"memory.activation_checkpointing": False}
RUNS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "queries and values": ("llama", "cuda", {"method.targets": VALUES, **KEPT}),
    "of them 16-bit, dropping": (
        "llama", "cuda",
        {"method.targets": VALUES, "method.dropout": 0.1, "memory.adapter_dtype": "bf16", **KEPT},
    ),
    "of them beside 8 bits": (
        "llama", "cuda", {"method.targets": VALUES, "model.quantization": "int8", "optim.batch_size": 8},
    ),
    "the MLP alone": ("llama", "cpu", {"method.targets": MLP, "model.quantization": "nf4"}),
    "dropping": ("llama", "cuda", {"method.dropout": 0.1, **KEPT}),
    "dropping, in bf16 on a CPU": ("llama", "cpu", {"method.dropout": 0.1, "model.dtype": "bf16", **KEPT}),
    "upcast, in bf16 on a CPU": (
        "llama", "cpu", {"model.dtype": "bf16", "model.quantization": "int8", "memory.upcast": True},
    ),
    "upcast, dropping": (
        "llama", "cuda", {"method.dropout": 0.1, "model.quantization": "nf4", "memory.upcast": True, **KEPT},
    ),
    "a shared expert wider than others": ("qwen moe", "cuda", {"model.quantization": "nf4", **KEPT}),
    "a model that drops": ("gpt2", "cuda", KEPT),
    "a model that drops, on a CPU": ("gpt2", "cpu", {"model.quantization": "nf4"}),
    "a model that drops scores, on a CPU": ("granite", "cpu", KEPT),
    "a model that drops scores, all of it, eager": (
        "granite", "cuda", {"method.kind": "full", "model.attention": "eager"},
    ),
    "the same, on a CPU": (
        "granite", "cpu", {"method.kind": "full", "model.attention": "eager", **KEPT},
    ),
    "norms without weights": ("olmo", "cuda", {"model.quantization": "nf4"}),
    "several heads of keys": ("falcon", "cuda", {}),
}  # fmt: skip


def config_of(values: dict[str, Any]) -> RunConfig:
    usual = {"optim.batch_size": 2, "data.max_length": 512, **values}
    return RunConfig().with_value("method.kind", usual.pop("method.kind", "lora")).with_values(usual)


def estimated(model: dict[str, Any], device: str, values: dict[str, Any]) -> Estimate:
    return estimate(config_of(values), facts_from_config(model), DEVICES[device], with_suggestions=False)


def error_of(model: dict[str, Any], device: str, values: dict[str, Any]) -> float:
    """How much more than is rehearsed is estimated, as a share."""
    rehearsed = replay.peak(rehearse(config_of(values), model, DEVICES[device]).log).num_bytes
    found = estimated(model, device, values)
    peak = max(found.moments[MOMENTS[one]] for one in ("loss", "layer", "step", "evaluation"))
    return (peak - found.parts["context"] - found.parts["margin"]) / rehearsed - 1


@pytest.mark.filterwarnings("ignore:fan_in_fan_out is set")  # which PEFT mends
@pytest.mark.parametrize("name", RUNS)
def test_the_estimate_of_a_rare_setting_is_near_its_rehearsal(name: str) -> None:
    model, device, values = RUNS[name]
    error = error_of(MODELS[model], device, values)
    assert abs(error) <= 0.02, f"{error:+.2%}"
    assert estimated(MODELS[model], device, values).is_sure


@pytest.mark.parametrize("base", ["none", "nf4", "int8"])
def test_of_bf16_adapters_beside_fp16_not_less_is_counted_than_they_keep(base: str) -> None:
    values = {"model.dtype": "fp16", "memory.adapter_dtype": "bf16", "model.quantization": base, **KEPT}
    assert -0.001 <= error_of(MODELS["llama"], "cuda", values) <= 0.02


@pytest.mark.parametrize("targets", [("o_proj",), ("down_proj",), (*VALUES, "up_proj")])
def test_of_matrices_that_were_not_traced_more_is_counted_and_that_is_said(targets: tuple[str, ...]) -> None:
    values = {"method.targets": targets, **KEPT}
    assert 0 <= error_of(MODELS["llama"], "cuda", values) <= 0.3
    found = estimated(MODELS["llama"], "cuda", values)
    assert found.is_sure and "Adapters on these layers alone were not traced" in found.notes[0]


@pytest.mark.parametrize(
    ("targets", "choice"),
    [
        (("all-linear",), ("all", True)),
        ((*VALUES, "k_proj", "o_proj", *MLP), ("all", True)),
        (VALUES, ("values", True)),
        (("v_proj",), ("values", False)),
        ((*VALUES, "k_proj", "o_proj"), ("attention", True)),
        ((*VALUES, "k_proj"), ("attention", False)),
        (MLP, ("mlp", True)),
        ((*VALUES, "down_proj"), ("all", False)),
    ],
)
def test_the_least_traced_choice_that_holds_all_targets_is_taken(
    targets: tuple[str, ...], choice: tuple[str, bool]
) -> None:
    assert traced_targets(facts_from_config(MODELS["llama"]), targets) == choice


def test_dropout_on_a_gpu_keeps_a_byte_for_each_number() -> None:
    def kept(given: torch.Tensor) -> list[torch.dtype]:
        found: list[torch.dtype] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda one: found.append(one.dtype) or one, lambda one: one):
            functional.dropout(given, 0.5)
        return found

    given = torch.ones(64, requires_grad=True)
    assert kept(given) == [torch.float32]
    with CudaLike():
        assert kept(given) == [torch.bool]
        assert functional.dropout(given, 0.5, training=False) is given


def test_what_a_model_drops_of_itself_is_known() -> None:
    def drops(**settings: Any) -> tuple[bool, bool]:
        facts = facts_from_config(settings)
        return facts.drops_hidden, facts.drops_scores

    assert drops(**GPT2) == (True, True)
    assert drops(**GPT2, resid_pdrop=0.0, embd_pdrop=0, attn_pdrop=0.0) == (False, False)
    assert drops(**MODELS["llama"]) == (False, False)
    assert drops(**MODELS["granite"]) == (False, True)
    plain = {**MODELS["granite"], "attention_dropout": 0.0}  # CUDA's attention keeps nothing of what it dropped
    assert estimated(MODELS["granite"], "cuda", KEPT).peak_bytes == estimated(plain, "cuda", KEPT).peak_bytes


@pytest.mark.parametrize(
    ("model", "values", "words"),
    [
        ({"model_type": "gpt_neox", **SHAPE, "hidden_dropout": 0.1}, {}, "drops some of what it computes"),
        ({**MODELS["qwen moe"], "mlp_only_layers": [0]}, {}, "wide as its experts"),
        (MODELS["llama"], {"model.dtype": "fp32", "model.attention": "eager"}, "Eager attention in fp32"),
        (MODELS["llama"], {"model.dtype": "fp16", "memory.adapter_dtype": "bf16"}, "Adapters in bf16 beside fp16"),
    ],
)
def test_what_was_not_traced_is_capped_and_said(model: dict[str, Any], values: dict[str, Any], words: str) -> None:
    found = estimated(model, "cuda", values)
    assert not found.is_sure and found.verdict == "tight"
    assert any(words in note for note in found.notes)
