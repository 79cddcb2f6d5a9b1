"""What training adds beside the base: trained parameters, their gradients and the optimizer's states."""

from __future__ import annotations

from core.memory.stack import Stack
from core.memory.weights import expert_tensors
from core.models.facts import ModelFacts
from core.models.layers import Linear

SMALL_TENSOR = 4096
"""bitsandbytes keeps the state of smaller tensors in 32 bits."""
BYTES_8BIT = 2 * (1 + 4 / 256)
"""Two states of one byte, each with a 32-bit constant per 256."""


def is_target(linear: Linear, targets: tuple[str, ...]) -> bool:
    return ("all-linear" in targets and linear.is_adaptable) or linear.name in targets


def targeted(facts: ModelFacts, stack: Stack) -> list[Linear]:
    """The linear layers that get an adapter."""
    return [linear for linear in facts.linears if is_target(linear, stack.targets)]


def num_trainable(facts: ModelFacts, stack: Stack) -> int:
    """Trained parameters: all of them, or rank × (in + out) for each targeted layer."""
    if stack.is_full:
        return facts.num_parameters
    return sum(stack.rank * (layer.num_in + layer.num_out) * layer.count for layer in targeted(facts, stack))


def step_bytes(facts: ModelFacts, stack: Stack) -> int:
    """What an optimizer step needs while it is taken. bitsandbytes' CPU kernel unpacks the states of a tensor and
    works on copies in 32 bits: five of them at once, six for a weight in 16 bits. Others work in place."""
    if stack.device != "cpu" or stack.optimizer != "adamw_8bit":
        return 0
    if stack.is_full:
        sizes = [facts.num_embedding, facts.num_head, *(linear.num_weights for linear in facts.linears)]
        sizes += [tensor.num_weights * tensor.num_experts for tensor in expert_tensors(facts)]
    else:
        sizes = [stack.rank * max(layer.num_in, layer.num_out) for layer in targeted(facts, stack)]
    return (5 if stack.adapter_bytes == 4 else 6) * 4 * max(sizes, default=0)


def optimizer_bytes(facts: ModelFacts, stack: Stack) -> int:
    """States of the optimizer: torch's AdamW keeps two in the parameters' own format, bitsandbytes' two of 32 bits
    or two bytes (four-byte pairs for small tensors), plain SGD none. Paged ones are as large, wherever they lie.
    """
    count, width = num_trainable(facts, stack), stack.adapter_bytes
    if stack.optimizer == "sgd":
        return 0
    if stack.optimizer == "adamw":
        return 2 * width * count
    if stack.optimizer == "paged_adamw":
        return 8 * count
    in_32_bit = facts.num_rest if stack.is_full else 0
    if stack.is_full and stack.loop != "hone":
        in_32_bit += facts.num_embedding  # transformers' Trainer has embeddings keep 32 bits
    if not stack.is_full:
        for layer in targeted(facts, stack):
            sizes = (stack.rank * layer.num_in, stack.rank * layer.num_out)
            in_32_bit += sum(size for size in sizes if size < SMALL_TENSOR) * layer.count
    return round((count - in_32_bit) * BYTES_8BIT) + 8 * in_32_bit
