"""Tokenising a dataset, rows read, rendered and masked, against bare encode_batch over the finished texts.

    python tests/bench/tokenising.py [--pairs 20] [--rows 2048] [--model FOLDER] [SHAPE ...]

Each pair times both over the same rows, one right after the other and in turns which is first, so that what else
the machine does falls on both alike; the middle of their ratios is printed, with the half of them around it. The
processor's time is there beside the clock's, since what another program takes is none of it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from core.data.row import Problem, Row
from core.data.rows import Rows, open_rows
from core.places import RESOURCES
from core.worker.examples import Encoder
from core.worker.template import ChatTemplate, ensure_template
from core.worker.token_cache import read, write
from core.worker.tokenizer import load_tokenizer
from core.worker.tokens import CHUNK_ROWS, tokenise

os.environ["TOKENIZERS_PARALLELISM"] = "true"  # as workers have it


class Shape(NamedTuple):
    """What rows are like: chats with so many answers of so many words, or plain text without any."""

    num_turns: int
    num_words: int
    share: float = 1.0
    """Of --rows, where rows are long."""


SHAPES = {
    "single": Shape(1, 200),
    "turns": Shape(3, 200, 0.5),
    "text": Shape(0, 200),
    "long": Shape(1, 4000, 0.125),
}


class Stretch(Sequence["Row | Problem"]):
    """Some rows of a dataset, one after another."""

    def __init__(self, rows: Rows, places: range) -> None:
        self._rows, self._places = rows, places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: Any) -> Any:
        found = self._places[index]
        return self._rows[found.start : found.stop] if isinstance(index, slice) else self._rows[found]


class Took(NamedTuple):
    """Seconds of the clock and of the processor."""

    wall: float
    processor: float


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("shapes", nargs="*", choices=[[], *SHAPES], default=[], metavar="SHAPE")
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--rows", type=int, default=2048, help="in each pair")
    parser.add_argument("--model", type=Path, default=RESOURCES / "starter" / "storyteller")
    options = parser.parse_args()
    tokenizer = load_tokenizer(options.model)
    ensure_template(tokenizer)
    encoder = Encoder(tokenizer, ChatTemplate(tokenizer), train_on="answers")
    for name in options.shapes or SHAPES:
        with tempfile.TemporaryDirectory() as folder:
            compare(name, SHAPES[name], encoder, options.pairs, options.rows, Path(folder))


def compare(name: str, shape: Shape, encoder: Encoder, num_pairs: int, num_rows: int, folder: Path) -> None:
    """Print the ratios over rows of one shape."""
    rows_each = max(CHUNK_ROWS, int(num_rows * shape.share))
    file = write_rows(folder, 4 * rows_each, shape)
    rows = open_rows(str(file))
    stretches = [Stretch(rows, range(first, first + rows_each)) for first in range(0, 4 * rows_each, rows_each)]
    texts = [
        [
            text.rendered.text
            for found in encoder.render(list(stretch))
            if isinstance(found, list)
            for text in found
        ]
        for stretch in stretches
    ]

    def bare(number: int) -> None:
        for first in range(0, rows_each, CHUNK_ROWS):
            encoder._rust.encode_batch(texts[number][first : first + CHUNK_ROWS], add_special_tokens=False)

    def whole(number: int) -> None:
        tokenise(stretches[number], encoder)

    bare(0)  # fills the tokenizer's memory of words
    whole(0)
    ratios: list[tuple[float, float]] = []
    for pair in range(num_pairs):
        number = pair % len(stretches)
        jobs = [bare, whole] if pair % 2 else [whole, bare]
        took = {job: timed(job, number) for job in jobs}
        ratios.append((took[whole].wall / took[bare].wall, took[whole].processor / took[bare].processor))
    walls, processors = zip(*ratios, strict=True)
    made = tokenise(stretches[0], encoder)
    write(folder / "entry", made)
    kept = timed(lambda _: read(folder / "entry"), 0).wall
    megabytes = sum(map(len, texts[0])) / 1e6
    print(
        f"{name:8} {rows_each:,} rows, {megabytes:.1f} MB, {len(made.tokens):,} tokens; kept, read in {kept:.3f} s"
    )
    print(f"  clock      {spread(walls)}")
    print(f"  processor  {spread(processors)}", flush=True)


def timed(job: Callable[[int], object], number: int) -> Took:
    """What one run of a job takes."""
    wall, processor = time.perf_counter(), time.process_time()
    job(number)
    return Took(time.perf_counter() - wall, time.process_time() - processor)


def spread(ratios: Sequence[float]) -> str:
    """The middle of the ratios, and where the half of them around it lies."""
    low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75])
    return f"{middle:.3f}  ({low:.3f} to {high:.3f}, {len(ratios)} pairs)"


def write_rows(folder: Path, num_rows: int, shape: Shape) -> Path:
    """A file of chats, or of text, of words from the bundled notes."""
    dice = random.Random(0)
    words = (RESOURCES / "samples" / "notes.txt").read_text(encoding="utf-8").split()

    def said(num_words: int) -> str:
        return " ".join(dice.choices(words, k=num_words))

    if not shape.num_turns:
        file = folder / "rows.txt"  # paragraphs, each long enough to be a row of its own
        file.write_text("\n\n".join(said(shape.num_words) for _ in range(num_rows)), encoding="utf-8")
        return file
    file = folder / "rows.jsonl"
    with file.open("w", encoding="utf-8") as out:
        for _ in range(num_rows):
            turns = []
            for _ in range(shape.num_turns):
                turns.append({"role": "user", "content": said(20)})
                turns.append({"role": "assistant", "content": said(shape.num_words)})
            out.write(json.dumps({"messages": turns}) + "\n")
    return file


if __name__ == "__main__":
    main()
