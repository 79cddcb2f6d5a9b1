"""Packed pretraining batches as a pure function of seed and step: rows end to end, windows start with a row."""

import random
from dataclasses import dataclass

import torch
from corpus import conversations
from transformers import PreTrainedTokenizerBase

STEPS_PER_SHARD = 200
SHORT_WINDOW = 256
LINES_FROM_SHARD = 8
LINES_SHARE = 0.45


@dataclass
class Windows:
    """Three steps of short windows, then one of whole-context windows, all with the same number of tokens."""

    tokenizer: PreTrainedTokenizerBase
    seed: int
    tokens_per_step: int
    context: int
    _shard: int = -1

    def batch(self, step: int) -> torch.Tensor:
        """Token ids of one step, shape (windows, window length)."""
        shard, position = divmod(step, STEPS_PER_SHARD)
        if shard != self._shard:
            self._shard = shard
            self._short = self._pack(shard, SHORT_WINDOW, STEPS_PER_SHARD * 3 // 4)
            self._long = self._pack(shard, self.context, STEPS_PER_SHARD // 4)
        group, place = divmod(position, 4)
        return self._long[group] if place == 3 else self._short[group * 3 + place]

    def _pack(self, shard: int, length: int, steps: int) -> torch.Tensor:
        per_step = self.tokens_per_step // length
        # Text in lines comes once stories are learned: it does little for prose, much for what can be tuned.
        lines_share = LINES_SHARE if shard >= LINES_FROM_SHARD else 0.0
        seed = random.Random(f"{self.seed}/{shard}/{length}").getrandbits(48)
        rows = conversations(seed, lines_share)
        windows: list[list[int]] = []
        while len(windows) < steps * per_step:
            texts = [self.tokenizer.apply_chat_template(next(rows), tokenize=False) for _ in range(512)]
            window: list[int] = []
            for ids in self.tokenizer(texts, add_special_tokens=False)["input_ids"]:
                window += ids
                if len(window) >= length:
                    windows.append(window[:length])
                    window = []
        return torch.tensor(windows[: steps * per_step]).view(steps, per_step, length)
