"""Turns a template into English: picks among [alternatives], fills {slots}, puts "an" and capitals right."""

import random
import re

SLOT = re.compile(r"\{(\w+)\}")
INNERMOST_CHOICE = re.compile(r"\[([^\[\]]*)\]")
ARTICLE = re.compile(r"\b([Aa])(?= (?!uni|use|one\b|eu)[aeiou])")
SENTENCE_START = re.compile(r'(^|[.!?] |[.!?]\n|^"|[.!?] ")([a-z])')
VALUE_START = re.compile(r"^\[?[a-z]|(?<=\|)[a-z]")
AFTER_QUOTE = re.compile(
    r"""(\.["'] |[!?]["'] (?!(?:\w+ ){0,2}(?:said|asked|cried|called|whispered|shouted|went)\b))([a-z])"""
)
SPACES = re.compile(r" {2,}")


def choose(template: str, rng: random.Random) -> str:
    """Replace every [a|b|c] by one of its alternatives, from the inside out."""
    while (found := INNERMOST_CHOICE.search(template)) is not None:
        picked = rng.choice(found[1].split("|"))
        template = template[: found.start()] + picked + template[found.end() :]
    return template


def fill(template: str, slots: dict[str, str]) -> str:
    """Replace {slot} by its value, and {Slot} by its value with a capital; values may hold slots themselves."""

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if name in slots:
            return slots[name]
        return VALUE_START.sub(lambda start: start[0].upper(), slots[name[0].lower() + name[1:]])

    while SLOT.search(template):
        template = SLOT.sub(value, template)
    return template


def tidy(text: str) -> str:
    """Single spaces, "an" before a vowel, a capital at the start of every sentence."""
    text = ARTICLE.sub(r"\1n", SPACES.sub(" ", text)).strip()
    for pattern in (SENTENCE_START, AFTER_QUOTE):
        text = pattern.sub(lambda found: found[1] + found[2].upper(), text)
    return text


def write(template: str, slots: dict[str, str], rng: random.Random) -> str:
    """Choose, fill and tidy; slot values may hold alternatives of their own."""
    filled = fill(choose(template, rng), slots)
    return tidy(fill(choose(filled, rng), slots))
