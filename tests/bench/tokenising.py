"""Tokenising a whole dataset, rows read, rendered and masked, against bare encode_batch over the finished texts.

    python tests/bench/tokenising.py [--rows 20000] [--words 200]

Both are timed in turns in one process, and the ratio of their best times is printed.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from pathlib import Path

from core.data.rows import open_rows
from core.places import RESOURCES
from core.worker.examples import Encoder
from core.worker.template import ChatTemplate, ensure_template
from core.worker.token_cache import read, write
from core.worker.tokenizer import load_tokenizer
from core.worker.tokens import CHUNK_ROWS, tokenise


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--words", type=int, default=200, help="in an answer")
    parser.add_argument("--turns", type=int, default=1, help="answers in a row")
    parser.add_argument("--model", type=Path, default=RESOURCES / "starter" / "storyteller")
    parser.add_argument("--times", type=int, default=3)
    options = parser.parse_args()
    tokenizer = load_tokenizer(options.model)
    ensure_template(tokenizer)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.jsonl"
        write_rows(file, options.rows, options.words, options.turns)
        rows = open_rows(str(file))
        encoder = Encoder(tokenizer, ChatTemplate(tokenizer), max_length=4096, train_on="answers")
        texts = [text.rendered.text for texts in encoder.render(list(rows)) for text in texts]
        bare, whole, made = [], [], tokenise(rows, encoder)
        for _ in range(options.times):
            began = time.perf_counter()
            for first in range(0, len(texts), CHUNK_ROWS):
                encoder._rust.encode_batch(texts[first : first + CHUNK_ROWS], add_special_tokens=False)
            bare.append(time.perf_counter() - began)
            began = time.perf_counter()
            tokenise(rows, encoder)
            whole.append(time.perf_counter() - began)
        write(Path(folder) / "entry", made)
        began = time.perf_counter()
        read(Path(folder) / "entry")
        kept = time.perf_counter() - began
    megabytes = sum(map(len, texts)) / 1e6
    print(f"{len(made.tokens):,} tokens in {options.rows:,} rows, {megabytes:.0f} MB")
    print(f"bare encode_batch  {min(bare):6.2f} s  {megabytes / min(bare):5.1f} MB/s")
    print(f"rows to tokens     {min(whole):6.2f} s  {megabytes / min(whole):5.1f} MB/s")
    print(f"kept, read back    {kept:6.2f} s")
    print(f"ratio              {min(whole) / min(bare):6.2f}")


def write_rows(file: Path, num_rows: int, num_words: int, num_turns: int) -> None:
    """Chats of words from the bundled notes."""
    dice = random.Random(0)
    words = (RESOURCES / "samples" / "notes.txt").read_text(encoding="utf-8").split()
    with file.open("w", encoding="utf-8") as out:
        for _ in range(num_rows):
            turns = []
            for _ in range(num_turns):
                turns.append({"role": "user", "content": " ".join(dice.choices(words, k=20))})
                turns.append({"role": "assistant", "content": " ".join(dice.choices(words, k=num_words))})
            out.write(json.dumps({"messages": turns}) + "\n")


if __name__ == "__main__":
    main()
