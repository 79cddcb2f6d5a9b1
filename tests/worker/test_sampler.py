"""How the next token is drawn: fairly, within its limits, and as transformers penalises."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch

from core.chat import Sampling
from core.worker.sampler import Sampler


def test_the_dice_are_fair_and_honour_their_limits() -> None:
    chances = torch.tensor([0.5, 0.25, 0.15, 0.07, 0.03])
    scores = chances.log()

    def thrown(num: int = 2000, **options: float) -> dict[int, float]:
        sampler = Sampler(Sampling.model_validate({"temperature": 1, "top_p": 1, **options}), [(3, 0)], [[]])
        counts = Counter(sampler.choose(scores[None].clone(), [0], step)[0] for step in range(num))
        return {token: count / num for token, count in counts.items()}

    even = thrown()
    assert all(abs(even[token] - float(chances[token])) < 0.03 for token in range(5))
    assert thrown(200, top_k=2).keys() == {0, 1}
    nucleus = thrown(top_p=0.8)
    assert nucleus.keys() == {0, 1, 2}  # 0.75 is not enough, so the third is in
    assert abs(nucleus[0] - 0.5 / 0.9) < 0.03
    assert thrown(50, top_p=0.01).keys() == {0}
    assert thrown(50, temperature=0).keys() == {0}
    assert thrown(200, temperature=5).keys() == {0, 1, 2, 3, 4}


def test_long_vocabularies_are_sampled_as_short_ones_are() -> None:
    torch.manual_seed(0)
    scores = torch.randn(1, 5000) * 3
    peaked = Sampler(Sampling(temperature=1, top_p=0.9, seed=1), [(1, 0)], [[]])
    flat = Sampler(Sampling(temperature=1, top_p=0.99999, seed=1), [(1, 0)], [[]])
    narrow = {peaked.choose(scores.clone(), [0], step)[0] for step in range(300)}
    wide = {flat.choose(scores.clone(), [0], step)[0] for step in range(300)}
    order = scores[0].softmax(-1).sort(descending=True)
    nucleus = set(order.indices[: int((order.values.cumsum(-1) < 0.9).sum()) + 1].tolist())
    assert narrow <= nucleus
    assert not wide <= nucleus


def test_repetition_is_penalised_as_in_transformers() -> None:
    from transformers import RepetitionPenaltyLogitsProcessor

    torch.manual_seed(1)
    scores, prompt = torch.randn(1, 50), [3, 8, 21]
    penalise: Any = RepetitionPenaltyLogitsProcessor(1.7)
    expected = penalise(torch.tensor([prompt]), scores.clone())
    sampler = Sampler(Sampling(temperature=0, repetition_penalty=1.7), [(0, 0)], [prompt])
    changed = scores.clone()
    assert sampler.choose(changed, [0], 0) == [int(expected.argmax())]
    assert torch.equal(changed, expected)
