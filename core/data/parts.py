"""How a dataset is put together: a part for each file of each source, its format, edits and weight."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from core.data import detection, formats, mix
from core.data.formats import Layout
from core.data.mapping import Meaning
from core.data.overlay import Overlay, key_of, read_overlay
from core.data.pace import Told
from core.data.part import Part, read_tree, reading
from core.data.row import Format, Problem, RowError
from core.data.source import DataFile, wrong
from core.data.spans import ListedSpans, find_spans, first_spans
from core.errors import HoneError

NO_MEANING = Meaning()
SAMPLED_FILES = 20
SAMPLED_ROWS = 100
"""Enough to tell the format of a file."""
ROWS_PER_TELLING = 10_000


def parts_of(source: str, files: Sequence[DataFile], name: str, meaning: Meaning, told: Told) -> list[Part]:
    """The files of one source, and the rows that edits add to it; `name` tells it from other sources."""
    overlay, seen = read_overlay(source), Counter[str]()
    layout = layout_of(source, files, meaning)
    found = []
    for data in files:
        with reading(source, data) as file:
            spans = find_spans(file, data, told)
            found.append(Part(source, _named(data, name), layout, spans, overlay.find(file, spans, seen)))
    if any(edit.edit == "add" for edit in overlay.edits):
        found.append(added_part(source, name, layout, overlay, seen))
    return found


def fitting(source: str, files: Sequence[DataFile], meaning: Meaning) -> Meaning:
    """What the columns of a source that is mixed in mean: the same as those of the data, where it has them."""
    try:
        layout_of(source, files, meaning)
    except HoneError as error:
        if error.path == "data.source":
            raise
        return NO_MEANING
    return meaning


def added_part(source: str, name: str, layout: Layout, overlay: Overlay, seen: Counter[str]) -> Part:
    data, listed = overlay.added()
    spans = ListedSpans(listed)
    with reading(source, data) as file:
        return Part(source, _named(data, name), layout, spans, overlay.find(file, spans, seen))


def _named(data: DataFile, name: str) -> DataFile:
    return replace(data, name=f"{name}/{data.name}".rstrip("/")) if name else data


def weighted(part: Part, weight: float, seed: int, told: Told) -> Part:
    """The part with its rows as often as the weight says."""
    if weight == 1:
        return part
    shares = None if weight == int(weight) else _shares(part, seed, told)
    return replace(part, order=mix.order(weight, len(part.spans), shares))


def _shares(part: Part, seed: int, told: Told) -> NDArray[np.float64]:
    """A number in [0, 1) for each row, from its content and the seed. Shape [rows]."""
    found = np.empty(len(part.spans))
    start = hashlib.blake2b(f"mixed {seed}".encode(), digest_size=8)
    with reading(part.source, part.data) as file:
        for number in range(len(found)):
            if number % ROWS_PER_TELLING == 0:
                told("Mixing", number, len(found))
            digest = start.copy()
            digest.update(key_of(file, part.spans[number])[0].encode())
            found[number] = int.from_bytes(digest.digest()[:6], "big") / 2**48
    return found


def common_format(source: str, found: list[Format]) -> Format:
    """What rows of several formats are together. Raises HoneError for pairs among other rows."""
    kinds = set(found)
    if len(kinds) == 1:
        return found[0]
    if kinds & {"preference", "kto"}:
        other = next(kind for kind in found if kind != found[0])
        raise wrong(
            f"{source} is mixed with data of another kind: {found[0]} rows and {other} rows are not learnt from "
            "together; mix in data of one kind.", path="data.more",
        )  # fmt: skip
    return "messages"


def layout_of(source: str, files: Sequence[DataFile], meaning: Meaning) -> Layout:
    """The layout of the first rows of the first files. Raises HoneError naming what was found instead."""
    texts = [data for data in files if data.container == "text"]
    if texts and len(texts) < len(files):
        other = next(data for data in files if data.container != "text")
        raise wrong(f"{source} mixes plain text ({texts[0].name}) with rows ({other.name}); give one kind.")
    if texts:
        return formats.PLAIN_TEXT
    trees, first = [], None
    for data in files[:SAMPLED_FILES]:
        with reading(source, data) as file:
            for span in first_spans(file, data, SAMPLED_ROWS):
                try:
                    trees.append(read_tree(file, span, data))
                except RowError as bad:
                    first = first or Problem(span.line, bad.reason, bad.kind)
    if trees and (layout := detection.layout_for(trees, meaning, source)):
        return layout
    if trees:
        raise wrong(detection.unknown(trees, source))
    if first and files[0].container == "table":
        raise wrong(f"{source} has no usable row: line {first.line}: {first.reason}.")
    if first:
        raise wrong(
            f"{source} has no usable row: line {first.line}: {first.reason}; put one JSON object on each line, "
            f"with {formats.EXPECTED}."
        )
    raise wrong(f"{source} holds no rows; give a file with at least one.")
