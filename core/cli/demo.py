"""`hone demo`: trains the demonstration's run as any other, then shows what it has learnt."""

from __future__ import annotations

import argparse
import textwrap
import time

from core import launch
from core.cli import INTERRUPTED
from core.cli.output import ProgressLine, note, say, say_json
from core.cli.preflight import check_ready
from core.cli.stores import chosen_store
from core.cli.training import Follower, report
from core.demo import LEAST_TUNED, MOST_BASE, Answer, ask_both, demo_config, held_out_prompts, score
from core.errors import HoneError
from core.figures import duration, size
from core.history import summarise

NUM_SHOWN = 3
COLUMN = 50


def run_demo(options: argparse.Namespace) -> int:
    """Train, ask and score. Raises HoneError when the model has not learnt what it should."""
    began = time.monotonic()
    config = demo_config()
    store = chosen_store(options)
    check_ready(config, store.root)
    run = store.create(config, options.name)
    note("Teaching the storyteller, who only knows stories, to write poems.")
    follower = Follower(run)
    follower.follow(launch.start_training(run))
    found = summarise(run)
    if follower.num_interrupts or found["state"] != "done":
        return report(run, options, interrupted=follower.num_interrupts > 0) or INTERRUPTED
    trained = time.monotonic()

    prompts = held_out_prompts()
    note(f"Asking both about {len(prompts)} things that neither has seen.")
    line = ProgressLine()
    answers: list[Answer] = []
    for answer in ask_both(run, prompts):
        answers.append(answer)
        line.show(f"{len(answers)} of {len(prompts)} answered")
    line.clear()
    shares = score(answers)
    ended = time.monotonic()

    if options.json:
        say_json({
            **found,
            "rhyming_share": {"base": shares.base, "tuned": shares.tuned},
            "num_prompts": len(prompts),
            "training_seconds": trained - began,
            "asking_seconds": ended - trained,
            "answers": [vars(answer) for answer in answers],
        })  # fmt: skip
    else:
        for answer in answers[:NUM_SHOWN]:
            say(side_by_side(answer))
        say(f"Rhyming verse  base {shares.base:.0%}, tuned {shares.tuned:.0%} of {len(prompts)} held-out prompts")
        say(f"Peak memory    {size(found['predicted_peak_bytes'] or 0)} predicted, "
            f"{size(found['measured_peak_bytes'] or 0)} measured")  # fmt: skip
        say(f"Time           {duration(trained - began)} to train, {duration(ended - trained)} to ask")
        say(f"Adapter        {found['adapter']}")
        say(f'Talk to it     hone chat {run.id} --base --prompt "Tell me about a fox."')
    if not shares.is_learnt:
        raise HoneError(
            f"The demonstration fell short: {shares.tuned:.0%} of the tuned answers rhyme where at least "
            f"{LEAST_TUNED:.0%} should, and {shares.base:.0%} of the base's where at most {MOST_BASE:.0%} should; "
            "see whether hone doctor finds a problem."
        )
    return 0


def side_by_side(answer: Answer) -> str:
    """The prompt above both answers, each in a column of its own."""
    left, right = _wrapped(answer.base), _wrapped(answer.tuned)
    rows = [("BASE", "TUNED")]
    for place in range(max(len(left), len(right))):
        rows.append((left[place] if place < len(left) else "", right[place] if place < len(right) else ""))
    lines = [f"  {one:<{COLUMN}}  │ {other}".rstrip() for one, other in rows]
    return "\n".join([f"“{answer.prompt}”", *lines, ""])


def _wrapped(text: str) -> list[str]:
    """Lines no wider than a column; a poem keeps its own."""
    return [part for line in text.splitlines() for part in textwrap.wrap(line, COLUMN) or [""]]
