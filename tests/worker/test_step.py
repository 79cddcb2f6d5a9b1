"""The gradient of a step does not depend on how its rows are cut into batches, also when memory runs out."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from test_losses import CPU, assert_same, examples, singles
from tiny_models import tiny_config
from torch import Tensor
from transformers import LlamaForCausalLM

from core.errors import HoneError
from core.sections import OptimSection
from core.worker import optimizer
from core.worker.checkpoint import Progress
from core.worker.losses import TokenLoss
from core.worker.step import Stepper


def stepper_for(model: LlamaForCausalLM, is_scaled: bool = False) -> tuple[Stepper, list[str]]:
    told: list[str] = []
    parameters = list(model.named_parameters())
    return (
        Stepper(
            loss=TokenLoss(model),
            examples=examples(8),
            parameters=parameters,
            device=CPU,
            autocast=nullcontext,
            is_scaled=is_scaled,
            warn=told.append,
        ),
        told,
    )


def gradient(
    model: LlamaForCausalLM, batches, micro_batch: int = 8, scale: float = 0
) -> tuple[dict[str, Tensor], float]:
    stepper, _ = stepper_for(model, is_scaled=bool(scale))
    progress = Progress(micro_batch=micro_batch, loss_scale=scale or 1.0)
    found = stepper.gradient(batches, progress, seed=1)
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}, found.loss.item()


@pytest.fixture
def model() -> LlamaForCausalLM:
    torch.manual_seed(3)
    return LlamaForCausalLM(tiny_config())


def test_accumulation_gives_the_gradient_of_one_big_batch(model: LlamaForCausalLM) -> None:
    rows = singles(8)
    whole, loss = gradient(model, [rows])
    for batches in ([rows[:3], rows[3:]], [[row] for row in rows], [rows[:1], rows[1:7], rows[7:]]):
        parts, part_loss = gradient(model, batches)
        assert part_loss == pytest.approx(loss, rel=1e-6)
        assert_same(parts, whole)
    assert_same(gradient(model, [rows], micro_batch=3)[0], whole)


def test_a_scaled_loss_gives_the_same_gradient(model: LlamaForCausalLM) -> None:
    assert_same(gradient(model, [singles(8)], scale=1024.0)[0], gradient(model, [singles(8)])[0])


def test_an_overflow_halves_the_scale_and_does_the_step_again(model: LlamaForCausalLM) -> None:
    stepper, _ = stepper_for(model, is_scaled=True)
    progress = Progress(micro_batch=8, loss_scale=2.0**135)
    found = stepper.gradient([singles(8)], progress, seed=1)
    assert torch.isfinite(found.norm) and 1 < progress.loss_scale < 2.0**135


def test_running_out_of_memory_halves_the_batch_and_keeps_the_gradient(model: LlamaForCausalLM) -> None:
    whole, _ = gradient(model, [singles(8)])
    stepper, told = stepper_for(model)
    too_many = 2

    def refuse(_module, inputs, options):  # fmt: skip
        if len(options["input_ids"]) > too_many:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    handle = model.model.register_forward_pre_hook(refuse, with_kwargs=True)
    progress = Progress(micro_batch=8)
    stepper.gradient([singles(8)], progress, seed=1)
    assert progress.micro_batch == 2 and len(told) == 2
    assert_same({name: p.grad for name, p in model.named_parameters() if p.grad is not None}, whole)
    too_many = 0
    with pytest.raises(HoneError, match="single row") as caught:
        stepper.gradient([singles(8)], progress, seed=1)
    assert caught.value.path == "data.max_length"
    handle.remove()


def test_other_errors_are_not_taken_for_a_lack_of_memory(model: LlamaForCausalLM) -> None:
    stepper, told = stepper_for(model)
    model.model.register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(RuntimeError("shapes do not fit")))
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        stepper.gradient([singles(8)], Progress(micro_batch=8), seed=1)
    assert not told


@pytest.mark.parametrize("kind", ["adamw", "sgd", "adamw_8bit"])
def test_a_step_that_is_not_finite_changes_neither_weights_nor_state(model: LlamaForCausalLM, kind: str) -> None:
    parameters = list(model.named_parameters())
    made = optimizer.make_optimizer(
        parameters, OptimSection.model_validate({"optimizer": kind, "learning_rate": 0.1, "weight_decay": 0.1})
    )
    for _, parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step_where(made, torch.tensor(True))
    weights = {name: p.detach().clone() for name, p in parameters}
    tensors, numbers = optimizer.state_of(made, parameters)
    for _, parameter in parameters:
        assert parameter.grad is not None
        parameter.grad[...] = torch.nan
    optimizer.step_where(made, torch.tensor(False))
    after, after_numbers = optimizer.state_of(made, parameters)
    assert after_numbers == numbers
    assert after.keys() == tensors.keys() and all(torch.equal(after[name], tensors[name]) for name in tensors)
    assert all(torch.equal(p, weights[name]) for name, p in parameters)


def test_clipping_shortens_only_long_gradients(model: LlamaForCausalLM) -> None:
    stepper, _ = stepper_for(model)
    found = stepper.gradient([singles(8)], Progress(micro_batch=8), seed=1)
    parameters = list(model.named_parameters())
    before = {name: p.grad.clone() for name, p in parameters if p.grad is not None}
    optimizer.clip(parameters, found.norm, limit=0)
    optimizer.clip(parameters, found.norm, limit=2 * found.norm.item())
    assert all(torch.equal(p.grad, before[name]) for name, p in parameters if p.grad is not None)
    optimizer.clip(parameters, found.norm, limit=found.norm.item() / 4)
    grads = [p.grad for _, p in parameters if p.grad is not None]
    assert torch.nn.utils.get_total_norm(grads).item() == pytest.approx(found.norm.item() / 4, rel=1e-4)


def test_schedules_rise_and_fall() -> None:
    rates = {
        kind: [
            optimizer.learning_rate(OptimSection(schedule=kind, learning_rate=1.0, warmup_ratio=0.2), s, 10)
            for s in range(10)
        ]
        for kind in ("cosine", "linear", "constant")
    }
    for found in rates.values():
        assert found[:3] == [0.5, 1.0, 1.0] and all(rate > 0 for rate in found)
    assert rates["constant"][-1] == 1.0
    assert rates["linear"] == sorted(rates["linear"][:2]) + sorted(rates["linear"][2:], reverse=True)
    assert rates["linear"][6] == pytest.approx(0.5) and rates["cosine"][6] == pytest.approx(0.5)
    assert rates["cosine"][-1] < rates["linear"][-1] < 0.2
