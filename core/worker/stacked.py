"""Several LoRA adapters in one forward pass, one per row of the batch: two batched matrix products a layer.

PEFT's own mixed batches loop over the adapters in every layer and gather rows for each; with one row per adapter
the same sums are one `bmm` and one `baddbmm`, whatever the number of adapters (Chen et al. 2023, Punica).
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

BASE = ""
"""The name of no adapter at all."""


class StackedLora:
    """While entered, row n of every batch is answered by adapter `names[n]`; "" is the base.

    `keep` drops rows as they finish. Leaving restores the model as it was.
    """

    def __init__(self, model: PeftModel, names: Sequence[str]) -> None:
        self._model = model
        self._layers = [_StackedLayer(layer, names) for layer in _lora_layers(model)]
        self._off = model.disable_adapter()

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows of the present batch only."""
        for layer in self._layers:
            layer.keep(rows)

    def __enter__(self) -> Self:
        # Layers that PEFT copied whole (modules_to_save) must fall back to the base's too.
        self._off.__enter__()
        for layer in self._layers:
            layer.install()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for layer in self._layers:
            layer.remove()
        self._off.__exit__(kind, error, trace)


def can_stack(model: PeftModel, name: str) -> bool:
    """Whether an adapter is plain LoRA on linear layers that keep rows apart; the base always can."""
    config = model.peft_config.get(name)
    if name != BASE and (config is None or getattr(config, "modules_to_save", None)):
        return False
    if any(getattr(model.config, field, None) for field in ("num_experts", "num_local_experts")):
        return False  # experts see tokens of all rows mixed
    layers = [layer for layer in _lora_layers(model) if name in layer.lora_A or name in layer.lora_embedding_A]
    return all(
        isinstance(layer.get_base_layer(), nn.Linear | Conv1D)
        and name not in layer.lora_variant
        and not layer.lora_bias.get(name, False)
        for layer in layers
    )


def _lora_layers(model: nn.Module) -> list[LoraLayer]:
    return [module for module in model.modules() if isinstance(module, LoraLayer)]


class _StackedLayer:
    """One layer's adapters: `down` [rows, inputs, rank] and `up` [rows, rank, outputs], rank padded."""

    def __init__(self, layer: Any, names: Sequence[str]) -> None:
        self._layer = layer
        self._base = layer.base_layer
        present = [name for name in names if name in layer.lora_A]
        self._stack: tuple[Tensor, Tensor] | None = None
        if not present:
            return
        rank = max(layer.lora_A[name].weight.shape[0] for name in present)
        first_down, first_up = layer.lora_A[present[0]].weight, layer.lora_B[present[0]].weight
        downs = first_down.new_zeros(len(names), first_down.shape[1], rank)
        ups = first_up.new_zeros(len(names), rank, first_up.shape[0])
        for row, name in enumerate(names):
            if name in layer.lora_A:
                down, up = layer.lora_A[name].weight, layer.lora_B[name].weight
                downs[row, :, : down.shape[0]] = down.detach().T
                ups[row, : up.shape[1]] = up.detach().T * layer.scaling[name]
        self._stack = downs, ups

    def install(self) -> None:
        self._layer.forward = self._forward

    def remove(self) -> None:
        del self._layer.forward

    def keep(self, rows: Sequence[int]) -> None:
        if self._stack is not None:
            index = torch.tensor(rows, device=self._stack[0].device)
            self._stack = self._stack[0].index_select(0, index), self._stack[1].index_select(0, index)

    def _forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        result = self._base(x, *args, **kwargs)
        if self._stack is None:
            return result
        downs, ups = self._stack
        narrow = torch.bmm(x.to(downs.dtype), downs)
        if result.dtype == ups.dtype:
            return torch.baddbmm(result, narrow, ups)
        return result + torch.bmm(narrow, ups).to(result.dtype)
