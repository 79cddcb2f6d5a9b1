"""`hone data stats`: what data is made of, and through a model how long its rows are and what limits cost."""

from __future__ import annotations

import argparse

from core.cli.datasets import data_config, opened, personal_in_words, spread_in_words
from core.cli.output import ProgressLine, say, say_json, table
from core.data.mapping import Meaning
from core.data.statistics import Statistics, statistics
from core.data.survey import survey
from core.figures import whole


def show_stats(options: argparse.Namespace) -> int:
    """Count what the rows hold; with --model their tokens too. Raises HoneError for data that cannot be opened."""
    from core.cli.previews import count_tokens

    config = data_config(options)
    line = ProgressLine()
    opened(config)  # what is packed is unpacked with a word

    def progress(done: int, total: int) -> None:
        line.told("Reading the data", done, total)

    try:
        if options.personal:
            data, seed = config.data, config.runtime.seed
            found = statistics(data.source, data.more, seed=seed, meaning=Meaning.of(data), personal=True,
                               progress=progress)  # fmt: skip
        else:
            found = survey(config, progress)
    finally:
        line.clear()
    counted = count_tokens(options, config) if options.model or options.sample else None
    if options.json:
        say_json({**found.model_dump(exclude_none=True), **(counted.document if counted else {})})
        return 0
    for text in in_words(found):
        say(text)
    if counted:
        say()
        for text in counted.words:
            say(text)
    return 0


def in_words(found: Statistics) -> list[str]:
    """The figures for people."""
    if not found.num_used:
        return [f"0 of {whole(found.num_rows)} rows can be used"]
    kinds = ", ".join(f"{whole(count)} of kind “{kind}”" for kind, count in found.formats.items())
    lines = [
        f"{whole(found.num_used)} of {whole(found.num_rows)} rows can be used: {kinds}",
        f"{whole(found.num_characters)} characters, {spread_in_words(found.characters, 'of them')}",
        "",
        table([(whole(count), script) for script, count in found.scripts.items()], ("ROWS", "WRITTEN IN")),
    ]
    if set(found.turns) != {0}:
        told = [(whole(count), whole(turns)) for turns, count in found.turns.items()]
        lines += ["", table(told[:20], ("ROWS", "ANSWERS IN EACH"))]
    if found.personal is not None:
        lines += ["", *personal_in_words(found)]
    return lines
