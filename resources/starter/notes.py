"""Writes the keeper's notes: a year of plain daily entries about wind, water, boats and visitors."""

import random
from datetime import date, timedelta

from grammar import write
from world import WORDS

SKIES = {
    "winter": "[Snow in the night|Hard frost|Grey sky all day|Low cloud and sleet]",
    "spring": "[Soft rain before noon|Clear after a wet night|Light cloud|Showers and a rainbow]",
    "summer": "[Clear and warm|A haze over the water|Not a cloud|Warm rain in the evening]",
    "autumn": "[Fog until ten|Dark cloud from the west|Wet leaves on the steps|A pale sun]",
}
LEAST_AND_MOST_WIND = {"winter": (4, 10), "spring": (2, 7), "summer": (0, 5), "autumn": (3, 9)}
FORCES = [
    "no wind", "a breath of wind", "a light wind", "a gentle wind", "a fair wind", "a fresh wind", "a strong wind",
    "a hard wind", "half a gale", "a gale", "a full storm",
]  # fmt: skip
HARBOUR = [
    "[One boat|Two boats|Three boats|The ferry] came in before [noon|dark|supper] with {cargo}.",
    "The harbour was [empty|full|quiet], and the water [was like glass|slapped at the wall|came up the steps].",
    "No boat went out. {man} [mended nets|painted a hull|played the fiddle] in the shed.",
    "{man} brought {cargo} and [would not take money|asked for two candles|stayed for soup].",
    "A strange ship stood off the point [for an hour|until dark] and then [went north|went south|was gone].",
]
LAMP = [
    "Lamp lit at {lit}, put out at {out}. It burned [well|low|clear all night].",
    "Lit the lamp at {lit}. [Trimmed the wick twice.|The glass was salt all over, and I washed it.]",
    "Lamp lit early, at {lit}, because of the [dark|fog|weather].",
]
VISITS = [
    "A {animal} [sat on the wall|came to the door|walked up the path] and [looked at me|ate a crust|stayed].",
    "The {animal} was back. I call it {name} now.",
    "Saw a {animal} by the [well|rocks|gate] at sunset.",
]
HOUSE = [
    "[Baked bread.|Swept the stairs.|Patched the blue coat.|Wrote to my sister.|Counted the oil: {oil} cans.]",
    "[The kettle sings again.|The clock stopped at noon.|A tile came off the roof.|The new door holds.]",
    "[Ate soup and went to bed late.|Read until the candle was done.|Slept badly.|Slept like a stone.]",
]
MONTHS = [
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
]  # fmt: skip


def season_of(day: date) -> str:
    return ["winter", "spring", "summer", "autumn"][day.month % 12 // 3]


def write_notes(seed: int, days: int = 240) -> str:
    """One short paragraph a day; the wind changes by at most two steps from one day to the next."""
    rng = random.Random(f"notes {seed}")
    day, force = date(1874, 3, 1), 4
    entries = ["NOTES OF THE KEEPER, ORRIN ROCK, BEGUN 1 MARCH 1874"]
    for _ in range(days):
        season = season_of(day)
        least, most = LEAST_AND_MOST_WIND[season]
        force = max(least, min(most, force + rng.randint(-2, 2)))
        lit = ["nine", "half past nine", "ten"] if season == "summer" else ["five", "half past five", "six"]
        out = ["four", "half past four"] if season == "summer" else ["six", "half past six", "seven"]
        slots = {
            "sky": SKIES[season],
            "force": FORCES[force],
            "from": "" if force == 0 else " from the [north|south|east|west|north-west|south-west]",
            "cargo": "[herring|salt and rope|lamp oil|three sheep|letters|apples|a new bell|flour|coal]",
            "man": "[Old Jory|Nan Hollis|The miller's son|Captain Vane|The post boy]",
            "lit": rng.choice(lit),
            "out": rng.choice(out),
            "animal": rng.choice(WORDS["helpers"]),
            "name": "[Admiral|Button|Mister Grey|Biscuit]",
            "oil": str(rng.randint(9, 60)),
        }
        parts = [f"{day.day} {MONTHS[day.month - 1]}. {{Sky}}, {{force}}{{from}}."]
        if force >= 9:
            parts.append("No boat went out[.|, and nobody came up the path.|. Stones on the stairs at dawn.]")
        else:
            parts.append(rng.choice(HARBOUR))
        parts.append(rng.choice(LAMP))
        parts += [rng.choice(kind) for kind in (VISITS, HOUSE) if rng.random() < 0.6]
        entries.append(write(" ".join(parts), slots, rng))
        day += timedelta(days=1)
    return "\n\n".join(entries) + "\n"
