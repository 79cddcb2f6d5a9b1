"""How well the model does on rows it does not train on: their loss, and answers to read along."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from peft import PeftModel
from transformers import GenerationConfig, PreTrainedModel
from transformers import PreTrainedTokenizerBase as Tokenizer

from core.worker.batches import collate
from core.worker.dataset import Prompt
from core.worker.examples import Examples
from core.worker.losses import TokenLoss

MOST_EXAMPLES = 256
"""Held-out examples that are scored; of more, always the same ones."""


def held_out_loss(
    loss: TokenLoss, examples: Examples, numbers: NDArray[np.int64], batch_size: int, device: torch.device
) -> float:
    """Mean negative log-likelihood per trained token of the held-out examples, in nats.

    The batch is never larger than in training, so that evaluation needs no more memory than a step.
    """
    numbers = numbers[:MOST_EXAMPLES]
    by_length = numbers[np.argsort(examples.lengths[numbers], kind="stable")]
    total, count = torch.zeros((), dtype=torch.float64, device=device), 0
    for start in range(0, len(by_length), batch_size):
        batch = collate([(int(number),) for number in by_length[start : start + batch_size]], examples, device)
        total += loss.each(batch).double().sum()
        count += len(batch.targets)
    return total.item() / count


@torch.no_grad()
def answers(
    model: PreTrainedModel | PeftModel,
    tokenizer: Tokenizer,
    prompts: Sequence[Prompt],
    num_tokens: int,
) -> list[str]:
    """The likeliest continuation of each prompt, token by token, at most `num_tokens` long; all at once."""
    if not prompts:
        return []
    tokenized = [tokenizer(prompt.text, add_special_tokens=False).input_ids for prompt in prompts]
    longest = max(len(tokens) for tokens in tokenized)
    listed = getattr(model.generation_config, "eos_token_id", None)
    found = [*(listed if isinstance(listed, list) else [listed]), tokenizer.eos_token_id]
    ends = {token for token in found if isinstance(token, int)}
    padding = min(ends, default=0)
    padded = [[padding] * (longest - len(tokens)) + tokens for tokens in tokenized]
    mask = [[0] * (longest - len(tokens)) + [1] * len(tokens) for tokens in tokenized]
    settings = GenerationConfig(
        max_new_tokens=num_tokens, do_sample=False, eos_token_id=sorted(ends) or None, pad_token_id=padding
    )
    written = model.generate(  # pyright: ignore[reportCallIssue]
        input_ids=torch.tensor(padded, device=model.device),
        attention_mask=torch.tensor(mask, device=model.device),
        generation_config=settings,
    )
    return [str(tokenizer.decode(tokens[longest:], skip_special_tokens=True)).strip() for tokens in written]
