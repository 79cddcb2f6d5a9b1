"""What whole runs take of a computer's memory, against their estimates: `python tests/bench/processor_totals.py`.

Trains the starter and a random Llama of 30 million parameters on the processor through `hone train`, with one to
32 rows at once of some 20 to 350 tokens each, with adapters and in full, and writes what was predicted beside the
most that the worker's process took. Some eight minutes on two cores.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS.parent), str(TESTS / "worker")]

from real_peaks import save_model, settings_of  # noqa: E402  # pyright: ignore[reportMissingImports]

NUM_ROWS = 64
STARTER = TESTS.parent / "resources" / "starter" / "storyteller"
WIDER = {"hidden_size": 512, "intermediate_size": 1536, "num_hidden_layers": 8, "num_attention_heads": 8,
         "num_key_value_heads": 8}  # fmt: skip


@dataclass(frozen=True)
class Point:
    """A run: rows of so many words, so many of them at once, and what else is not as usual."""

    num_words: int
    batch_size: int
    is_checkpointed: bool = False
    others: tuple[str, ...] = ()
    is_wider: bool = False

    @property
    def settings(self) -> list[str]:
        return [
            f"optim.batch_size={self.batch_size}",
            f"memory.activation_checkpointing={str(self.is_checkpointed).lower()}",
            *self.others,
        ]


POINTS = (
    Point(10, 1),
    Point(10, 8),
    Point(60, 8),
    Point(60, 32),
    Point(200, 4),
    Point(200, 16),
    Point(200, 8, is_checkpointed=True),
    Point(200, 32, is_checkpointed=True),
    Point(60, 8, others=("method.kind=full",)),
    Point(200, 16, others=("memory.loss=full",)),
    Point(60, 8, others=("model.quantization=nf4",)),
    Point(200, 16, others=("model.quantization=nf4",)),
    Point(60, 32, is_wider=True),
    Point(200, 8, is_checkpointed=True, is_wider=True),
)


def write_rows(file: Path, num_words: int) -> None:
    """Prompts whose answers are that many words drawn from a sample's."""
    draw = random.Random(num_words)
    words = (TESTS.parent / "resources" / "samples" / "notes.txt").read_text(encoding="utf-8").split()
    rows = [
        {"prompt": f"Say {n}", "completion": " ".join(draw.choices(words, k=num_words))} for n in range(NUM_ROWS)
    ]
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")


def wider_model(folder: Path) -> Path:
    """A model of 30 million random parameters that reads and writes the starter's tokens."""
    shutil.copytree(STARTER, folder)
    return save_model({**settings_of(STARTER), **WIDER}, folder)


def totals(point: Point, model: str, folder: Path, epochs: int = 3) -> tuple[int, int]:
    """Trains in that folder. Returns the predicted and the measured peak of the process, in bytes."""
    data = folder / f"{point.num_words}.jsonl"
    write_rows(data, point.num_words)
    settings = [
        f"model.source={model}", f"data.source={data}", "data.max_length=512", f"optim.epochs={epochs}",
        "optim.accumulation=1", "runtime.device=cpu", *point.settings,
    ]  # fmt: skip
    command = [sys.executable, "-m", "core.cli", "train", "--runs", str(folder / "runs")]
    command += [word for setting in settings for word in ("--set", setting)]
    done = subprocess.run(command, cwd=TESTS.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    [events] = (folder / "runs").glob("*/events.jsonl")
    said = [json.loads(line) for line in events.read_text(encoding="utf-8").splitlines()]
    shutil.rmtree(folder / "runs")
    return next(event["predicted_peak_bytes"] for event in said if event["type"] == "started"), said[-1][
        "peak_bytes"
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--csv", type=Path, default=TESTS / "recorded" / "processor-totals.csv")
    options = parser.parse_args()
    errors = []
    with tempfile.TemporaryDirectory(prefix="hone-bench-") as root, options.csv.open("w", newline="") as file:
        folder = Path(root)
        os.environ["HONE_HOME"] = str(folder / "home")
        wider = str(wider_model(folder / "wider"))
        table = csv.writer(file)
        table.writerow(("model", "words_a_row", "settings", "predicted_bytes", "measured_bytes", "error"))
        for point in POINTS:
            predicted, measured = totals(point, wider if point.is_wider else "starter:storyteller", folder)
            errors.append(predicted / measured - 1)
            model = "llama-30m" if point.is_wider else "storyteller"
            row = (model, point.num_words, " ".join(point.settings), predicted, measured, f"{errors[-1]:+.4f}")
            table.writerow(row)
            print(*row, flush=True)
    mean = statistics.mean(map(abs, errors))
    print(f"{len(errors)} runs   mean {mean:.2%}   lowest {min(errors):+.2%}   highest {max(errors):+.2%}")


if __name__ == "__main__":
    main()
