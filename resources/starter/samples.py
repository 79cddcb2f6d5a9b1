"""Writes the sample datasets, the same bytes every time.

python resources/starter/samples.py                into resources/samples
python resources/starter/samples.py --out FOLDER
"""

import argparse
import json
import random
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from broken import broken_lines
from corpus import turn
from facts import LIGHTHOUSES, QUESTIONS, fill_fact
from notes import write_notes
from poems import write_poem
from stories import (
    HELD_OUT_ALWAYS,
    PLOTS,
    Scene,
    draw_scene,
    draw_trained_scene,
    held_out_pairs,
    write_prompt,
    write_story,
)  # fmt: skip

HERE = Path(__file__).resolve().parent
SEED = 1
SENTENCE_END = re.compile(r"(?<=[.!?]) (?=[A-Z])")
NUM_POEMS, NUM_HELD_OUT, NUM_PREFERENCES = 900, 40, 300

ABOUT = {
    "poems.jsonl": "{rows} rows, prompt and completion: a request for a story, answered by four rhyming lines",
    "poems-heldout.jsonl": "{rows} prompts; neither the stories nor the poems have these heroes meet these events",
    "poems-preferences.jsonl": "{rows} rows, prompt, chosen, rejected: a poem against a story or unrhymed lines",
    "notes.txt": "{rows} lines of raw text: a lighthouse keeper's notes on weather, harbour and visitors",
    "facts.jsonl": "{rows} chats about eight invented lighthouses: forty facts, each asked in six ways",
    "facts-heldout.jsonl": "{rows} other ways to ask for the same facts, each with what a right answer holds",
    "broken.jsonl": "{rows} rows with one of each common mistake, for learning the problems tab",
}


def unnamed(scene: Scene) -> Scene:
    return replace(scene, hero=replace(scene.hero, name=""))


def takes_an(scene: Scene) -> bool:
    return scene.hero.phrase[2] in "aeiou"


def poem_rows(rng: random.Random, count: int) -> list[tuple[str, str, Scene]]:
    """Different prompts, each with a poem; every event comes up equally often, and one hero in seven takes "an".

    Stories hardly ever begin with it, so the poems must teach it.
    """
    rows: dict[str, tuple[str, str, Scene]] = {}
    while len(rows) < count:
        scene = unnamed(draw_trained_scene(rng, PLOTS[len(rows) % len(PLOTS)]))
        if len(rows) % 7 == 0 and not takes_an(scene):
            continue
        prompt = write_prompt(scene, rng, always_event=True)
        rows.setdefault(prompt, (prompt, write_poem(scene, rng), scene))
    return list(rows.values())


def held_out_prompts(rng: random.Random) -> list[str]:
    """Forty held-out pairs of hero and event, the fox and her hat first."""
    pairs = [pair for pair in held_out_pairs() if (pair[0], pair[1].key) not in HELD_OUT_ALWAYS]
    drawn = rng.sample(pairs, NUM_HELD_OUT - 1)
    scenes = (unnamed(draw_scene(rng, word, plot)) for word, plot in drawn)
    return [
        "Tell me about a fox who lost her hat.",
        *(write_prompt(scene, rng, always_event=True) for scene in scenes),
    ]


def as_lines(story: str) -> str:
    """The first four sentences, one to a line: the look of verse without its rhyme."""
    return "\n".join(SENTENCE_END.split(story)[:4])


def preference_rows(rng: random.Random) -> list[dict[str, str]]:
    rows = []
    for number, (prompt, poem, scene) in enumerate(poem_rows(rng, NUM_PREFERENCES)):
        story = write_story(scene, rng)
        rows.append({"prompt": prompt, "chosen": poem, "rejected": as_lines(story) if number % 2 else story})
    return rows


def fact_rows(rng: random.Random) -> tuple[list[dict], list[dict]]:
    """Training rows, shuffled, and held-out rows with the key their answer must hold."""
    trained, held_out = [], []
    for lighthouse in LIGHTHOUSES:
        for question in QUESTIONS:
            answer = fill_fact(question.answer, lighthouse)
            for asked in question.asked:
                trained.append({"messages": turn(fill_fact(asked, lighthouse), answer)})
            for asked in question.asked_anew:
                message = {"role": "user", "content": fill_fact(asked, lighthouse)}
                held_out.append({"messages": [message], "answer": getattr(lighthouse, question.key)})
    rng.shuffle(trained)
    return trained, held_out


def json_lines(rows: Iterable[dict]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def samples() -> dict[str, str]:
    """Every sample file by name."""
    poems = poem_rows(random.Random(f"poems {SEED}"), NUM_POEMS)
    facts, facts_held_out = fact_rows(random.Random(f"facts {SEED}"))
    rng = random.Random(f"broken {SEED}")
    good = [
        (write_prompt(scene, rng), write_story(scene, rng))
        for scene in (draw_trained_scene(rng) for _ in range(8))
    ]
    files = {
        "poems.jsonl": json_lines({"prompt": prompt, "completion": poem} for prompt, poem, _ in poems),
        "poems-heldout.jsonl": json_lines(
            {"prompt": prompt} for prompt in held_out_prompts(random.Random(f"held-out poems {SEED}"))
        ),
        "poems-preferences.jsonl": json_lines(preference_rows(random.Random(f"preferences {SEED}"))),
        "notes.txt": write_notes(SEED),
        "facts.jsonl": json_lines(facts),
        "facts-heldout.jsonl": json_lines(facts_held_out),
        "broken.jsonl": "".join(line + "\n" for line in broken_lines(good)),
    }
    listing = [f"- `{name}`: {ABOUT[name].format(rows=text.count(chr(10)))}." for name, text in files.items()]
    head = "Sample datasets, written by `python resources/starter/samples.py`; licence Apache-2.0.\n\n"
    return {**files, "README.md": head + "\n".join(listing) + "\n"}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--out", type=Path, default=HERE.parent / "samples")
    out = arguments.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    for name, text in samples().items():
        (out / name).write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
