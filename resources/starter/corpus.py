"""The starter's corpus: an endless, seeded stream of conversations, and the held-out ones to judge by."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from lines import draw_several_lines
from sentences import draw_sentences
from smalltalk import SYSTEM_PROMPTS, draw_exchange
from stories import draw_scene, draw_trained_scene, held_out_pairs, write_prompt, write_story

Message = dict[str, str]


def turn(prompt: str, answer: str) -> list[Message]:
    return [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]


def story_turn(rng: random.Random) -> list[Message]:
    if rng.random() < 0.02:
        ask = rng.choice(["Tell me a story.", "Tell me a story", "I want a story.", "Another story, please."])
        return turn(ask, write_story(draw_trained_scene(rng), rng))
    scene = draw_trained_scene(rng)
    return turn(write_prompt(scene, rng), write_story(scene, rng))


def conversations(seed: int, lines_share: float = 0.0) -> Iterator[list[Message]]:
    """Mostly one prompt and one story; now and then small talk, sentences, a second turn, a system prompt.

    `lines_share` of them are answered in several lines instead.
    """
    rng = random.Random(seed)
    while True:
        if lines_share and rng.random() < lines_share:
            yield turn(*draw_several_lines(rng))
            continue
        kind = rng.random()
        if kind < 0.04:
            messages = turn(*draw_exchange(rng))
        elif kind < 0.13:
            messages = turn(*draw_sentences(rng))
        elif kind < 0.16:
            messages = turn(*draw_exchange(rng)) + story_turn(rng)
        elif kind < 0.19:
            messages = story_turn(rng) + turn(*draw_exchange(rng))
        else:
            messages = story_turn(rng)
        if rng.random() < 0.03:
            messages = [{"role": "system", "content": rng.choice(SYSTEM_PROMPTS)}, *messages]
        yield messages


@dataclass(frozen=True)
class HeldOut:
    """A conversation training never saw the like of, and the words of its prompt that an answer must keep."""

    messages: list[Message]
    named: list[str]

    @property
    def prompt(self) -> str:
        return self.messages[0]["content"]

    def is_kept_by(self, answer: str) -> bool:
        return all(word in answer.lower() for word in self.named)


def held_out_conversations(seed: int) -> list[HeldOut]:
    """One for every pair of hero and event that training never sees together."""
    rng = random.Random(f"held-out {seed}")
    found = []
    for scene in [draw_scene(rng, word, plot) for word, plot in held_out_pairs()]:
        messages = turn(write_prompt(scene, rng, always_event=True), write_story(scene, rng))
        prompt, story = (message["content"].lower() for message in messages)
        things = [scene.slots[name] for names in scene.plot.choices for name in names.split(",")]
        named = [thing.lower() for thing in things if thing.lower() in prompt and thing.lower() in story]
        found.append(HeldOut(messages, [scene.hero.word, *named]))
    return found
