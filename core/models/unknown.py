"""The layers of a family that is not known by name, read off its safetensors headers."""

from __future__ import annotations

import re
from collections import Counter

from core.errors import HoneError
from core.models.headers import Tensor
from core.models.layers import Layers, Linear, Shape

LAYER = re.compile(r"\.(?:layers|h|blocks|layer)\.(\d+)\.")
NOT_TEXT = ("vision", "visual", "audio", "image", "multi_modal", "mm_", "mtp.")


def layers_from_headers(shape: Shape, tensors: tuple[Tensor, ...], name: str, family: str) -> Layers:
    """Two-dimensional weights under a numbered layer are linear layers, three-dimensional ones are experts, and
    everything else but the embedding and the head is rest. Raises HoneError when there are no headers to read."""
    if not tensors:
        kind = family[:40] or "that config.json does not name"
        raise HoneError(f"{name} is of the kind {kind}, which Hone can only measure from its weight files; "
                        "download it first.", path="model.source")  # fmt: skip
    linears: Counter[tuple[str, int, int]] = Counter()
    num_expert = num_rest = 0
    for tensor in tensors:
        is_layer = LAYER.search(f".{tensor.name}") is not None
        is_text = not any(part in tensor.name for part in NOT_TEXT)
        if is_layer and is_text and len(tensor.shape) == 2 and tensor.name.endswith("weight"):
            num_out, num_in = tensor.shape
            linears[tensor.name.removesuffix(".weight").rpartition(".")[2], num_in, num_out] += 1
        elif is_layer and is_text and len(tensor.shape) == 3 and min(tensor.shape) > 1:
            num_expert += tensor.num_elements
        elif tensor.shape != (shape.vocab, shape.hidden):
            num_rest += tensor.num_elements
    found = tuple(Linear(*key, count) for key, count in sorted(linears.items()))
    return Layers(found, num_expert, num_rest)
