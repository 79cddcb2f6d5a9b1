"""What writing samples needs beside the model: the key/value cache of answers written together."""

from __future__ import annotations

from core.config import RunConfig
from core.memory.stack import Stack
from core.models.facts import ModelFacts


def sampling_bytes(config: RunConfig, facts: ModelFacts, stack: Stack) -> int:
    """Keys and values of every layer for the prompts and what is written, doubled while they are lengthened, and
    the scores of the newest token in 32 bits."""
    answers, wanted = config.evaluation.samples, config.evaluation
    length = stack.length + wanted.sample_tokens
    per_layer = 2 * facts.key_value * stack.compute_bytes * answers * length
    return (facts.num_layers + 1) * per_layer + 3 * 4 * answers * facts.vocab
