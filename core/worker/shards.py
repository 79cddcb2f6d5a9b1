"""The frozen weights of a model's layers, split between processes: each keeps its part of every layer.

A layer's bytes, whatever their format, are gathered just before they are needed, into one buffer for all layers.
Every layer's tensors lie at fixed places of that buffer, so what autograd or bitsandbytes noted of them in the
forward pass is right again once the layer has been gathered for the backward pass. Adapters stay whole.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from core.errors import HoneError
from core.worker.phases import decoder_layers
from core.worker.quantized import constants_of

ALIGNMENT = 256
"""Bytes at whose multiples tensors begin, as in memory that the GPU's allocator hands out."""


class Gatherer(Protocol):
    """The processes between which layers are split, as one of them sees them."""

    @property
    def rank(self) -> int: ...

    @property
    def size(self) -> int: ...

    def gather(self, whole: Tensor, part: Tensor) -> None:
        """Put the parts of all processes, which are equally long, side by side into `whole`."""
        ...


class Shards:
    """One process's parts. All processes must gather the same layers in the same order: a pass is all layers
    forward and, when it trains, back to the lowest that a gradient reaches."""

    def __init__(self, group: Gatherer, device: torch.device) -> None:
        self._group, self._device = group, device
        self.buffer = torch.empty(0, dtype=torch.uint8, device=device)
        """The layer that is gathered now."""
        self.parts: dict[int, Tensor] = {}
        """This process's bytes of each layer."""
        self._layers: list[nn.Module] = []
        self._whole: set[str] = set()
        self._numbers: dict[int, int] = {}
        self._slots: dict[int, list[tuple[Tensor, int]]] = {}
        self._waiting: deque[int] = deque()
        self._present = -1
        self._lowest = 0
        self._announce: Callable[[], object] | None = None

    # Splitting

    def look_at(self, model: PreTrainedModel, name: str) -> None:
        """A parameter was loaded: split its layer if that is complete now."""
        if not self._layers:
            self._find_layers(model)
        number = self._numbers.get(id(model.get_submodule(name.rpartition(".")[0])), -1)
        if number < 0 or number in self.parts:
            return
        if not any(parameter.is_meta for parameter in self._layers[number].parameters()):
            self._split(number)

    def split_rest(self, model: PreTrainedModel) -> None:
        """The model is loaded: split the layers that are whole still."""
        if not self._layers:
            self._find_layers(model)
        for number in range(len(self._layers)):
            if number not in self.parts:
                self._split(number)
        self._slots.clear()  # the buffer has its size
        place = self.buffer.untyped_storage()._cdata
        for parameter in model.parameters():
            if parameter.device.type == "cpu" and parameter.untyped_storage()._cdata != place:
                parameter.data = parameter.data.clone()  # as part of a mapped file it would hold all of that

    def _find_layers(self, model: PreTrainedModel) -> None:
        self._layers = decoder_layers(model)
        if not self._layers:
            raise HoneError(
                f"Hone does not find the layers of the family {model.config.model_type}, so they cannot be split; "
                "set runtime.sharding to none.",
                path="runtime.sharding",
            )
        tied = dict(getattr(model, "all_tied_weights_keys", None) or {})
        for number, layer in enumerate(self._layers):
            for module in layer.modules():
                # What two layers share would be overwritten with one of them; -1 is no layer.
                self._numbers[id(module)] = -1 if id(module) in self._numbers else number
        prefix = next(name for name, module in model.named_modules() if module is self._layers[0])[:-1]
        self._whole = {name.removeprefix(prefix) for name in (*tied, *tied.values())}

    def _split(self, number: int) -> None:
        slots, length = self._laid_out(number)
        size = -(-length // (self._group.size * ALIGNMENT)) * ALIGNMENT
        part = torch.empty(size, dtype=torch.uint8, device=self._device)
        first = size * self._group.rank
        for tensor, start in slots:
            content = tensor.data.reshape(-1).view(torch.uint8)
            low, high = max(start, first), min(start + len(content), first + size)
            if low < high:
                part[low - first : high - first] = content[low - start : high - start]
        self.parts[number], self._slots[number] = part, slots
        if size * self._group.size > len(self.buffer):
            self.buffer = torch.empty(size * self._group.size, dtype=torch.uint8, device=self._device)
            for earlier in self._slots.values():
                self._point(earlier)
        else:
            self._point(slots)

    def _laid_out(self, number: int) -> tuple[list[tuple[Tensor, int]], int]:
        """The tensors of a layer that are split and where each begins, and the length of them all. Tensors that
        share their memory go to the same place."""
        slots: list[tuple[Tensor, int]] = []
        starts: dict[Any, int] = {}
        length = 0
        for tensor in _with_constants(self._matrices(number)):
            key = (tensor.untyped_storage()._cdata, tensor.storage_offset() * tensor.itemsize)
            if key not in starts:
                starts[key] = length
                length += -(-tensor.nbytes // ALIGNMENT) * ALIGNMENT
            slots.append((tensor, starts[key]))
        return slots, length

    def _matrices(self, number: int) -> list[nn.Parameter]:
        """The parameters of a layer that are split: the quantised ones where there are any, else all matrices and
        stacks of them. Vectors are too small to be worth it, and what a quantised layer holds beside its packed
        weights may change its format after loading."""
        found = [
            parameter
            for path, module in self._layers[number].named_modules()
            if self._numbers[id(module)] == number and "lora_" not in path
            for name, parameter in module._parameters.items()
            if parameter is not None and parameter.ndim > 1 and parameter.is_contiguous()
            if f"{number}.{path}.{name}" not in self._whole
        ]
        return [parameter for parameter in found if any(True for _ in constants_of(parameter))] or found

    def _point(self, slots: list[tuple[Tensor, int]]) -> None:
        """Let tensors be those places of the buffer where they come to lie."""
        for tensor, start in slots:
            place = self.buffer[start : start + tensor.nbytes]
            tensor.data = place.view(tensor.dtype).view(tensor.shape)

    # Gathering

    def watch(self, *, is_recomputing: bool) -> None:
        """Gather each layer when it is called, and again when the gradient reaches its output. To be called once
        what is trained is in place. Where layers recompute, PEFT has the gradient go back to the embedding,
        whatever is trained in the first of them."""
        trained = [any(p.requires_grad for p in layer.parameters()) for layer in self._layers]
        self._lowest = 0 if is_recomputing else trained.index(True) if True in trained else len(trained)
        for number, layer in enumerate(self._layers):
            layer.register_forward_pre_hook(self._entering(number))
            layer.register_forward_hook(self._leaving(number))

    def begin(self) -> None:
        """A pass that trains begins; all processes take part in it."""
        self.finish()
        last = len(self._layers) - 1
        self._begin([*range(last + 1), *reversed(range(self._lowest, last))])

    def serve(self) -> None:
        """Take part in a forward pass of the process that leads."""
        self._begin(range(len(self._layers)))
        self.finish()

    def finish(self) -> None:
        """Take part in what is left of a pass, for the others, when this process has nothing to compute in it, or
        ran out of memory in its midst."""
        while self._waiting:
            self._next()

    @contextmanager
    def leading(self, announce: Callable[[], object]) -> Iterator[None]:
        """Inside it this process alone computes; each forward pass is announced, so that the others serve it."""
        self._announce = announce
        try:
            yield
        finally:
            self.finish()
            self._announce = None

    def _begin(self, numbers: Iterable[int]) -> None:
        self._waiting, self._present = deque(numbers), -1

    def _need(self, number: int) -> None:
        if number == self._present:
            return
        if not self._waiting:  # nobody said that a pass begins
            if self._announce:
                self._announce()
            if torch.is_grad_enabled():
                self.begin()
            else:
                self._begin(range(len(self._layers)))
        while self._present != number:
            if not self._waiting:
                raise RuntimeError(f"Layer {number} was needed out of turn, so it cannot be gathered.")
            self._next()

    def _entering(self, number: int) -> Callable[..., None]:
        return lambda module, args: self._need(number)

    def _leaving(self, number: int) -> Callable[..., None]:
        def leave(module: nn.Module, args: Any, output: Any) -> None:
            hidden = output[0] if isinstance(output, tuple) else output
            if isinstance(hidden, Tensor) and hidden.requires_grad:
                hidden.register_hook(lambda gradient: self._need(number))

        return leave

    def _next(self) -> None:
        number = self._waiting.popleft()
        part = self.parts[number]
        if len(part):  # a layer may share all it has with others
            with torch.no_grad():
                self._group.gather(self.buffer[: len(part) * self._group.size], part)
        self._present = number


def _with_constants(parameters: list[nn.Parameter]) -> Iterator[Tensor]:
    for parameter in parameters:
        yield parameter
        yield from constants_of(parameter)
        if isinstance(codes := getattr(parameter, "CB", None), Tensor):
            yield codes  # an 8-bit one's own numbers under a second name
