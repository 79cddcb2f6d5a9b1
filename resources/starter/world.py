"""The world the starter's stories, poems and samples are set in: who lives there, what they own, where they go."""

import random
import tomllib
from dataclasses import dataclass
from pathlib import Path

WORDS = tomllib.loads(Path(__file__).with_name("world.toml").read_text(encoding="utf-8"))
HERO_WORDS: list[str] = WORDS["animals"] + WORDS["women"] + WORDS["men"] + WORDS["anyone"]


@dataclass(frozen=True)
class Place:
    """Somewhere a story can happen: its name, how one is there, and how one goes there."""

    name: str
    there: str

    @property
    def towards(self) -> str:
        return f"to {self.name}"


PLACES = [Place(name, f"{preposition} {name}") for preposition, names in WORDS["places"].items() for name in names]
HOMES: dict[str, list[str]] = WORDS["homes"]
PRONOUNS = {
    "female": {"he": "she", "him": "her", "his": "her", "himself": "herself", "child": "girl"},
    "male": {"he": "he", "him": "him", "his": "his", "himself": "himself", "child": "boy"},
}


@dataclass(frozen=True)
class Hero:
    """Who a story is about; the same words are used from the prompt to the last sentence."""

    word: str
    gender: str
    adjective: str = ""
    name: str = ""

    @property
    def kind(self) -> str:
        return "animal" if self.word in WORDS["animals"] else "person"

    @property
    def phrase(self) -> str:
        return f"a {self.adjective} {self.word}" if self.adjective else f"a {self.word}"

    def slots(self) -> dict[str, str]:
        mention = f"[the {self.word}|the {self.word}|{self.name}]" if self.name else f"the {self.word}"
        return {"hero": mention, "word": self.word, **PRONOUNS[self.gender]}


def draw_hero(rng: random.Random, word: str, unlike: list[str]) -> Hero:
    gender = (
        "female" if word in WORDS["women"] else "male" if word in WORDS["men"] else rng.choice(["female", "male"])
    )
    adjective = (
        rng.choice([one for one in WORDS["hero_adjectives"] if one not in unlike]) if rng.random() < 0.4 else ""
    )
    names = WORDS["girl_names"] if gender == "female" else WORDS["boy_names"]
    return Hero(word, gender, adjective, rng.choice(names) if rng.random() < 0.3 else "")


def draw_helpers(rng: random.Random, hero: Hero) -> dict[str, str]:
    """Two helpers who are neither the hero nor each other."""
    first, second = rng.sample([word for word in WORDS["helpers"] if word != hero.word], 2)
    adjectives = rng.sample(WORDS["helper_adjectives"], 2)
    return {
        "friend": f"the {first}",
        "a_friend": f"a {adjectives[0]} {first}",
        "other": f"the {second}",
        "an_other": f"a {adjectives[1]} {second}",
    }
