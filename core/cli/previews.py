"""`hone data show` and `stats` with --model: rows in a model's own tokens, asked of the preview worker."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.cli.datasets import data_config
from core.cli.output import ProgressLine, note, printable, say, say_json, table
from core.config import RunConfig
from core.data.lengths import Lengths
from core.data.packing import padding
from core.data.report import Findings
from core.errors import HoneError
from core.events import Failed, Progress, Warned
from core.figures import whole
from core.launch import worker_command, worker_environment
from core.preview import (
    Answer,
    Command,
    Export,
    Exported,
    Judge,
    Judged,
    Look,
    Looked,
    Measure,
    Measured,
    Seen,
    Sequence,
    Show,
    decode_answer,
    encode,
)


def show_tokens(options: argparse.Namespace) -> int:
    """Print one row, counted from 1, as the model sees it. Raises HoneError when there is no such row."""
    config = data_config(options)
    if options.row < 1:
        raise HoneError(f"Rows are counted from 1; --row {options.row} is none of them.")
    seen = next(answer for answer in asked(config, Show(rows=(options.row - 1,))) if isinstance(answer, Seen))
    if not seen.line:
        raise HoneError(f"{seen.refused}.")
    if options.json:
        say_json({**seen.model_dump(exclude={"type"}), "row": options.row})
        return 0
    say(f"Row {whole(options.row)}, line {seen.line}, through {config.model.source}")
    if seen.refused:
        say(f"This row is left out: {seen.refused}")
    for remark in seen.remarks:
        say(f"Note: {remark}")
    for sequence in seen.sequences:
        name = [f"[{sequence.name}]"] if sequence.name else []
        for line in ("", *name, _text_of(sequence, config.data.max_length), "", _in_words(sequence)):
            say(line)
    return 0


@dataclass(frozen=True)
class Counted:
    """Tokens of the data through a model, as a program and as a person reads them."""

    document: dict[str, Any]
    words: tuple[str, ...]


def count_tokens(options: argparse.Namespace, config: RunConfig) -> Counted:
    """Count the tokens of a sample, which is told on stderr, and then of every row. Raises HoneError."""
    measured = _measured(config, is_sample=True)
    if not options.sample and measured.num_measured < measured.num_rows:
        for text in Lengths.of(measured).in_words(config.data.max_length):
            note(f"About: {text}")
        measured = _measured(config, is_sample=False)
    lengths, limit = Lengths.of(measured), config.data.max_length
    packed = padding(lengths, limit, config.optim.batch_size, config.optim.accumulation)
    limits = sorted({limit, *(2**power for power in range(7, 21) if 2**power < 2 * lengths.longest)})
    document = {
        "model": config.model.source,
        **measured.model_dump(exclude={"type", "trained_at", "width"}),
        **lengths.summary(limit),
        "lost_at": {
            str(at): {
                "num_cut": lengths.num_cut(at),
                "num_lost": lengths.num_lost(at),
                "num_trained_lost": lengths.num_trained_lost(at),
            }
            for at in limits
        },
        "padding": {
            "without_packing": packed.without, "with_packing": packed.with_packing, "saved": packed.saved,
        },
    }  # fmt: skip
    found = f"about, from {whole(measured.num_measured)} of them" if lengths.is_sample else "all counted"
    words = [f"{whole(measured.num_rows)} rows through {config.model.source}, {found}", *lengths.in_words(limit)]
    if measured.lengths:
        saved = f"saves {packed.saved:.0%} of the work" if packed.saved > 0.005 else "saves nothing here"
        words.append(f"Batches are {packed.without:.0%} padding; packing {saved}")
    if measured.reasons:
        counts = [(whole(count), reason) for reason, count in measured.reasons.items()]
        words.append("\n" + table(counts, ("ROWS LEFT OUT", "BECAUSE")))
    return Counted(document, tuple(words))


def _measured(config: RunConfig, *, is_sample: bool) -> Measured:
    line, measured = ProgressLine(), None
    try:
        for answer in asked(config, Measure(is_sample=is_sample)):
            if isinstance(answer, Progress):
                line.show(f"{answer.label}: {answer.done / max(1, answer.total):.0%}")
            elif isinstance(answer, Measured):
                measured = answer
    finally:
        line.clear()
    assert measured is not None
    return measured


def judged(config: RunConfig) -> Findings:
    """What is wrong or odd about the rows as the model sees them, and what becomes of them. Raises HoneError."""
    answer = _last(config, Judge(data=config.data, seed=config.runtime.seed))
    assert isinstance(answer, Judged)
    return answer.findings


def exported(config: RunConfig, target: Path) -> int:
    """Write all of that to a file; returns how many lines there are. Raises HoneError."""
    command = Export(data=config.data, seed=config.runtime.seed, target=str(target.absolute()))
    answer = _last(config, command)
    return answer.num_lines if isinstance(answer, Exported) else 0


def _last(config: RunConfig, command: Judge | Export) -> Answer | None:
    """The last answer to a command, with progress on stderr until then."""
    line, last = ProgressLine(), None
    try:
        for last in asked(config, command):
            if isinstance(last, Progress):
                line.show(f"{last.label}: {last.done / max(1, last.total):.0%}")
    finally:
        line.clear()
    return last


def asked(config: RunConfig, command: Show | Measure | Judge | Export) -> Iterator[Answer]:
    """The worker's answers to one command about the config's data, up to the last. Raises HoneError."""
    commands: list[Command] = [Look.through(config), command]
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(
            worker_command("preview"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=worker_environment(),
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(b"".join(encode(command) for command in commands))
            process.stdin.flush()
            for line in process.stdout:
                match decode_answer(line):
                    case Failed(message=message, path=path):
                        raise HoneError(message, path=path)
                    case Warned(message=message):
                        raise HoneError(message)
                    case Looked() | None:
                        continue
                    case answer:
                        yield answer
                        if isinstance(answer, Seen | Measured | Judged | Exported):
                            return
        finally:
            process.kill()
        log.seek(0)
        words = log.read().decode(errors="replace").strip().splitlines()
        raise HoneError(f"The preview ended unexpectedly: {words[-1][:200] if words else 'memory may be short'}.")


def _text_of(sequence: Sequence, limit: int) -> str:
    """The text with its trained stretches marked: green where a terminal shows it, else in ⟦ ⟧."""
    begin, end = ("\x1b[32;4m", "\x1b[0m") if sys.stdout.isatty() else ("⟦", "⟧")
    words, was_trained = [], False
    for place, (text, is_trained, _) in enumerate(sequence.tokens):
        if place == limit and sequence.num_cut:
            words.append(end * was_trained + f"\n--- cut here, {whole(sequence.num_cut)} tokens are lost ---\n")
            was_trained = False
        if is_trained != was_trained:
            words.append(begin if is_trained else end)
        words.append(printable(text))
        was_trained = is_trained
    unseen = sequence.num_tokens - len(sequence.tokens)
    return "".join(words) + end * was_trained + (f" … and {whole(unseen)} tokens more" if unseen else "")


def _in_words(sequence: Sequence) -> str:
    kept = sequence.num_tokens - sequence.num_cut
    cut = f"; {whole(sequence.num_cut)} tokens are cut" if sequence.num_cut else ""
    pieces = f", in {len(sequence.splits) + 1} pieces" if sequence.splits else ""
    return f"{whole(sequence.num_trained)} of {whole(kept)} tokens are trained{pieces}{cut}"
