"""Small plain sentences whose words go together in no expected way: they keep the starter open to new text."""

import random

from grammar import tidy, write
from sentences import WORDS as KINDS
from world import HERO_WORDS, WORDS

PATTERNS = [
    "{The_hero} {past} {where}.",
    "{The_hero} {past} and {past} {where}.",
    "{The_hero} {past} {by} the {being} {thing}.",
    "{By} the {thing} {the_hero} {past}.",
    "{By} the {thing}, {by} the {thing}, {the_hero} {past}.",
    "There was a {thing} {by} the {thing}.",
    "There was {a_hero} {by} the {thing} who {past} {where}.",
    "{The_hero} had a {thing} of {stuff} and a {being} {thing}.",
    "{The_hero} had {number} {things} and [all|none|some] of them {past}.",
    "The {things} {past}, and the {thing} was {being}.",
    "The {thing} was {being}, [but|and|so] {the_hero} {past}.",
    "The {thing} was as {being} as a {thing}.",
    "{The_hero} was so {being} that {he} {past}.",
    "{He} wanted to {verb} and to {verb} {by} the {thing}.",
    "{He} could {verb} {where}, and {he} did.",
    "[All|Every one of] the {things} {past} {where}.",
    "[One day|One night|Long ago|Now|Then|At last|Soon|In the night|In the morning] {the_hero} {past} {where}.",
    "[Who|What] {past} {by} the {thing}? [It was|Only] {the_hero}.",
    "{He} {past}, for the {stuff} was {being}.",
    "{He} [saw|found|took|lost|held|loved|heard|made|gave away|looked for|kept] the {being} {thing}.",
    "{He} [put|left|found|kept] the {thing} {by} the {thing} [and|then] {past}.",
    "And {he} {past}, and the {thing} {past} too.",
    "[I know|You know|They say|Come and see|We saw] {a_hero} who can {verb}.",
    "{Stuff} and {stuff} and {number} {things}!",
    "It was {being}, it was {being}, and {the_hero} {past}.",
    "If you {verb}, I will {verb}.",
    "\"{Verb} with me,\" said {the_hero}.",
    "[With|Without] a {thing} {the_hero} {past} {where}.",
]  # fmt: skip
BY = (
    "[in|in|on|by|under|behind|beside|near|above|below|over|inside|upon|beyond|beneath|across|around|at|through|"
    "out of|into|from|past|before|after|down|up]"
)
ASKS = [
    "Write {n} small sentences{form}.", "Make up {n} sentences{form}.", "Give me {n} odd sentences{form}.",
    "Say {n} things{form}.", "Write {n} little sentences about anything{form}.",
]  # fmt: skip
ABOUT = ["Write {n} small sentences about {it}{form}.", "Say {n} odd things about {it}{form}."]
COUNTS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}
LISTS = {kind: list(dict.fromkeys(words.split())) for kind, words in KINDS.items()}


def write_sentence(rng: random.Random, hero: str, he: str) -> str:
    """One sentence; each slot of a kind of word is drawn anew, so no two need be the same."""
    pattern = rng.choice(PATTERNS)
    for kind, words in LISTS.items():
        for slot in (f"{{{kind}}}", f"{{{kind.capitalize()}}}"):
            while slot in pattern:
                word = rng.choice(words)
                pattern = pattern.replace(slot, word.capitalize() if slot[1].isupper() else word, 1)
    adjective = rng.choice(["", "", f"{rng.choice(WORDS['hero_adjectives'])} "])
    slots = {"the_hero": f"the {hero}", "a_hero": f"a {adjective}{hero}", "he": he, "by": BY}
    return write(pattern, slots, rng)


def draw_scenes(rng: random.Random) -> tuple[str, str]:
    """Some sentences, with one hero or with many, on one line or each on its own."""
    count = rng.choice(list(COUNTS))
    separator, form = rng.choice([(" ", ""), ("\n", " in lines"), ("\n", " line by line")])
    hero, he = rng.choice(HERO_WORDS), rng.choice(["he", "she"])
    same = rng.random() < 0.5
    sentences = [write_sentence(rng, hero if same else rng.choice(HERO_WORDS), he) for _ in range(count)]
    ask = rng.choice(ABOUT if same else ASKS).format(n=COUNTS[count], it=f"a {hero}", form=form)
    return tidy(ask), separator.join(sentences)
