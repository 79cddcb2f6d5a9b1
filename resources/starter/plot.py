"""What a plot is: the words a prompt names it by, the things it may be about, and the story as a template."""

import random
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from world import WORDS

FILES = ["plots_things.toml", "plots_wishes.toml", "plots_meetings.toml"]


@dataclass(frozen=True)
class Plot:
    """One event that can befall any hero.

    `clauses` finish the sentence "a fox who ..."; `topics` finish "a fox and ..."; `choices` maps slot names,
    comma-separated, to what may fill them, or to the name of a list in world.toml; `story` follows the opening
    that introduces the hero; `unlike` names the adjectives that would contradict it.
    """

    key: str
    clauses: list[str]
    story: str
    topics: list[str] = field(default_factory=list)
    choices: dict[str, str | list] = field(default_factory=dict)
    takes_place: bool = True
    unlike: list[str] = field(default_factory=list)

    def draw(self, rng: random.Random) -> dict[str, str]:
        """One value for every slot of this plot."""
        slots: dict[str, str] = {}
        for names, options in self.choices.items():
            picked = rng.choice(WORDS[options] if isinstance(options, str) else options)
            values = [picked] if isinstance(picked, str) else picked
            slots.update(zip(names.split(","), values, strict=True))
        return slots


def read_plots() -> list[Plot]:
    """Every plot, in the order of the files; line breaks in a story are only for whoever reads the file."""
    plots = []
    for name in FILES:
        text = Path(__file__).with_name(name).read_text(encoding="utf-8")
        for entry in tomllib.loads(text)["plot"]:
            plots.append(Plot(**{**entry, "story": " ".join(entry["story"].split())}))
    return plots
