"""The processes that train one run together: they share the batches of a step and add up their gradients.

All of them are on one machine. They meet over a file; small words go over the loopback (gloo), gradients between
GPUs directly (NCCL). The first process leads: it alone writes, and the others take a step whenever it says so.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed

from core.errors import HoneError
from core.worker.batches import Numbers
from core.worker.failure import is_out_of_memory
from core.worker.gauge import Gauge

PATIENCE = timedelta(days=30)
"""No process waits in vain: the death of another is noticed elsewhere (see peers.py)."""
LAST_SECONDS = 30.0
STEP, OVER, PASS = 1, 2, 3
"""What the leader says: a step is due, there are no more, or layers are to be gathered for a pass of its own."""


@dataclass
class Group:
    """One process's view of all of them."""

    rank: int
    size: int
    meeting: Path
    """A file that all of them know and that was not there before."""
    _store: distributed.Store | None = field(default=None, repr=False)

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def join(self, device: torch.device) -> None:
        """Wait for the others."""
        loopback = {"linux": "lo", "darwin": "lo0"}.get(sys.platform)
        if loopback:
            os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)
            os.environ.setdefault("NCCL_SOCKET_IFNAME", loopback)
        by_nccl = device.type == "cuda" and distributed.is_nccl_available()
        self._store = distributed.FileStore(str(self.meeting), self.size)
        distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if by_nccl else "gloo",
            store=self._store,
            rank=self.rank,
            world_size=self.size,
            timeout=PATIENCE,
        )

    def say(self, word: dict[str, Any]) -> None:
        """For the leader, once: what all must know."""
        assert self._store is not None
        self._store.set("word", json.dumps(word))

    def hear(self) -> dict[str, Any]:
        """What the leader says."""
        assert self._store is not None
        return json.loads(self._store.get("word"))

    def share(self, batches: list[list[Numbers]]) -> list[list[Numbers]]:
        """This process's part of the batches of a step; it may be empty."""
        return batches[self.rank :: self.size]

    def add_up(self, tensors: Iterable[Tensor]) -> None:
        """Put the sum over all processes into each of them, which is the same to the bit everywhere."""
        try:
            for tensor in tensors:
                distributed.all_reduce(tensor)
        except RuntimeError as error:
            raise self._lost(error) from error

    def copy_first(self, tensors: Iterable[Tensor]) -> None:
        """Give all processes the leader's values."""
        for tensor in tensors:
            distributed.broadcast(tensor.detach(), src=0)

    def gather(self, whole: Tensor, part: Tensor) -> None:
        """Put the parts of all processes, which are equally long, side by side into `whole`."""
        try:
            if part.device.type == "cuda" and distributed.is_nccl_available():
                distributed.all_gather_into_tensor(whole, part)
                return
            # gloo would gather into a copy of the whole, and not on GPUs.
            for rank, place in enumerate(whole.split(len(part))):
                if rank == self.rank:
                    place.copy_(part)
                distributed.broadcast(place, src=rank)
        except RuntimeError as error:
            raise self._lost(error) from error

    def anyone(self, own: bool) -> bool:
        """Whether it holds in any process."""
        words = torch.tensor([own], dtype=torch.int64)
        try:
            distributed.all_reduce(words, distributed.ReduceOp.MAX)
        except RuntimeError as error:
            raise self._lost(error) from error
        return bool(words.item())

    def call(self, gauge: Gauge, word: int = STEP) -> int:
        """Meet the others: the leader says what is next, and learns how much memory the largest process takes.
        Returns what it says."""
        words = torch.tensor([word if self.leads else 0, gauge.own_now, gauge.own_peak])
        try:
            distributed.all_reduce(words, distributed.ReduceOp.MAX)
        except RuntimeError as error:
            raise self._lost(error) from error
        said, now, peak = words.tolist()
        if self.leads:
            gauge.count_others(now, peak)
        return said

    def dismiss(self, gauge: Gauge) -> None:
        """For the leader: there are no more steps."""
        self.call(gauge, OVER)

    def _lost(self, error: RuntimeError) -> Exception:
        """What a failed exchange means. Who watches the processes knows more, and ends this one within moments."""
        if is_out_of_memory(error):
            return error
        time.sleep(LAST_SECONDS)
        return HoneError("The processes of the run lost one another; resume to go on from the last checkpoint.")
