"""One decode loop for several conversations at once: one batch, one cache, and each row ends by itself."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from core.worker.sampler import Sampler


@dataclass(frozen=True)
class Written:
    """One token of one row. With a reason it was the row's last; a stop token itself is no part of the text."""

    row: int
    token: int
    reason: Literal["", "end", "length"] = ""


@torch.inference_mode()
def generate(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    sampler: Sampler,
    stop_tokens: Collection[int],
    limits: Sequence[int],
    keep: Callable[[Sequence[int]], None] = lambda rows: None,
) -> Iterator[list[Written]]:
    """Continue prompts (token ids) together, row n by at most limits[n] tokens; yields step by step.

    Rows that end leave the batch; `keep` is told which rows of the present batch go on, so that what is particular
    to a row, such as its adapter, can follow. Close the generator to stop early.
    """
    device = model.device
    batch = _padded(prompts, device)
    cache = DynamicCache(config=model.config)
    taken = inspect.signature(model.forward).parameters
    has_keys = "past_key_values" in taken  # state-space models keep a state instead, in which padding is over
    rows = list(range(len(prompts)))
    for step in range(max(limits)):
        places = {"position_ids": batch.positions} if "position_ids" in taken else {}
        output = model(
            input_ids=batch.ids,
            attention_mask=batch.mask if has_keys or step == 0 else None,
            use_cache=True,
            logits_to_keep=1,
            **{"past_key_values" if has_keys else "cache_params": cache},
            **places,
        )
        tokens = sampler.choose(output.logits[:, -1], rows, step)
        written = [
            Written(row, token, "end" if token in stop_tokens else "length" if step + 1 >= limits[row] else "")
            for row, token in zip(rows, tokens, strict=True)
        ]
        yield written
        going = [place for place, one in enumerate(written) if not one.reason]
        if not going:
            return
        if len(going) < len(rows):
            index = torch.tensor(going, device=device)
            cache.reorder_cache(index)  # pyright: ignore[reportArgumentType]
            keep(going)
            batch = batch.select(index)
            rows = [rows[place] for place in going]
        batch = batch.next(torch.tensor([tokens[place] for place in going], device=device))


@dataclass(frozen=True)
class _Batch:
    """What the model reads next. `mask` covers everything read so far; None while no row is padded."""

    ids: Tensor
    mask: Tensor | None
    positions: Tensor

    def select(self, index: Tensor) -> _Batch:
        mask = None if self.mask is None else self.mask.index_select(0, index)
        if mask is not None and bool(mask.all()):
            mask = None
        return _Batch(self.ids.index_select(0, index), mask, self.positions.index_select(0, index))

    def next(self, tokens: Tensor) -> _Batch:
        mask = None if self.mask is None else torch.cat([self.mask, self.mask.new_ones(len(tokens), 1)], dim=1)
        return _Batch(tokens[:, None], mask, self.positions[:, -1:] + 1)


def _padded(prompts: Sequence[Sequence[int]], device: torch.device) -> _Batch:
    """Prompts of unequal length, padded on the left so that all end together; positions count real tokens."""
    width = max(len(prompt) for prompt in prompts)
    ids = torch.zeros(len(prompts), width, dtype=torch.long)
    mask = torch.zeros(len(prompts), width, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, width - len(prompt) :] = 1
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    padded = bool((mask == 0).any())
    return _Batch(ids.to(device), mask.to(device) if padded else None, positions.to(device))
