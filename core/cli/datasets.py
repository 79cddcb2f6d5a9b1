"""`hone data check` and `hone data show`: what a file holds, before anything is trained on it."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from core.cli.configs import anchored, change, parsed
from core.cli.output import ProgressLine, printable, say, say_json, table
from core.config import RunConfig
from core.data.check import check, no_usable_row
from core.data.export import export_problems
from core.data.kinds import LEFT_OUT, policy_of
from core.data.listing import MOST_LISTED as LISTED
from core.data.pace import now_and_then
from core.data.report import Report, Split, Spread
from core.data.row import Problem, Row
from core.data.run_rows import RunRows
from core.data.statistics import Statistics
from core.errors import HoneError
from core.figures import size, whole


def check_data(options: argparse.Namespace) -> int:
    """Read every row and report; through a model too where one is named. Raises HoneError for a file that holds
    nothing to train on."""
    config = data_config(options)
    report = checked(config)
    if options.model:
        from core.cli.previews import judged

        report = report.model_copy(update=dict(judged(config)))
    num_exported = _exported(config, options) if options.export else 0
    if options.json:
        exported = {"exported": options.export, "num_exported": num_exported} if options.export else {}
        say_json({**report.model_dump(), **exported})
    else:
        for line in in_words(report, len(config.data.more)):
            say(line)
        if options.export:
            say(f"\n{whole(num_exported)} problems and remarks are in {options.export}")
    if not report.num_used:
        raise no_usable_row(options.file, report.num_rows, report.problems[0])
    return 0


def data_config(options: argparse.Namespace) -> RunConfig:
    """The defaults with this data, and the changes of --set, --model and --personal. Raises HoneError."""
    config = RunConfig().with_value("data.source", options.file)
    texts = dict(change(text) for text in options.changes)
    config = config.with_values({path: parsed(config, path, text) for path, text in texts.items()})
    if getattr(options, "personal", False) and config.data.on_personal == "ignore":
        config = config.with_value("data.on_personal", "keep")
    if options.model:
        config = config.with_value("model.source", options.model)
    return anchored(config, Path.cwd())


def _exported(config: RunConfig, options: argparse.Namespace) -> int:
    """Write all problems to a file; returns how many there are. Raises HoneError."""
    target = Path(options.export)
    if options.model:
        from core.cli.previews import exported

        return exported(config, target)
    line = ProgressLine()
    try:
        return export_problems(
            config.data,
            config.runtime.seed,
            target,
            lambda done, total: line.show(f"Writing the problems: {done / total:.0%}") if done else None,
        )
    finally:
        line.clear()


def show_row(options: argparse.Namespace) -> int:
    """Print one row, counted from 1. Raises HoneError when there is no such row or it cannot be used."""
    if options.model:
        from core.cli.previews import show_tokens

        return show_tokens(options)
    config = data_config(options)
    rows = opened(config).data
    if not 1 <= options.row <= len(rows):
        raise HoneError(f"{options.file} has {whole(len(rows))} rows; --row {options.row} is none of them.")
    row = rows[options.row - 1]
    kind, file = rows.format_of(options.row - 1), rows.file_of(options.row - 1)
    if isinstance(row, Problem):
        reason = row.reason.removeprefix(f"{file}: ")
        raise HoneError(f"{file or options.file}, line {row.line}: {reason}.", path="data.source")
    if options.json:
        say_json({"row": options.row, "format": kind, "file": file, **dataclasses.asdict(row)})
    else:
        place = f"line {whole(row.line)}" + f" of {file}" * bool(file)
        say(f"Row {whole(options.row)} of {whole(len(rows))}, {place}, of kind “{kind}”")
        for line in row_in_words(row):
            say(line)
    return 0


def opened(config: RunConfig) -> RunRows:
    """The rows of a run, with progress on stderr while large files are unpacked and indexed. Raises HoneError."""
    line = ProgressLine()
    try:
        return RunRows.of(config.data, config.runtime.seed, now_and_then(line.told))
    finally:
        line.clear()


def checked(config: RunConfig) -> Report:
    """The report on a run's data, with progress on stderr while a large file is read. Raises HoneError."""
    line = ProgressLine()
    try:
        return check(
            config.data,
            config.runtime.seed,
            lambda done, total: line.show(f"Reading the data: {done / total:.0%}") if done else None,
            now_and_then(line.told),
        )
    finally:
        line.clear()


def _as_weighted(split: Split) -> str:
    """How the rows part as the weights show them, which is what a run trains on."""
    return (
        f"As often as their weights show them: {whole(split.num_trained)} trained, {whole(split.num_held)} held "
        f"out, {whole(split.num_left)} left out"
    )


def in_words(report: Report, num_more: int = 0) -> list[str]:
    """The report for people, as lines; `num_more` sources are mixed in."""
    named = report.path + f" and {num_more} more" * bool(num_more)
    lines = [
        f"{named} ({size(report.num_bytes)}), rows of kind “{report.format}”, {report.confidence:.0%} sure: "
        f"{report.seen}",
        f"{whole(report.num_used)} of {whole(report.num_rows)} rows used: {whole(report.num_trained)} trained, "
        f"{whole(report.num_held)} held out",
        *([_as_weighted(report.split)] if num_more else []),
        spread_in_words(report.characters, "characters"),
        *([printable(report.passed_in_words)] if report.passed else []),
    ]
    for counts, listed, heading in (
        (report.reasons, report.problems, "ROWS THAT CANNOT BE USED"),
        (report.remark_counts, report.remarks, "ROWS THAT ARE ODD"),
    ):
        if counts:
            shown = [(whole(count), kind, report.action_in_words(kind), _setting(kind))
                     for kind, count in counts.items()]  # fmt: skip
            places = [(f"{one.file} " * bool(one.file) + f"line {one.line}", one.reason) for one in listed]
            lines += ["", table(shown, (heading, "BECAUSE", "ARE", "SET BY")), "",
                      table(places, ("WHERE", "WHAT IS THE MATTER"))]  # fmt: skip
            if any(count > LISTED for count in counts.values()):
                lines.append(f"… the first {LISTED} of each kind; --export writes all")
    return [*lines, "", report.stop] if report.stop else lines


def _setting(kind: str) -> str:
    policy = policy_of(kind)
    return policy.path if policy else "an edit" if kind == LEFT_OUT else ""


def spread_in_words(spread: Spread, what: str) -> str:
    """How much of something rows have, from the least to the most."""
    if spread.min == spread.max:
        return f"{whole(spread.min)} {what} in a row"
    return f"{whole(spread.min)} to {whole(spread.max)} {what} in a row, median {whole(spread.median)}"


def row_in_words(row: Row) -> list[str]:
    """What a row says, as lines that a terminal can show."""
    if row.text:
        return ["", printable(row.text)]
    parts = [(message.role, message.content) for message in row.messages]
    parts += [("chosen", message.content) for message in row.chosen]
    parts += [("rejected", message.content) for message in row.rejected]
    parts += [] if row.label is None else [("verdict", "a good answer" if row.label else "a bad answer")]
    return [line for role, content in parts for line in ("", f"[{role}]", printable(content))]


def personal_in_words(found: Statistics) -> list[str]:
    """What looks personal, for people: counts and places, and never the thing itself."""
    personal = found.personal
    assert personal is not None
    if not personal.num_rows:
        return ["Nothing looks like personal data; patterns find most of it and not all."]
    counts = [(whole(count), kind) for kind, count in personal.counts.items()]
    listed = [
        (f"{trace.file} " * bool(trace.file) + f"line {trace.line}", trace.kind, trace.hint)
        for trace in personal.listed
    ]
    return [
        f"{whole(personal.num_rows)} of {whole(found.num_used)} rows hold what looks like personal data",
        "",
        table(counts, ("TIMES", "WHAT")),
        "",
        table(listed, ("WHERE", "WHAT", "BEGINS AND ENDS")),
    ]
