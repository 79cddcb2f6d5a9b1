"""Rows of hybrids. Some of their layers take a row chunk by chunk, in a loop that runs once for each.

Toys with two chunks a row and toys with three are traced. What the latter keep more of is what a chunk keeps, just
as what a deeper toy keeps more of is what a layer keeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from fractions import Fraction

from core.memory.modes import Mode
from core.memory.symbols import PRODUCTS
from core.models.families import FAMILIES
from core.models.mixers import ATTENTION, DELTA_CHUNK
from core.worker.rows import (
    TINY,
    Loss,
    Peak,
    Row,
    Solved,
    Tops,
    Toys,
    UnsolvedError,
    Vector,
    Where,
    row_of,
    solve,
    trace_row,
)
from core.worker.toys import HYBRID_TOYS

FEW, MANY = 2, 3
"""Chunks of a row of the toys."""
BEYOND = (27, 41)
"""Tokens of a toy's last chunk: neither none nor all that go into one."""


def takes_chunks(family: str) -> bool:
    """Whether layers of a family, or of one kind of a hybrid's, go through a row chunk by chunk."""
    name, _, kind = family.partition(":")
    return FAMILIES[name].mixer not in ("", "conv") and not kind.endswith(ATTENTION)


def trace_hybrid_row(family: str, mode: Mode, loss: Loss = "chunked") -> Row:
    """What a mode of training keeps in layers of a hybrid that take no chunks. Raises UnsolvedError."""
    return trace_row(family, mode, loss, toys=HYBRID_TOYS)


def trace_chunked_row(family: str, mode: Mode, loss: Loss = "chunked") -> Row:
    """What a mode of training keeps in such a family. Raises UnsolvedError."""
    few, many = (solve(family, mode, loss, toys=_toys(family, num_chunks)) for num_chunks in (FEW, MANY))
    layers = {
        phase: _joined(tops, many.layers[phase], few.operations[phase], many.operations[phase])
        for phase, tops in few.layers.items()
    }
    heads = {section: _joined(tops, many.heads[section]) for section, tops in few.heads.items()}
    stash = {
        section: [_in_chunks(*pair) for pair in zip(standing, many.stash[section], strict=True)]
        for section, standing in few.stash.items()
    }
    return row_of(Solved(layers, stash, heads, few.operations))


def _toys(family: str, num_chunks: int) -> Toys:
    is_fixed = FAMILIES[family.partition(":")[0]].mixer != "mamba"
    first, second = (
        replace(toy, length=(num_chunks - 1) * (DELTA_CHUNK if is_fixed else toy.mixer_chunk) + beyond)
        for toy, beyond in zip(HYBRID_TOYS, BEYOND, strict=True)
    )
    return first, second


def _joined(
    few: Tops[Where, Peak], many: Tops[Where, Peak], operations: Sequence[str] = (), others: Sequence[str] = ()
) -> Tops[Where, Peak]:
    """The tops that both toys have. What only the one with more chunks does is one more turn of a loop; memory
    rises or falls with each turn, so the first and the last are enough. Without operations both do the same."""
    blocks = SequenceMatcher(None, operations, others, autojunk=False).get_matching_blocks()
    twins = {start + i: other + i for start, other, size in blocks for i in range(1, size + 1)}
    found: Tops[Where, Peak] = {}
    for number, (where, peak) in few.items():
        twin = many.get(twins.get(number, -1) if operations else number)
        if twin and twin[0] == where:
            found[number] = where, _in_chunks(peak, twin[1])
    return found


def _in_chunks(few: Peak, many: Peak) -> Peak:
    return Peak(_split(few.fixed, many.fixed), _split(few.per_layer, many.per_layer))


def _split(few: Vector, many: Vector) -> Vector:
    """Bytes of each chunk are what the toy with more chunks has more."""
    found: Vector = {}
    for part, product in few.keys() | many.keys():
        less = few.get((part, product), Fraction())
        per_chunk = (many.get((part, product), Fraction()) - less) / (MANY - FEW)
        found[part, product] = less - FEW * per_chunk
        if f"c{product}" in PRODUCTS:
            found[part, f"c{product}"] = per_chunk
        elif per_chunk > TINY or (per_chunk and product != "11"):
            raise UnsolvedError(f"{part} of {product} hangs on the number of chunks")
    return {key: value for key, value in found.items() if value}
