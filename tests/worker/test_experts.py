"""Experts in 4 and 8 bits, on tiny mixtures of three real families."""

from __future__ import annotations

import json
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny_models import make_tokenizer
from transformers import AutoConfig, AutoModelForCausalLM

from core.config import Lora, MemorySection, ModelSection
from core.hardware import Device
from core.runs import Run
from core.worker import adapters, experts, load
from core.worker.engine import Engine
from core.worker.stacked import BASE

CPU = Device("cpu", 0, "CPU", 0, 0)
WIDE = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "head_dim": 16, "intermediate_size": 96, "vocab_size": 400, "max_position_embeddings": 256,
        "num_experts_per_tok": 2, "pad_token_id": None, "eos_token_id": 2}  # fmt: skip
MIXTURES = {
    "mixtral": {**WIDE, "num_local_experts": 5},
    "qwen3_moe": {**WIDE, "num_experts": 5, "moe_intermediate_size": 96},
    "gpt_oss": {**WIDE, "num_local_experts": 5},
}
QUANTIZATIONS = ("nf4", "fp4", "int8")


@pytest.fixture(scope="session", params=list(MIXTURES))
def mixture(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random mixture of experts."""
    return make_mixture(request.param, tmp_path_factory.mktemp("mixtures") / request.param)


def make_mixture(family: str, folder: Path) -> Path:
    """A random mixture with a tokenizer, saved as any model is."""
    torch.manual_seed(3)
    tokenizer = make_tokenizer()
    settings = {**MIXTURES[family], "eos_token_id": tokenizer.eos_token_id}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **settings))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" not in name:
                parameter.normal_(std=0.1)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def loaded(folder: Path, quantization: str, compute: torch.dtype = torch.float32, **more: bool):
    section = ModelSection(quantization=quantization, **more)  # type: ignore[arg-type]
    return load.load_model(section, folder, CPU, compute=compute)


@pytest.mark.parametrize("quantization", QUANTIZATIONS)
def test_answers_and_gradients_are_those_of_the_unpacked_weights(mixture: Path, quantization: str) -> None:
    """The library's own loop over experts, with the weights unpacked, is the judge."""
    model = loaded(mixture, quantization)
    plain = AutoModelForCausalLM.from_pretrained(mixture, dtype=torch.float32, experts_implementation="eager")
    pairs = list(experts.expert_weights(model))
    assert len(pairs) == 4  # two parameters in each of two layers
    modules = dict(plain.named_modules())
    for path, module in model.named_modules():
        for name in experts.NAMES:
            if experts.is_expert_weight(module, name):
                packed = getattr(module, name)
                state = packed.quant_state
                whole = torch.stack([state.weight(packed, one) for one in range(len(packed))])
                original = getattr(modules[path], name).data
                assert whole.shape == original.shape
                error = (whole - original).norm() / original.norm()
                assert 0 < error < (0.01 if quantization == "int8" else 0.15)
                original.copy_(whole)
                ours, theirs = module, modules[path]
    hidden = torch.randn(11, 64, requires_grad=True)
    twin = hidden.detach().clone().requires_grad_()
    scores = torch.randn(11, 5).softmax(-1)
    shares, chosen = scores.topk(2, dim=-1)
    answer, expected = ours(hidden, chosen, shares), theirs(twin, chosen, shares)
    torch.testing.assert_close(answer, expected, rtol=1e-4, atol=1e-5)
    direction = torch.randn_like(answer)
    (answer * direction).sum().backward()
    (expected * direction).sum().backward()
    torch.testing.assert_close(hidden.grad, twin.grad, rtol=1e-4, atol=1e-5)


def test_every_expert_is_stored_in_few_bits(mixture: Path) -> None:
    plain = sum(p.numel() * 4 for n, p in loaded(mixture, "none").named_parameters() if ".experts." in n)
    sizes = {}
    for quantization in QUANTIZATIONS:
        model = loaded(mixture, quantization)
        sizes[quantization] = sum(
            parameter.nbytes + sum(t.nbytes for t in parameter.quant_state.constants.values())
            for module, name in experts.expert_weights(model)
            for parameter in [getattr(module, name)]
        )
    assert sizes["nf4"] == sizes["fp4"] < 0.14 * plain
    assert sizes["int8"] < 0.27 * plain


def test_a_hollow_model_holds_what_a_loaded_one_holds(mixture: Path) -> None:
    from core.worker import hollow

    settings = json.loads((mixture / "config.json").read_text())
    for section in (ModelSection(quantization="nf4"), ModelSection(quantization="nf4", double_quantization=False),
                    ModelSection(quantization="int8")):  # fmt: skip
        real = load.load_model(section, mixture, CPU, compute=torch.bfloat16)
        made = hollow.build(settings, section, compute=torch.bfloat16, weights=torch.bfloat16)
        hollow.fill(made, torch.device("cpu"))
        assert held(made) == held(real)


def held(model: torch.nn.Module) -> dict[str, list[tuple]]:
    """Number format and size of every tensor of the experts' parameters."""
    return {
        f"{number} {name}": sorted(
            (str(t.dtype), t.numel())
            for t in (getattr(module, name), *getattr(module, name).quant_state.constants.values())
        )
        for number, (module, name) in enumerate(experts.expert_weights(model))
    }


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
def test_adapters_learn_on_packed_experts(mixture: Path, quantization: str) -> None:
    memory = MemorySection(activation_checkpointing=True)
    section = ModelSection(quantization=quantization)  # type: ignore[arg-type]
    base = loaded(mixture, quantization)
    adapters.prepare(base, section, memory)
    model = adapters.attach(base, Lora(rank=4), memory, seed=0)
    model.train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    rule = torch.optim.AdamW(trained, lr=5e-3)
    tokens = torch.arange(3, 43).view(2, 20)
    losses = []
    for _ in range(4):
        loss = model(input_ids=tokens, labels=tokens, use_cache=False).loss
        loss.backward()
        rule.step()
        rule.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.05
    assert not any(".experts." in name for name, p in model.named_parameters() if p.requires_grad)


def test_a_run_trains_and_its_adapter_answers(
    tmp_path: Path, new_run: Callable[..., Run], work: Callable[[Run], subprocess.CompletedProcess]
) -> None:
    folder = make_mixture("qwen3_moe", tmp_path / "mixture")
    run = new_run({"model.source": str(folder), "model.quantization": "nf4", "optim.max_steps": 3,
                   "data.train_on": "all"})  # fmt: skip
    done = work(run)
    assert done.returncode == 0, done.stderr[-2000:]
    events = run.events()
    plain = AutoModelForCausalLM.from_pretrained(folder)
    (told,) = [event.num_parameters for event in events if event.type == "loaded"]
    assert told == sum(parameter.numel() for parameter in plain.parameters())
    engine = Engine(loaded(folder, "nf4"), load.load_tokenizer(folder))
    scores = engine.logits([5, 6, 7], [*engine.set_adapters([str(run.adapter)]), BASE])
    assert (scores[0] - scores[1]).abs().max() > 1e-3
