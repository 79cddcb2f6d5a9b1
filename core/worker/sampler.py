"""Chooses the next token of each row with dice of its own, so that no row's text depends on its neighbours."""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch

from core.chat import Sampling

SHORTLIST = 1024
"""Candidates looked at first when only a part of the probability counts; sorting a whole vocabulary is slow."""


class Sampler:
    """One die per row, thrown as a pure function of (seed, column, step)."""

    def __init__(
        self, sampling: Sampling, dice: Sequence[tuple[int, int]], prompts: Sequence[Sequence[int]]
    ) -> None:
        """`dice` has a (seed, column) for each row, `prompts` the token ids it begins with."""
        self._sampling = sampling
        self._dice = list(dice)
        self._used = [set(prompt) for prompt in prompts]

    def choose(self, scores: torch.Tensor, rows: Sequence[int], step: int) -> list[int]:
        """The next token of each of `rows`, from scores [len(rows), vocabulary]."""
        scores = scores.float()
        if self._sampling.repetition_penalty != 1:
            for place, row in enumerate(rows):
                self._repel(scores[place], row)
        if self._sampling.temperature == 0:
            chosen = scores.argmax(-1)
        else:
            throws = [self._throw(row, step) for row in rows]
            picks = [self._pick(scores[place], throw) for place, throw in enumerate(throws)]
            chosen = torch.stack(picks)
        tokens = chosen.tolist()
        for row, token in zip(rows, tokens, strict=True):
            self._used[row].add(token)
        return tokens

    def _throw(self, row: int, step: int) -> float:
        seed, column = self._dice[row]
        return random.Random(f"{seed}/{column}/{step}").random()

    def _repel(self, scores: torch.Tensor, row: int) -> None:
        """Make used tokens less likely, in place (Keskar et al. 2019, CTRL, section 4.1)."""
        used = torch.tensor(sorted(self._used[row]), device=scores.device)
        old, penalty = scores[used], self._sampling.repetition_penalty
        scores[used] = torch.where(old > 0, old / penalty, old * penalty)

    def _pick(self, scores: torch.Tensor, throw: float) -> torch.Tensor:
        """The token at which the cumulated probability of the candidates, likeliest first, passes the throw."""
        chances, tokens = self._candidates(torch.softmax(scores / self._sampling.temperature, -1))
        total = chances.cumsum(-1)
        if self._sampling.top_p < 1:
            total = total[: max(1, int((total - chances < self._sampling.top_p).sum()))]
        place = torch.searchsorted(total, total[-1:] * throw, right=True).clamp(max=len(total) - 1)
        return tokens[place[0]]

    def _candidates(self, chances: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Probabilities and their tokens, likeliest first; all, or as many as top-k and top-p can need."""
        if self._sampling.top_k:
            best = chances.topk(min(self._sampling.top_k, len(chances)))
            return best.values / best.values.sum(), best.indices
        if self._sampling.top_p < 1 and len(chances) > SHORTLIST:
            best = chances.topk(SHORTLIST)
            if best.values.sum() >= self._sampling.top_p:
                return best.values, best.indices
        return chances.sort(descending=True, stable=True)
