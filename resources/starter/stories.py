"""Writes one story at a time: a hero, an event, a prompt that names both, and the answer."""

import random
import zlib
from dataclasses import dataclass

from grammar import tidy, write
from plot import Plot, read_plots
from world import HERO_WORDS, HOMES, PLACES, Hero, draw_helpers, draw_hero

PLOTS = read_plots()

ONE_DAY = (
    "[One day|One day|One morning|One evening|One fine day|One windy day|One cold morning|One summer day|"
    "One autumn morning|Early one morning]"
)
OPENINGS = [
    "Once upon a time there was {a_hero}{called} who lived {home}.",
    "Once upon a time, {in_place}, there lived {a_hero}{called}.",
    "There was once {a_hero}{called} who lived {home}.",
    "Long ago, {a_hero}{called} lived {home}.",
    "{In_place} there lived {a_hero}{called}.",
]
ASKS = [
    "Tell me about {it}.", "Tell me about {it}.", "Tell me a story about {it}.", "Tell me a story about {it}.",
    "Write a story about {it}.", "Write a short story about {it}.", "Can you tell me a story about {it}?",
    "Can you tell me about {it}?", "Could you write a story about {it}?", "Please tell me a story about {it}.",
    "Please write about {it}.", "I would like a story about {it}.", "Make up a story about {it}.",
    "Do you know a story about {it}?", "A story about {it}, please.", "Tell us about {it}.",
    "Will you tell me about {it}?", "Write about {it}.", "I want to hear about {it}.",
    "Write something about {it}.", "Once there was {it}. What happened?", "What happened to {it}?",
    "Tell a tale about {it}.", "My child wants to hear about {it}.", "Give me a bedtime story about {it}.",
]  # fmt: skip
HELD_OUT_ALWAYS = {("fox", "lost")}


def is_held_out(word: str, plot_key: str) -> bool:
    """Whether this hero never meets this event in training: one pair in twenty, by name and not by seed."""
    return (word, plot_key) in HELD_OUT_ALWAYS or zlib.crc32(f"{word}/{plot_key}".encode()) % 20 == 0


def held_out_pairs() -> list[tuple[str, Plot]]:
    return [(word, plot) for word in HERO_WORDS for plot in PLOTS if is_held_out(word, plot.key)]


@dataclass(frozen=True)
class Scene:
    """A hero, an event and everything in it, decided; prompt, story and poem are all written from it."""

    hero: Hero
    plot: Plot
    slots: dict[str, str]


def draw_scene(rng: random.Random, word: str, plot: Plot) -> Scene:
    hero = draw_hero(rng, word, plot.unlike)
    place = rng.choice(PLACES)
    friend_gender = rng.choice(["his", "her"])
    slots = {
        **hero.slots(),
        **draw_helpers(rng, hero),
        "a_hero": hero.phrase,
        "called": f" [called|named] {hero.name}" if hero.name else "",
        "place": place.name,
        "in_place": place.there,
        "to_place": place.towards,
        "home": rng.choice(HOMES[hero.kind]),
        "one_day": ONE_DAY,
        "friend_his": friend_gender,
        **plot.draw(rng),
    }
    slots["friend_s"] = slots["friend"] + "'s"
    return Scene(hero, plot, slots)


def draw_trained_scene(rng: random.Random, plot: Plot | None = None) -> Scene:
    """A scene whose hero may meet its event in training; any event, or the given one."""
    while True:
        word, event = rng.choice(HERO_WORDS), plot or rng.choice(PLOTS)
        if not is_held_out(word, event.key):
            return draw_scene(rng, word, event)


def write_prompt(scene: Scene, rng: random.Random, always_event: bool = False) -> str:
    """How someone asks for this scene; one in ten names only the hero unless `always_event`."""
    article = "the" if rng.random() < 0.1 else "a"
    who = article + scene.hero.phrase[1:]
    if scene.hero.name and rng.random() < 0.6:
        who += f" [called|named] {scene.hero.name}"
    form = rng.random()
    if form < 0.1 and not always_event:
        about = who
    elif form < 0.22 and scene.plot.topics:
        about = f"{who} and {rng.choice(scene.plot.topics)}"
    else:
        about = f"{who} who {rng.choice(scene.plot.clauses)}"
        if scene.plot.takes_place and "{in_place}" not in about and rng.random() < 0.08:
            about += " {in_place}"
    asks = [ask for ask in ASKS if article == "a" or not ask.startswith("Once")]
    prompt = write(rng.choice(asks).replace("{it}", about), scene.slots, rng)
    if rng.random() < 0.08:
        prompt = prompt.rstrip(".?")
        prompt = prompt[0].lower() + prompt[1:]
    return prompt


def write_story(scene: Scene, rng: random.Random) -> str:
    return tidy(write(f"{rng.choice(OPENINGS)} {scene.plot.story}", scene.slots, rng))
