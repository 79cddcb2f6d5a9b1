"""`hone data check` and `hone data show`: what a file holds, before anything is trained on it."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from core.cli.configs import anchored, change, parsed
from core.cli.output import ProgressLine, say, say_json, table
from core.config import RunConfig
from core.data.check import Report, check, no_usable_row
from core.data.export import export_problems
from core.data.mapping import Meaning
from core.data.row import Problem, Row
from core.data.rows import NO_MEANING, rows_of
from core.data.statistics import Statistics, statistics
from core.errors import HoneError
from core.figures import size, whole


def check_data(options: argparse.Namespace) -> int:
    """Read every row and report. Raises HoneError for a file that holds nothing to train on."""
    config = data_config(options)
    meaning = Meaning.of(config.data)
    report = checked(options.file, config.data.more, meaning=meaning)
    num_exported = _exported(options.file, options.export, config, options.personal) if options.export else 0
    personal = _personal(options.file, config) if options.personal else None
    if options.json:
        exported = {"exported": options.export, "num_exported": num_exported} if options.export else {}
        say_json(
            {**report.model_dump(), **exported, **(personal.model_dump(include={"personal"}) if personal else {})}
        )
    else:
        for line in in_words(report):
            say(line)
        if personal:
            for line in ("", *personal_in_words(personal)):
                say(line)
        if options.export:
            say(f"\n{whole(num_exported)} problems and remarks are in {options.export}")
    if not report.num_used:
        raise no_usable_row(options.file, report.num_rows, report.problems[0])
    return 0


def _personal(source: str, config: RunConfig) -> Statistics:
    """The figures of the data with what looks personal in it. Raises HoneError."""
    line = ProgressLine()
    try:
        return statistics(
            source,
            config.data.more,
            seed=config.runtime.seed,
            meaning=Meaning.of(config.data),
            personal=True,
            progress=lambda done, total: (
                line.show(f"Looking for personal data: {done / total:.0%}") if done else None
            ),
        )
    finally:
        line.clear()


def data_config(options: argparse.Namespace) -> RunConfig:
    """The defaults with this data, and the changes of --set. Raises HoneError."""
    config = RunConfig().with_value("data.source", options.file)
    texts = dict(change(text) for text in options.changes)
    return anchored(
        config.with_values({path: parsed(config, path, text) for path, text in texts.items()}), Path.cwd()
    )


def _exported(source: str, target: str, config: RunConfig, personal: bool) -> int:
    """Write all problems to a file; returns how many there are. Raises HoneError."""
    line = ProgressLine()
    try:
        return export_problems(
            source,
            Path(target),
            holdout=config.data.holdout,
            seed=config.runtime.seed,
            more=config.data.more,
            meaning=Meaning.of(config.data),
            personal=personal,
            progress=lambda done, total: line.show(f"Writing the problems: {done / total:.0%}") if done else None,
        )
    finally:
        line.clear()


def show_row(options: argparse.Namespace) -> int:
    """Print one row, counted from 1. Raises HoneError when there is no such row or it cannot be used."""
    if options.model:
        from core.cli.previews import show_tokens

        return show_tokens(options)
    config = data_config(options)
    rows = rows_of(config.data, config.runtime.seed)
    if not 1 <= options.row <= len(rows):
        raise HoneError(f"{options.file} has {whole(len(rows))} rows; --row {options.row} is none of them.")
    row = rows[options.row - 1]
    if isinstance(row, Problem):
        raise HoneError(f"{options.file}, line {row.line}: {row.reason}.", path="data.source")
    if options.json:
        say_json({"row": options.row, "format": rows.format, **dataclasses.asdict(row)})
    else:
        say(f"Row {options.row} of {whole(len(rows))}, line {row.line}, {rows.format}")
        for line in row_in_words(row):
            say(line)
    return 0


def checked(source: str, more: Sequence[str] = (), *, meaning: Meaning = NO_MEANING) -> Report:
    """The report on a dataset, with progress on stderr while a large file is read. Raises HoneError."""
    line = ProgressLine()
    try:
        return check(
            source,
            lambda done, total: line.show(f"Reading the data: {done / total:.0%}") if done else None,
            more=more,
            meaning=meaning,
        )
    finally:
        line.clear()


def in_words(report: Report) -> list[str]:
    """The report for people, as lines."""
    lines = [
        f"{report.path} ({size(report.num_bytes)}), rows of kind “{report.format}”, {report.confidence:.0%} sure: "
        f"{report.seen}",
        f"{whole(report.num_used)} of {whole(report.num_rows)} rows can be used",
        f"A row has {whole(report.characters.median)} characters in the middle, {whole(report.characters.min)} to "
        f"{whole(report.characters.max)}",
    ]
    if report.num_skipped:
        counts = [(whole(count), kind) for kind, count in report.reasons.items()]
        listed = [(f"line {problem.line}", problem.reason) for problem in report.problems]
        lines += ["", table(counts, ("ROWS LEFT OUT", "BECAUSE")), "", table(listed, ("WHERE", "WHAT IS WRONG"))]
        if report.num_skipped > len(listed):
            lines.append(f"… and {whole(report.num_skipped - len(listed))} more")
    if report.remark_counts:
        counts = [(whole(count), kind) for kind, count in report.remark_counts.items()]
        listed = [(f"line {remark.line}", remark.reason) for remark in report.remarks]
        lines += [
            "",
            table(counts, ("ROWS USED ALL THE SAME", "AND")),
            "",
            table(listed, ("WHERE", "WHAT IS ODD")),
        ]
    return lines


def row_in_words(row: Row) -> list[str]:
    """What a row says, as lines."""
    if row.text:
        return ["", row.text]
    parts = [(message.role, message.content) for message in row.messages]
    parts += [("chosen", message.content) for message in row.chosen]
    parts += [("rejected", message.content) for message in row.rejected]
    return [line for role, content in parts for line in ("", f"[{role}]", content)]


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
