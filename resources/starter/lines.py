"""Answers that run over several lines: stories in lines, lists, odd sentences, words said again; no rhymes."""

import random
import re

from scenes import draw_scenes
from sentences import ENTRIES
from stories import draw_trained_scene, write_prompt, write_story
from world import HERO_WORDS, WORDS

BREAK = re.compile(
    r'(?<=[.!?]) (?=["A-Z])|(?<=[.!?]") (?=["A-Z])|(?<=,) (?=(?:and|but|so|because|until|when|who|as) )|\n'
)
IN_LINES = ["in short lines", "in lines", "line by line", "with short lines", "one line at a time"]
NAMES = WORDS["girl_names"] + WORDS["boy_names"]
LISTED = {
    "animals": WORDS["animals"],
    "people": WORDS["women"] + WORDS["men"] + WORDS["anyone"],
    "names": NAMES,
    "colours": WORDS["colours"],
    "things to eat": WORDS["foods"],
    "things to carry": WORDS["belongings"],
    "treasures": WORDS["treasures"],
    "words": [word for word, _ in ENTRIES],
}
COUNTS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 8: "eight"}


def in_lines(text: str) -> str:
    """The text broken where a sentence or a clause ends, each line with a capital."""
    return "\n".join(line[0].upper() + line[1:] for line in BREAK.split(text))


def draw_story_in_lines(rng: random.Random) -> tuple[str, str]:
    """A story told in lines when asked for lines; often only its beginning or its end."""
    scene = draw_trained_scene(rng)
    prompt = write_prompt(scene, rng, always_event=True)
    mark = prompt[-1] if prompt[-1] in ".?" else ""
    asked = f"{prompt.rstrip('.?')} {rng.choice(IN_LINES)}{mark}"
    lines = in_lines(write_story(scene, rng)).splitlines()
    count = rng.choice([4, 4, 6, 8, len(lines)])
    part = lines[:count] if rng.random() < 0.5 else [lines[0], *lines[len(lines) - count + 1 :]]
    return asked, "\n".join(part)


def draw_list(rng: random.Random) -> tuple[str, str]:
    kind, count = rng.choice(list(LISTED)), rng.choice(list(COUNTS))
    picked = rng.sample(LISTED[kind], count)
    ask = rng.choice(["Name {n} {kind}.", "List {n} {kind}.", "Write down {n} {kind}.", "Give me {n} {kind}."])
    start = rng.choice(["", "", "- "])
    return ask.format(n=COUNTS[count], kind=kind), "\n".join(start + word[0].upper() + word[1:] for word in picked)


def draw_again(rng: random.Random) -> tuple[str, str]:
    """Words to say again just as they are: on one line, or each on a line of its own."""
    words = [rng.choice(rng.choice(list(LISTED.values()))) for _ in range(rng.randint(2, 7))]
    if rng.random() < 0.5:
        return f"Say again: {', '.join(words)}", ", ".join(words)
    return f"Say these in lines: {', '.join(words)}", in_lines("\n".join(words))


def draw_who(rng: random.Random) -> tuple[str, str]:
    """Two short lines that keep a name and a hero."""
    hero, name = rng.choice(HERO_WORDS), rng.choice(NAMES)
    ask = rng.choice(
        ["Who is {name} the {hero}?", "Describe {name} the {hero}.", "Do you know {name} the {hero}?"]
    )
    adjectives = rng.sample(WORDS["hero_adjectives"], 2)
    lines = [f"{name} is a {hero}.", f"{name} is {adjectives[0]} and {adjectives[1]}."]
    return ask.format(name=name, hero=hero), "\n".join(lines)


def draw_several_lines(rng: random.Random) -> tuple[str, str]:
    draw = rng.choice(
        [draw_story_in_lines, draw_story_in_lines, draw_list, draw_again, draw_who, *[draw_scenes] * 4]
    )
    return draw(rng)
