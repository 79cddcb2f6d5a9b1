"""Chunked, packed and accumulated losses are the plain loss, in value and in gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import tiny_config
from torch import Tensor
from torch.nn import functional
from transformers import (
    CohereConfig,
    CohereForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GraniteConfig,
    GraniteForCausalLM,
    LlamaForCausalLM,
    PreTrainedModel,
)

from core.worker import losses
from core.worker.batches import Batch, Numbers, collate, pack
from core.worker.examples import Examples
from core.worker.losses import TokenLoss

CPU = torch.device("cpu")
WIDTHS = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "intermediate_size": 64, "vocab_size": 400, "pad_token_id": 0, "initializer_range": 0.3,
}  # fmt: skip
FAMILIES = {
    "llama": lambda: LlamaForCausalLM(tiny_config()),
    "untied": lambda: LlamaForCausalLM(tiny_config(tie_word_embeddings=False)),
    "gemma2": lambda: Gemma2ForCausalLM(Gemma2Config(**WIDTHS, head_dim=8, final_logit_softcapping=2.0)),
    "cohere": lambda: CohereForCausalLM(CohereConfig(**WIDTHS, logit_scale=0.3)),
    "granite": lambda: GraniteForCausalLM(GraniteConfig(**WIDTHS, logits_scaling=5.0)),
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=400, n_positions=128)),
}


def model_of(family: str) -> PreTrainedModel:
    torch.manual_seed(3)
    return FAMILIES[family]().eval()


def examples(count: int = 6, seed: int = 0) -> Examples:
    random = np.random.default_rng(seed)
    made = []
    for length in random.integers(5, 30, size=count).tolist():
        trained = [False, *(random.random(length - 1) < 0.6).tolist()]
        trained[-1] = True
        made.append((random.integers(0, 400, size=length).tolist(), trained))
    return Examples.join(made)


def singles(count: int) -> list[Numbers]:
    return [(number,) for number in range(count)]


def plain_loss(model: PreTrainedModel, batch: Batch, data: Examples) -> Tensor:
    """What transformers itself gives: all logits of each example alone, shifted labels."""
    total = torch.zeros(())
    for number in range(len(data)):
        tokens, trained = data[number]
        ids = torch.from_numpy(tokens.astype(np.int64))[None]
        labels = torch.where(torch.from_numpy(trained)[None], ids, -100)
        logits = model(input_ids=ids).logits.float()
        total = total + functional.cross_entropy(logits[0, :-1], labels[0, 1:], ignore_index=-100, reduction="sum")
    return total


def gradients(model: PreTrainedModel, loss: Tensor) -> dict[str, Tensor]:
    model.zero_grad()
    loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def assert_same(found: dict[str, Tensor], wanted: dict[str, Tensor], tolerance: float = 1e-5) -> None:
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(
            found[name], value, rtol=tolerance, atol=tolerance * value.abs().max().item(), msg=name
        )


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("chunked", [True, False])
def test_loss_and_gradient_are_those_of_transformers(
    family: str, chunked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, "CHUNK_SCORES", 400 * 7)  # seven tokens at a time: many chunks, the last one short
    model, data = model_of(family), examples()
    batch = collate(singles(len(data)), data, CPU)
    loss = TokenLoss(model, chunked)
    loss.prove(CPU)
    assert loss.is_chunked == chunked
    wanted = plain_loss(model, batch, data)
    found = loss.sum(batch)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(loss.each(batch).sum(), wanted, rtol=1e-5, atol=1e-5)
    assert_same(gradients(model, found), gradients(model, wanted))


@pytest.mark.parametrize("tied", [True, False])
def test_a_trained_head_gets_its_whole_gradient(tied: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "CHUNK_SCORES", 400 * 5)
    torch.manual_seed(3)
    model, data = LlamaForCausalLM(tiny_config(tie_word_embeddings=tied)), examples()
    batch = collate(singles(len(data)), data, CPU)
    chunked = gradients(model, TokenLoss(model).sum(batch) * 0.25)
    assert_same(chunked, gradients(model, plain_loss(model, batch, data) * 0.25))


def test_only_as_many_scores_as_a_chunk_holds_live_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "CHUNK_SCORES", 400 * 4)
    model, data = model_of("llama"), examples()
    sizes = []
    model.lm_head.register_forward_hook(lambda _module, _inputs, output: sizes.append(len(output)))
    batch = collate(singles(len(data)), data, CPU)
    TokenLoss(model).sum(batch).backward()
    TokenLoss(model).each(batch)
    assert max(sizes) == 4 and sum(sizes) == 2 * len(batch.targets)


def test_a_family_that_changes_its_scores_in_an_unknown_way_takes_the_full_loss() -> None:
    model, data = model_of("llama"), examples()
    inner = model.forward

    def louder(*arguments, **options):  # fmt: skip
        found = inner(*arguments, **options)
        found.logits = found.logits * 1.5
        return found

    model.forward = louder  # type: ignore[method-assign]
    loss = TokenLoss(model)
    loss.prove(CPU)
    assert not loss.is_chunked
    batch = collate(singles(len(data)), data, CPU)
    torch.testing.assert_close(loss.sum(batch), plain_loss(model, batch, data), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_packed_examples_lose_per_token_what_they_lose_alone(attention: str) -> None:
    torch.manual_seed(3)
    model = LlamaForCausalLM(tiny_config(attn_implementation=attention)).eval()
    data = examples(12, seed=4)
    groups = [tuple(group) for group in pack(data.lengths, 64)]
    assert max(len(group) for group in groups) > 2
    loss = TokenLoss(model)
    packed = loss.each(collate(groups, data, CPU))
    alone = torch.cat([loss.each(collate([(number,)], data, CPU)) for group in groups for number in group])
    torch.testing.assert_close(packed, alone, rtol=1e-5, atol=1e-5)
    padded = torch.cat([loss.each(collate([(n,) for n in group], data, CPU)) for group in groups])
    torch.testing.assert_close(padded, alone, rtol=1e-5, atol=1e-5)
    together = gradients(model, loss.sum(collate(groups, data, CPU)))
    apart = gradients(model, loss.sum(collate([(number,) for group in groups for number in group], data, CPU)))
    assert_same(together, apart, 1e-4)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_model_that_keeps_packed_rows_apart_is_told_from_one_that_does_not(attention: str) -> None:
    torch.manual_seed(3)
    model = LlamaForCausalLM(tiny_config(attn_implementation=attention)).eval()
    assert TokenLoss(model).keeps_rows_apart(CPU)
    assert TokenLoss(model, chunked=False).keeps_rows_apart(CPU)
    inner = model.model.forward

    def mixed(*args: Any, position_ids: Tensor | None = None, **kwargs: Any) -> Any:
        return inner(*args, **kwargs)

    model.model.forward = mixed  # type: ignore[method-assign]
    assert not TokenLoss(model).keeps_rows_apart(CPU)
    assert not TokenLoss(model, chunked=False).keeps_rows_apart(CPU)
