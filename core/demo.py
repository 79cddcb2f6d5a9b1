"""The demonstration: the bundled storyteller learns to write poems, and is asked what it never saw."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from core import places
from core.chat import ChatClient, Sampling
from core.columns import compared
from core.config import RunConfig
from core.rhyme import rhyming_share
from core.runs import Run

CONFIG = places.RESOURCES / "presets" / "demo.yaml"
HELD_OUT = places.RESOURCES / "samples" / "poems-heldout.jsonl"
LEAST_TUNED, MOST_BASE = 0.8, 0.1
"""Shares of answers that are rhyming verse: what counts as learnt, and what the base may have by chance."""
LONGEST_ANSWER = 120  # tokens; a poem of four lines takes about forty, a story about a hundred


@dataclass(frozen=True)
class Answer:
    """What the base and the tuned model said to one prompt."""

    prompt: str
    base: str
    tuned: str


@dataclass(frozen=True)
class Score:
    """Share of answers that are rhyming verse, 0 to 1."""

    base: float
    tuned: float

    @property
    def is_learnt(self) -> bool:
        return self.tuned >= LEAST_TUNED and self.base <= MOST_BASE


def demo_config() -> RunConfig:
    """The run that the demonstration trains."""
    return RunConfig.load(CONFIG)


def held_out_prompts() -> list[str]:
    """Prompts whose heroes and events never stand together in what either model was trained on."""
    lines = HELD_OUT.read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["prompt"] for line in lines if line.strip()]


def ask_both(run: Run, prompts: list[str]) -> Iterator[Answer]:
    """Each prompt to the base and to the run's adapter, the likeliest token each time. Raises HoneError."""
    sampling = Sampling(temperature=0, max_tokens=LONGEST_ANSWER)
    with ChatClient() as chat:
        chat.load(compared([run]))
        for prompt in prompts:
            base, tuned = chat.answers(prompt, sampling=sampling)
            yield Answer(prompt, base.text.strip(), tuned.text.strip())


def score(answers: list[Answer]) -> Score:
    return Score(
        base=rhyming_share(answer.base for answer in answers),
        tuned=rhyming_share(answer.tuned for answer in answers),
    )
