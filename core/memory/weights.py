"""The base model's weights: what is quantised, what stays, and the constants that quantisation keeps."""

from __future__ import annotations

from dataclasses import dataclass

from core.memory.stack import Stack
from core.models.facts import ModelFacts

BLOCK = 64  # weights that share one constant in bitsandbytes' 4-bit formats
NESTED_BLOCK = 256  # constants that share one constant of their own under double quantisation
KEPT_BLOCK = 32 << 20
DTYPE_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
CODEBOOKS = 16 * 4
NESTED_CODEBOOKS = 256 * 4 + 4


@dataclass(frozen=True)
class Weights:
    """Resident bytes of the base, and its largest quantised layer."""

    num_bytes: int
    constants_bytes: int
    largest_linear: int
    """Parameters of the largest quantised layer; 0 when nothing is quantised."""


def weights(facts: ModelFacts, stack: Stack) -> Weights:
    """Bytes of the base model as it stands in memory.

    bitsandbytes quantises exactly the linear layers: embedding, head, norms, biases and the three-dimensional
    tensors of experts keep their format. `upcast` holds what is kept in 32 bits.
    """
    is_quantised = stack.quantization != "none"
    quantised = [linear for linear in facts.linears if is_quantised and linear.is_quantisable]
    num_quantised = sum(linear.num_weights * linear.count for linear in quantised)
    kept = (facts.num_parameters - num_quantised) * (4 if stack.upcast else stack.weight_bytes)
    packed, constants = 0, 0
    if stack.quantization == "int8":
        packed = num_quantised
        constants = sum(4 * linear.num_out * linear.count for linear in quantised)
    elif is_quantised:
        packed = sum((linear.num_weights + 1) // 2 * linear.count for linear in quantised)
        constants = sum(four_bit_constants(linear.num_weights, stack) * linear.count for linear in quantised)
    largest = max((linear.num_weights for linear in quantised), default=0)
    return Weights(kept + packed, constants, largest)


def load_bytes(facts: ModelFacts, stack: Stack) -> int:
    """What loading needs beside the finished model: a tensor before it is quantised, and on the CPU the files.

    On the CPU the weights' files are mapped until the last tensor is converted, and blocks of up to 32 MiB that
    are freed while quantising stay with the process (glibc): both measured on a model of 100 M parameters.
    """
    quantised = [linear for linear in facts.linears if stack.quantization != "none" and linear.is_quantisable]
    sizes = [(linear.num_weights * stack.compute_bytes, linear.count) for linear in quantised]
    if stack.device != "cpu":
        return max((size for size, _ in sizes), default=0)
    is_converted = bool(quantised) or DTYPE_BYTES.get(facts.dtype_on_disk, 2) != stack.weight_bytes
    mapped = (facts.bytes_on_disk or facts.num_parameters * 2) if is_converted else 0
    return mapped + sum(size * count for size, count in sizes if size <= KEPT_BLOCK)


def four_bit_constants(num_weights: int, stack: Stack) -> int:
    """Bytes beside one packed 4-bit tensor: block maxima, their own under double quantisation, and codebooks."""
    blocks = -(-num_weights // BLOCK)
    if stack.double_quantization:
        return blocks + 4 * -(-blocks // NESTED_BLOCK) + CODEBOOKS + NESTED_CODEBOOKS
    return 4 * blocks + CODEBOOKS
