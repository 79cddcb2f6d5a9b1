"""The base model's weights: what is quantised, what stays, and the constants that quantisation keeps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from core.memory.stack import Stack
from core.models.facts import ModelFacts
from core.models.families import FAMILIES
from core.models.layers import Linear

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

    What is quantised are the linear layers and the experts of a mixture; embedding, head, norms, biases and
    routers keep their format. `upcast` holds what is kept in 32 bits.
    """
    experts = expert_tensors(facts) if stack.quantization != "none" and stack.loop == "hone" else []
    is_quantised = stack.quantization != "none"
    quantised = quantised_linears(facts, stack)
    num_quantised = sum(linear.num_weights * linear.count for linear in quantised)
    num_quantised += sum(tensor.num_weights * tensor.num_experts * tensor.count for tensor in experts)
    kept = (facts.num_parameters - num_quantised) * (4 if stack.upcast else stack.weight_bytes)
    packed, constants = 0, 0
    if stack.quantization == "int8":
        packed = num_quantised
        constants = sum(4 * linear.num_out * linear.count for linear in quantised)
        constants += sum(4 * tensor.num_rows * tensor.num_experts * tensor.count for tensor in experts)
    elif is_quantised:
        packed = sum((linear.num_weights + 1) // 2 * linear.count for linear in quantised)
        packed += sum((tensor.num_weights + 1) // 2 * tensor.num_experts * tensor.count for tensor in experts)
        constants = sum(four_bit_constants(linear.num_weights, stack) * linear.count for linear in quantised)
        constants += sum(expert_constants(tensor, stack) * tensor.count for tensor in experts)
    largest = max((linear.num_weights for linear in quantised), default=0)
    return Weights(kept + packed, constants, largest)


def quantised_linears(facts: ModelFacts, stack: Stack) -> list[Linear]:
    """The linear layers that are quantised.

    transformers leaves the module of a model's last parameter as it is. That is the head or the norm before it,
    but in OLMo, where no norm has weights, with a tied head: there it is the last layer's last matrix.
    """
    if stack.quantization == "none":
        return []
    found = [linear for linear in facts.linears if linear.is_quantisable]
    if found and facts.tied and facts.is_modelled and not FAMILIES[facts.family].norm_weights:
        found[-1] = replace(found[-1], count=found[-1].count - 1)
    return found


def layer_pieces(facts: ModelFacts, stack: Stack) -> Iterator[tuple[int, int, int]]:
    """Of each kind of matrix in the layers, experts included: its bytes, those of its constants, and how many
    there are. Over a quantised base only what is quantised."""
    is_quantised = stack.quantization != "none"
    for linear in facts.linears:
        if linear.is_quantisable or not is_quantised:
            num = linear.num_weights
            constants = 4 * linear.num_out if stack.quantization == "int8" else four_bit_constants(num, stack)
            yield _stored(num, stack), constants * is_quantised, linear.count
    for tensor in expert_tensors(facts):
        rows = 4 * tensor.num_rows * tensor.num_experts
        constants = rows if stack.quantization == "int8" else expert_constants(tensor, stack)
        yield _stored(tensor.num_weights, stack) * tensor.num_experts, constants * is_quantised, tensor.count


def _stored(num_weights: int, stack: Stack) -> int:
    """Bytes of a matrix without its constants."""
    if stack.quantization == "none":
        return num_weights * stack.weight_bytes
    return num_weights if stack.quantization == "int8" else (num_weights + 1) // 2


def load_bytes(facts: ModelFacts, stack: Stack) -> int:
    """What loading needs beside the finished model: a tensor before it is quantised, and on the CPU the files.

    On the CPU the weights' files are mapped until the last tensor is converted, and blocks of up to 32 MiB that
    are freed while quantising stay with the process (glibc): both measured on a model of 100 M parameters.
    """
    quantised = quantised_linears(facts, stack)
    sizes = [(linear.num_weights * stack.compute_bytes, linear.count) for linear in quantised]
    if quantised and stack.loop == "hone":
        sizes += [
            (tensor.num_weights * tensor.num_experts * stack.compute_bytes, tensor.count)
            for tensor in expert_tensors(facts)
        ]
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


@dataclass(frozen=True)
class ExpertTensor:
    """A three-dimensional parameter with one matrix for each expert, which stands `count` times in the model."""

    num_experts: int
    num_rows: int
    """Rows of the matrix of one expert, as it is stored."""
    num_weights: int
    """Weights of one expert."""
    count: int


def expert_tensors(facts: ModelFacts) -> list[ExpertTensor]:
    """The parameters that hold experts: gate with up, and down. gpt-oss stores them the other way around."""
    experts, hidden, mlp = facts.num_experts, facts.hidden, facts.mlp
    biases = 2 * mlp + hidden if facts.family == "gpt_oss" else 0
    a_layer = experts * (3 * hidden * mlp + biases)
    count = facts.num_expert // a_layer if a_layer else 0
    if not count:
        return []
    rows = (hidden, mlp) if facts.family == "gpt_oss" else (2 * mlp, hidden)
    return [
        ExpertTensor(experts, num_rows, num_weights, count)
        for num_rows, num_weights in zip(rows, (2 * mlp * hidden, mlp * hidden), strict=True)
    ]


def expert_constants(tensor: ExpertTensor, stack: Stack) -> int:
    """Bytes beside one packed 4-bit parameter of experts, each of which has block maxima of its own."""
    blocks = -(-tensor.num_weights // BLOCK)
    if stack.double_quantization:
        nested = blocks + 4 * -(-blocks // NESTED_BLOCK) + 4
        return tensor.num_experts * nested + CODEBOOKS + NESTED_CODEBOOKS - 4
    return tensor.num_experts * 4 * blocks + CODEBOOKS
