"""Writes what is traced of each family into resources/activations, one file a family.

`python -m core.worker rows [--missing] [FAMILY ...]` makes them anew; without a name, all of them. With --missing
only modes that a file lacks are traced, unless it is of other libraries.
"""

from __future__ import annotations

import functools
import gc
import importlib.metadata
import itertools
import json
import logging
import math
import random
import sys
import warnings
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray

from core import durable, places
from core.memory.modes import Targets, hybrid_modes, worth_tracing
from core.memory.rows import (
    BETWEEN,
    PART_LETTERS,
    PLACES,
    SAME_AS,
    SINGLE,
    STAND_IN,
    STOCK,
    UNGROUPED,
    read_file,
    spelt,
)
from core.memory.symbols import PRODUCTS, values
from core.memory.targets import TRACED
from core.models.families import FAMILIES, Family
from core.models.mixers import ATTENTION, LINEAR, MIXTURE, OUTPUT, Mixer
from core.worker.chunked_rows import takes_chunks, trace_chunked_row, trace_hybrid_row
from core.worker.rows import NUM_STAGES, Loss, Peak, Row, UnsolvedError, trace_row
from core.worker.toys import DROPPING, FALCONS, FUSED, ONE_HEADED, WINDOWED

MISSING = "--missing"
LIBRARIES = ("torch", "transformers", "peft", "bitsandbytes")

SECTIONS = {"training 1": "once", "training 2": "again", "evaluation 1": "evaluation"}
"""The first batch of a step, a later one that finds gradients in place, and a scored one."""
LOSSES: tuple[Loss, ...] = ("chunked", "single", "full")
TRAINED_LOSSES: tuple[Loss, ...] = (*LOSSES, "double")
"""What is traced of a head that is trained. Others leave too little of a chunk to the next one to matter."""
CLOSE_ENOUGH = 0.996
NEAR = 0.99
"""The same where another place or stage has the largest peak."""
NUM_SAMPLES = 500

Written = dict[str, Any]
NOTHING: Written = {"rows": {}, "heads": {}}


def main(arguments: list[str]) -> int:
    """Trace the named families, or all, and write their files."""
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    torch.set_num_threads(1)  # the tensors are tiny
    families = [family for family in arguments if family != MISSING] or [STOCK, *_traceable()]
    for family in families:
        path = places.RESOURCES / "activations" / f"{family.replace(':', '_')}.json"
        known = _known(path) if MISSING in arguments else NOTHING
        written = trace_stock() if family == STOCK else trace_family(family, known)
        text = text_of(written)
        durable.write_file(path, text + "\n")
        sys.stderr.write(f"{family}: {len(written['rows'])} rows, {len(text):,} bytes\n")
    return 0


def _traceable() -> list[str]:
    """Every family with rows of its own, and every kind of layers of a hybrid: "lfm2:linear"."""
    found = [*(f"{name}:{UNGROUPED}" for name in FUSED), *(f"{name}:{SINGLE}" for name in ONE_HEADED)]
    found += [f"falcon:{kind}" for kind in FALCONS]
    for name, family in FAMILIES.items():
        is_mixed = family.mixer and not family.is_parallel
        built = ("", MIXTURE) if family.experts == "granite" else ("",)  # whose models may have no experts
        kinds = [f"{name}:{one}{kind}" for one in built for kind in (LINEAR, ATTENTION)]
        found += kinds if is_mixed else [name]
    return [name for name in found if name not in SAME_AS]


def text_of(written: Written) -> str:
    """The text of a family's file. A peak's terms of one part are a group; every group stands in one text, every
    peak as the numbers of its groups in another, and rows and heads hold the numbers of their peaks."""
    groups: dict[str, int] = {}
    peaks: dict[tuple[int, ...], int] = {}

    def numbered(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: numbered(more) for key, more in value.items()}
        if isinstance(value, list):
            return [numbered(more) for more in value]
        of_parts = [" ".join(terms) for _, terms in itertools.groupby(value.split(), key=lambda term: term[0])]
        return peaks.setdefault(tuple(groups.setdefault(one, len(groups)) for one in of_parts), len(peaks))

    tables = {key: numbered(written[key]) for key in ("rows", "heads")}
    numbers = [" ".join(map(str, one)) for one in peaks]
    lists = {"groups": BETWEEN.join(groups), "peaks": BETWEEN.join(numbers)}
    whole = {"versions": written["versions"], **lists, **tables}
    text = json.dumps(whole, separators=(",", ":"))
    for end in ('}},"', '","', '},"heads'):
        text = text.replace(end, end.replace(",", ",\n", 1))
    return text


def trace_stock() -> Written:
    """Rows of the plain loop, and heads of it and of the Trainer's, traced on Llama."""
    from core.worker.stock_rows import stock_heads, stock_modes, stock_rehearsal

    plain, trainer = stock_rehearsal(is_plain=True), stock_rehearsal(is_plain=False)
    rows: Written = {}
    heads: Written = {}
    for mode in stock_modes():
        traced = trace_row(STAND_IN, mode, "full", plain)
        rows[mode.name] = write_row(traced)
        heads[f"{mode.head} {STOCK}"] = write_head(traced)
    for mode in stock_heads():
        heads[f"{mode.head} {STOCK}"] = write_head(trace_row(STAND_IN, mode, "full", trainer))
    return {"versions": _versions(), "rows": rows, "heads": heads}


def _known(path: Path) -> Written:
    """What a file holds, as it was traced; nothing when other libraries were, or there is no file."""
    file = read_file(path) if path.is_file() else {}
    return as_traced(file) if file.get("versions") == _versions() else NOTHING


def as_traced(file: Written) -> Written:
    """The rows and heads of a file, with every peak in words again."""

    def whole(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: whole(more) for key, more in value.items()}
        if isinstance(value, list):
            return [whole(more) for more in value]
        return spelt(file, value)

    return {table: whole(file[table]) for table in ("rows", "heads")}


def trace_family(family: str, already: Written) -> Written:
    """Everything that is kept about a family, or about one kind of a hybrid's layers. A mode it does not have is
    left out, and one that is known already is not traced."""
    rows: Written = {}
    heads: Written = {}
    name, _, kind = family.partition(":")
    known = FAMILIES[name]
    trace = trace_chunked_row if takes_chunks(family) else trace_hybrid_row if known.mixer else trace_row
    is_mixed = bool(known.mixer and kind)
    # All kinds of a hybrid are under one head.
    with_head = family.replace(LINEAR, ATTENTION) if is_mixed else family
    trace_head = trace_hybrid_row if is_mixed else trace
    if known.mixer:
        is_linear = kind.endswith(LINEAR)
        modes = hybrid_modes(_choices(known, is_linear=is_linear), is_linear=is_linear)
    else:
        modes = worth_tracing(
            "sdpa" if known.sdpa else "eager",
            name in WINDOWED,
            drops=name in DROPPING,
            is_mixture=bool(known.experts),
        )
    for mode in modes:
        gc.collect()
        gc.freeze()  # each rehearsal begins with a collection, which need not look at what stands
        try:
            traced = None
            row = already["rows"].get(mode.name)
            if row is None:
                traced = trace(family, mode)
                row = write_row(traced)
            rows[mode.name] = row
            for loss in TRAINED_LOSSES if mode.method == "full" else LOSSES:
                head = f"{mode.head} {loss}"
                if head in heads:
                    continue
                of_head = already["heads"].get(head)
                if of_head is None:
                    in_row = traced if loss == "chunked" else None
                    of_head = write_head(in_row or trace_head(with_head, mode, loss))
                heads[head] = of_head
        except UnsolvedError as error:
            sys.stderr.write(f"{family} {mode.name}: {error}\n")
    return {"versions": _versions(), "rows": rows, "heads": heads}


def _choices(family: Family, *, is_linear: bool) -> list[Targets]:
    """The choices of matrices that adapters may be on alone in a kind of a hybrid's layers."""
    is_named = {
        "values": not is_linear,
        "attention": not is_linear or family.output == OUTPUT,  # as a mixer's last matrix is called too
        "mlp": family.experts in ("", "granite"),  # whose MLP beside experts gets adapters
    }
    return [choice for choice in TRACED if is_named[choice]]


def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in LIBRARIES}


def write_row(row: Row) -> Written:
    """A row as JSON: for each section what stands at each stage of the head, and the peaks of each place in
    layers."""
    written: Written = {}
    for section, name in SECTIONS.items():
        places = [row.layers[section].get(place, []) for place in PLACES]
        written[name] = {
            "stash": [write_peak(peak) for peak in row.stash[section]],
            "layer": [[write_peak(peak) for peak in peaks] for peaks in sift(places)],
        }
    return written


def write_head(row: Row) -> Written:
    """The peaks of head and loss by stage, beyond what stands of the model's then."""
    written: Written = {}
    for section, name in SECTIONS.items():
        stages = [[peak for stage, peak in row.heads[section] if stage == number] for number in range(NUM_STAGES)]
        written[name] = [[write_peak(peak) for peak in peaks] for peaks in sift(stages)]
    return written


def write_peak(peak: Peak) -> str:
    """Its terms with a space between: the letter of the part, the product, a colon, and the bytes per unit, with
    those per layer after a plus sign: "aTh:4+2 hNV:12"."""
    terms = []
    for part, product in sorted(peak.fixed.keys() | peak.per_layer.keys()):
        fixed, per_layer = (vector.get((part, product), Fraction()) for vector in (peak.fixed, peak.per_layer))
        more = f"+{_number(per_layer)}" if per_layer else ""
        terms.append(f"{PART_LETTERS[part]}{product}:{_number(fixed)}{more}")
    return " ".join(terms)


def _number(value: Fraction) -> int | float:
    return value.numerator if value.denominator == 1 else float(value)


def sift(groups: list[list[Peak]]) -> list[list[Peak]]:
    """Few of the peaks of each group, such that for any real model and batch the largest of them is within a
    hundredth of the group's largest, and within four thousandths where that is the largest of all. Real ones are
    drawn at random."""
    units, layers = _samples()
    totals = [
        np.stack([_along(peak.fixed, units) + layers * _along(peak.per_layer, units) for peak in peaks])
        for peaks in groups
        if peaks
    ]
    largest = np.max([found.max(axis=0) for found in totals], axis=0)
    sifted = iter([_covering(found, largest) for found in totals])
    return [[peaks[number] for number in next(sifted)] if peaks else [] for peaks in groups]


def _covering(totals: NDArray[np.float64], largest: NDArray[np.float64]) -> list[int]:
    """Which of a group's peaks to keep, where `totals` [peaks, samples] are theirs and `largest` of all groups."""
    top = totals.max(axis=0)
    allowed = np.where(top >= largest * NEAR, 1 - CLOSE_ENOUGH, 1 - NEAR) * np.abs(top)
    is_close = totals >= top - allowed
    chosen: list[int] = []
    uncovered = np.ones(NUM_SAMPLES, dtype=np.bool_)
    while uncovered.any():
        best = int((is_close & uncovered).sum(axis=1).argmax())
        chosen.append(best)
        uncovered &= ~is_close[best]
    return sorted(chosen)


def _along(vector: dict[tuple[str, str], Fraction], units: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = np.zeros(len(PRODUCTS))
    for (_, product), value in vector.items():
        weights[PRODUCTS.index(product)] += float(value)
    return weights @ units


@functools.cache
def _samples() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What every product is for models and batches as people have them, [products, samples], and layers."""
    random_, mixers, shared = random.Random(0), random.Random(1), random.Random(2)
    drawn, layers = [], []
    for _ in range(NUM_SAMPLES):
        head_dim, heads = (
            random_.choice((32, 64, 80, 96, 128, 256)),
            random_.choice((4, 8, 9, 12, 16, 24, 32, 40, 64)),
        )
        hidden = head_dim * heads if random_.random() < 0.7 else random_.randrange(256, 12288, 64)
        facts = SimpleNamespace(
            hidden=hidden, head_dim=head_dim, num_heads=heads, query=head_dim * heads,
            mlp=int(hidden * random_.uniform(1, 5.5)),
            vocab=round(math.exp(random_.uniform(math.log(2e3), math.log(3e5)))),
            num_experts=random_.choice((8, 32, 64, 128)), experts_per_token=random_.choice((1, 2, 4, 8)),
        )  # fmt: skip
        facts.mixer = _mixer(mixers)
        facts.shared_mlp = round(facts.mlp * shared.choice((0.5, 1, 2, 4)))
        facts.num_kv_heads = max(1, heads // random_.choice((1, 1, 2, 4, 8)))
        facts.key_value = facts.num_kv_heads * head_dim
        length, rows = 2 ** random_.randrange(5, 16), 2 ** random_.randrange(0, 7)
        trained = max(1, round(rows * (length - 1) * random_.choice((0.2, 0.6, 1, 1))))
        rank = 2 ** random_.randrange(0, 9)
        found = values(facts, rows=rows, length=length, trained=trained, chunk=2**24 // facts.vocab, rank=rank)  # type: ignore[arg-type]
        drawn.append([found[product] for product in PRODUCTS])
        layers.append(random_.randrange(2, 97))
    return np.array(drawn, dtype=np.float64).T, np.array(layers, dtype=np.float64)


def _mixer(random_: random.Random) -> Mixer:
    heads, groups, width = random_.choice((16, 32, 48, 64, 128)), random_.choice((1, 8, 16)), 128
    keys, values, is_delta = groups * width, heads * random_.choice((64, 128)), random_.random() < 0.5
    return Mixer(
        kernel=4, conv=2 * keys + values, values=values, inside=2 * keys + 2 * values, keys=keys,
        repeated=heads * width, heads=heads, groups=groups, head_width=values // heads, state=values * width,
        chunk=64 if is_delta else 256,
    )  # fmt: skip
