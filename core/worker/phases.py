"""Marks the phases of a training step: which layer goes forward or backward, and when the head has its turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

EMBED, HEAD = "embed", "head"
ATTENDED, ATTENTION_BACK, RETURNED = "attended", "attention back", "returned"
"""What happens within phases: a layer's attention is over, its backward pass begins, the model gives its hidden
states to the head."""


def decoder_layers(model: PreTrainedModel) -> list[nn.Module]:
    """The layers of a decoder, in order; empty when they cannot be found."""
    count = getattr(model.config.get_text_config(), "num_hidden_layers", 0)
    for module in model.modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return list(module)
    return []


class Phases:
    """Calls `begin` with "embed", "forward 0" … "forward N", "head", "backward N" … "backward 0" as a step runs.

    A layer's forward that is repeated in the backward pass, for recomputation, belongs to its backward phase.
    Calls `turn` with what happens within these.
    """

    def __init__(
        self, model: PreTrainedModel, begin: Callable[[str], None], turn: Callable[[str], None] = lambda name: None
    ) -> None:
        self._begin, self._turn = begin, turn
        self._is_backward = False
        backbone = getattr(model, model.base_model_prefix, model)
        backbone.register_forward_pre_hook(self._starting)
        backbone.register_forward_hook(lambda *of_call: turn(RETURNED))
        self.layers = decoder_layers(model)
        for number, layer in enumerate(self.layers):
            layer.register_forward_pre_hook(self._entering(number), with_kwargs=True)
            layer.register_forward_hook(self._leaving(number))
            for child in layer.children():
                if type(child).__name__.endswith("Attention"):
                    child.register_forward_hook(self._attended)

    def _starting(self, module: nn.Module, args: Any) -> None:
        self._is_backward = False
        self._begin(EMBED)

    def _entering(self, number: int) -> Callable[..., None]:
        def enter(module: nn.Module, args: Any, kwargs: Any) -> None:
            if not self._is_backward:
                self._begin(f"forward {number}")

        return enter

    def _leaving(self, number: int) -> Callable[..., None]:
        def leave(module: nn.Module, args: Any, output: Any) -> None:
            if self._is_backward:
                return
            if number == len(self.layers) - 1:
                self._begin(HEAD)
            hidden = output[0] if isinstance(output, tuple) else output
            if isinstance(hidden, Tensor) and hidden.requires_grad:
                hidden.register_hook(self._returning(number))

        return leave

    def _attended(self, module: nn.Module, args: Any, output: Any) -> None:
        self._turn(ATTENDED)
        result = output[0] if isinstance(output, tuple) else output
        if isinstance(result, Tensor) and result.requires_grad:
            result.register_hook(lambda gradient: self._turn(ATTENTION_BACK))

    def _returning(self, number: int) -> Callable[[Tensor], None]:
        def turn(gradient: Tensor) -> None:
            self._is_backward = True
            self._begin(f"backward {number}")

        return turn
