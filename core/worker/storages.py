"""Follows every tensor storage that torch operations make, from birth to death, in bytes."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter


@dataclass(slots=True)
class Birth:
    """A storage as it was made: when, by which operation, in which phase, for a tensor of which shape."""

    num_bytes: int
    phase: str
    operation: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    kind: str = ""
    """What it turned out to be ("weights", "gradients"); empty while nobody has said."""
    copied: int = -1
    """The number of the storage that it is a copy of in another number format; -1 for anything else."""


class StorageLog(TorchDispatchMode):
    """A dispatch mode that logs the birth and death of each storage made inside it; works on fake tensors too.

    `births[n]` describes storage n, `events` holds n for its birth and ~n for its death, in order, and `marks`
    pairs the number of events so far with the name of the phase that began there; `turns` likewise with what
    happened within a phase.
    """

    def __init__(self) -> None:
        super().__init__()
        self.births: list[Birth] = []
        self.events: list[int] = []
        self.marks: list[tuple[int, str]] = []
        self.turns: list[tuple[int, str]] = []
        self.phase = ""
        self._known: dict[int, int] = {}
        self._is_over = False

    def __exit__(self, *details: Any) -> None:
        """What dies from now on is no more a part of what is followed."""
        super().__exit__(*details)
        self._is_over = True

    def begin(self, phase: str) -> None:
        """What is made from now on belongs to this phase."""
        self.phase = phase
        self.marks.append((len(self.events), phase))

    def turn(self, name: str) -> None:
        """Something happened within the phase."""
        self.turns.append((len(self.events), name))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in tree_iter(result):
            if isinstance(value, Tensor):
                number = self._see(value, str(func))
                if func is torch.ops.aten._to_copy.default and number is not None:
                    source = self._known.get(_key(args[0]), -1)
                    self.births[number].copied = source if source != number else -1
        return result

    def adopt(self, tensors: Iterable[Tensor], kind: str) -> None:
        """Count tensors that stand already, or say what kind known ones are."""
        for tensor in tensors:
            number = self._see(tensor, kind)
            if number is not None:
                self.births[number].kind = kind

    def _see(self, tensor: Tensor, operation: str) -> int | None:
        try:
            storage = tensor.untyped_storage()
        except NotImplementedError:  # a tensor subclass without storage of its own; what it wraps is seen itself
            return None
        key = storage._cdata
        if (number := self._known.get(key)) is not None:
            return number
        number = len(self.births)
        self.births.append(Birth(storage.nbytes(), self.phase, operation, tuple(tensor.shape), tensor.dtype))
        self.events.append(number)
        self._known[key] = number
        weakref.finalize(storage, self._forget, key, number)
        return number

    def _forget(self, key: int, number: int) -> None:
        del self._known[key]
        if not self._is_over:
            self.events.append(~number)


def _key(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def rounded(num_bytes: int, block: int = 512) -> int:
    """What the CUDA allocator hands out for a request: whole blocks of 512 bytes."""
    return -(-num_bytes // block) * block
