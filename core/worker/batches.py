"""Which examples each optimizer step sees: a pure function of (seed, epoch, position). And batches as tensors."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.worker.examples import Examples

Numbers = tuple[int, ...]
"""Numbers of the examples in one sequence: one, or several when packed."""
SORTED_STEPS = 16  # examples of this many steps are sorted by length together, then dealt into batches


class Order:
    """Which examples each optimizer step sees, as batches of sequences of example numbers.

    Without packing a sequence is one example, and the batches of a step hold examples of like length. With
    packing a sequence holds as many examples as fit into `max_length`.
    """

    def __init__(
        self,
        numbers: NDArray[np.int64],
        lengths: NDArray[np.int64],
        *,
        batch_size: int,
        accumulation: int,
        seed: int,
        max_length: int = 0,
        packing: bool = False,
    ) -> None:
        self._numbers = numbers
        self._lengths = lengths
        self._batch_size = batch_size
        self._accumulation = accumulation
        self._seed = seed
        self._capacity = max_length if packing else 0
        self.num_sequences = len(pack(lengths[numbers], max_length)) if packing else len(numbers)
        num_batches = -(-self.num_sequences // batch_size)
        self.steps_per_epoch = -(-num_batches // accumulation)
        self._epoch = lru_cache(maxsize=1)(self._deal)

    def batches(self, step: int) -> list[list[Numbers]]:
        """The batches of optimizer step `step`, counted from 0 over all epochs."""
        epoch, position = divmod(step, self.steps_per_epoch)
        dealt = self._epoch(epoch)
        return dealt[position * self._accumulation : (position + 1) * self._accumulation]

    def padding_share(self) -> float:
        """The part of the first epoch's positions that hold no token."""
        places = tokens = 0
        for batch in self._epoch(0):
            sizes = [sum(int(self._lengths[number]) for number in sequence) for sequence in batch]
            places += len(sizes) * max(sizes)
            tokens += sum(sizes)
        return 1 - tokens / max(1, places)

    def _deal(self, epoch: int) -> list[list[Numbers]]:
        """All batches of an epoch, in order."""
        random = np.random.default_rng([self._seed, epoch])
        shuffled = random.permutation(self._numbers)
        if self._capacity:
            packed = pack(self._lengths[shuffled], self._capacity)
            sequences = [tuple(int(shuffled[i]) for i in packed[j]) for j in random.permutation(len(packed))]
            return [sequences[i : i + self._batch_size] for i in range(0, len(sequences), self._batch_size)]
        dealt: list[list[Numbers]] = []
        window = self._batch_size * self._accumulation * SORTED_STEPS
        for start in range(0, len(shuffled), window):
            part = shuffled[start : start + window]
            part = part[np.argsort(self._lengths[part], kind="stable")]
            batches = [
                [(int(number),) for number in part[i : i + self._batch_size]]
                for i in range(0, len(part), self._batch_size)
            ]
            dealt += [batches[i] for i in random.permutation(len(batches))]
        return dealt


def pack(lengths: NDArray[np.int64] | Sequence[int], capacity: int) -> list[list[int]]:
    """Indices of `lengths` in groups whose sums stay within `capacity`, by best-fit decreasing.

    The number of groups does not depend on the order of equal lengths.
    """
    groups: list[list[int]] = []
    open_groups: dict[int, list[int]] = {}
    rooms: list[int] = []  # the sorted keys of open_groups
    for index in np.argsort(-np.asarray(lengths), kind="stable").tolist():
        length = int(lengths[index])
        at = bisect_left(rooms, length)
        if at == len(rooms):
            group, room = len(groups), capacity
            groups.append([])
        else:
            room = rooms[at]
            group = open_groups[room].pop()
            if not open_groups[room]:
                del open_groups[room], rooms[at]
        groups[group].append(index)
        left = room - length
        if left not in open_groups:
            open_groups[left] = []
            insort(rooms, left)
        open_groups[left].append(group)
    return groups


def split_batches(batches: list[list[Numbers]], size: int) -> list[list[Numbers]]:
    """The same sequences in batches of at most `size`."""
    return [batch[i : i + size] for batch in batches for i in range(0, len(batch), size)]


@dataclass(frozen=True)
class Batch:
    """A batch as tensors. Padding stands on the right, where causal attention never looks, so there is no mask.

    `positions` is set for packed sequences only: it starts again at 0 for each example, which is how the models
    tell them apart. `places` are the trained positions in the flattened [batch × length] hidden states, and
    `targets` the tokens to be predicted there.
    """

    tokens: Tensor  # [batch, length] int64
    positions: Tensor | None  # [batch, length] int64
    places: Tensor  # [trained] int64
    targets: Tensor  # [trained] int64
    num_tokens: int
    """Tokens that are not padding."""


def collate(batch: list[Numbers], examples: Examples, device: torch.device, padding: int = 0) -> Batch:
    """The sequences of a batch as tensors on the device."""
    parts = [[examples[number] for number in sequence] for sequence in batch]
    sizes = [sum(len(tokens) for tokens, _ in sequence) for sequence in parts]
    length = max(sizes)
    tokens = np.full((len(batch), length), padding, dtype=np.int64)
    trained = np.zeros((len(batch), length), dtype=np.bool_)
    is_packed = any(len(sequence) > 1 for sequence in batch)
    positions = np.zeros((len(batch), length), dtype=np.int64) if is_packed else None
    for row, sequence in enumerate(parts):
        start = 0
        for ids, mask in sequence:
            end = start + len(ids)
            tokens[row, start:end] = ids
            trained[row, start:end] = mask
            if positions is not None:
                positions[row, start:end] = np.arange(len(ids))
            start = end
        if positions is not None:
            positions[row, start:] = np.arange(length - start)
    predicted = np.flatnonzero(trained)
    return Batch(
        tokens=_to(tokens, device),
        positions=None if positions is None else _to(positions, device),
        places=_to(predicted - 1, device),
        targets=_to(tokens.reshape(-1)[predicted], device),
        num_tokens=sum(sizes),
    )


def _to(array: NDArray[np.int64], device: torch.device) -> Tensor:
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
