"""Optimizer states in unified memory: what the driver can move to RAM while the GPU is full."""

from __future__ import annotations

from dataclasses import dataclass

from core.figures import size
from core.memory.stack import Stack
from core.memory.training import targeted
from core.memory.weights import expert_tensors
from core.models.facts import ModelFacts
from core.sections import PAGED

SMALLEST = 100_000
"""bitsandbytes 0.50 pages the two states of a tensor from so many elements on (Optimizer8bit.get_state_buffer);
its constants and code books always lie on the GPU."""


@dataclass(frozen=True)
class Movable:
    """The states that may leave the GPU, in bytes."""

    num_bytes: int = 0
    largest: int = 0
    """Both states of one tensor: what an optimizer step needs on the GPU at once."""

    @property
    def sentence(self) -> str:
        return (
            f"{size(self.num_bytes)} of the optimizer's states will wait in RAM and come to the GPU for each "
            "step, which takes longer."
        )


def movable(facts: ModelFacts, stack: Stack) -> Movable:
    """What a paged optimizer could move out; nothing for any other."""
    if stack.optimizer not in PAGED:
        return Movable()
    width = 8 if stack.optimizer == "paged_adamw" else 2
    paged = [(width * elements, count) for elements, count in _tensors(facts, stack) if elements >= SMALLEST]
    return Movable(
        sum(num_bytes * count for num_bytes, count in paged), max((num_bytes for num_bytes, _ in paged), default=0)
    )


def _tensors(facts: ModelFacts, stack: Stack) -> list[tuple[int, int]]:
    """The trained matrices: elements of each kind, and how many there are of it."""
    if not stack.is_full:
        layers = targeted(facts, stack)
        return [(stack.rank * width, layer.count) for layer in layers for width in (layer.num_in, layer.num_out)]
    found = [(linear.num_weights, linear.count) for linear in facts.linears]
    found += [(tensor.num_weights * tensor.num_experts, tensor.count) for tensor in expert_tensors(facts)]
    return [*found, (facts.num_embedding, 1), (facts.num_head, 1)]
