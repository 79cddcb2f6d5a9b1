"""Traces what a family of models keeps in training, as exact sums of products of its dimensions.

Nothing is fitted: two toys of different widths and depths take a step, the size of every tensor is recognised as a
multiple of one product of dimensions, and what a deeper toy has more of counts per layer.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Literal, TypeAlias, TypeVar

from core.config import RunConfig
from core.hardware import Device
from core.memory.modes import Mode
from core.memory.rows import Place
from core.memory.symbols import PRODUCTS
from core.memory.targets import names_of
from core.models.families import FAMILIES
from core.models.mixers import LINEAR, OUTPUT
from core.worker import losses
from core.worker.phases import ATTENDED, ATTENTION_BACK, HEAD, RETURNED
from core.worker.rehearse import EVALUATION, STEP, TRAINING, Rehearsed, rehearse
from core.worker.replay import part_of
from core.worker.storages import StorageLog
from core.worker.toys import DOUBLE_CHUNKS, FIRST_ALONE, TOYS, Toy, settings, symbols

STANDING = ("weights", "constants", "adapter", "optimizer")
"""Parts that stand the whole time and are counted by arithmetic of their own."""
SHALLOW, DEEP = 3, 4
"""Layers of the toys. With fewer, what the last layers still hold would be taken for what the first ones keep."""
TINY = 64
"""Bytes of a tensor too small to matter, whatever it is a product of."""
TAKES_NORM = ("aten.linalg_vector_norm.default", "aten._foreach_norm.Scalar")
CPU = Device("cpu", 0, "CPU", 0, 0)
CUDA = Device("cuda", 0, "GPU", 0, 0, bf16=True)

NUM_STAGES = 3
"""Of the head: until the model gives it the hidden states, then until autocast lets go of its copies of weights,
and from there on. At each something less stands of what the model made."""
Loss = Literal["chunked", "double", "single", "full"]
"""chunked in three chunks or more, in two, in a single one, or the full loss. With more than two, a chunk in the
middle finds what the one before it left."""
Term = tuple[str, str, Fraction]
"""Part of the estimate, product of dimensions, bytes per unit of it."""
Vector = dict[tuple[str, str], Fraction]
"""Bytes per unit, by part and product."""
Toys = tuple[Toy, Toy]
Where = TypeVar("Where")
Held = TypeVar("Held")


class UnsolvedError(Exception):
    """A toy whose sizes or sequence of operations cannot be put into products of dimensions."""


@dataclass(frozen=True)
class Peak:
    """A moment's bytes: fixed + number of layers × per_layer."""

    fixed: Vector
    per_layer: Vector


@dataclass(frozen=True)
class Row:
    """What a mode keeps, by section ("training 1")."""

    layers: dict[str, dict[Place, list[Peak]]]
    stash: dict[str, list[Peak]]
    """What stands of the model's own at each stage of the head."""
    heads: dict[str, list[tuple[int, Peak]]]
    """The stage of each peak of head and loss, and what it takes beyond what stands then."""


Tops: TypeAlias = dict[int, tuple[Where, Held]]
"""What was alive whenever memory stopped growing, with its place or stage, by the births in its phase so far."""


@dataclass(frozen=True)
class Solved:
    """A traced mode: its tops by phase and by section, the stash, and the operations of each phase's births."""

    layers: dict[str, Tops[Place, Peak]]
    stash: dict[str, list[Peak]]
    heads: dict[str, Tops[int, Peak]]
    operations: dict[str, list[str]]


@dataclass
class Followed:
    """The same of one toy."""

    layers: dict[str, Tops[Place, Vector]] = field(default_factory=lambda: defaultdict(dict))
    stash: dict[str, list[Vector]] = field(default_factory=dict)
    heads: dict[str, Tops[int, Vector]] = field(default_factory=lambda: defaultdict(dict))


@dataclass(frozen=True)
class Traced:
    """A rehearsed toy and the events of its phases, by name."""

    log: StorageLog
    phases: dict[str, range]


def trace_row(
    family: str,
    mode: Mode,
    loss: Loss = "chunked",
    rehearsal: Callable[..., Rehearsed] = rehearse,
    toys: Toys = TOYS,
) -> Row:
    """What a mode of training keeps in a family, under our loop or another. Raises UnsolvedError."""
    return row_of(solve(family, mode, loss, rehearsal, toys))


def solve(
    family: str, mode: Mode, loss: Loss, rehearsal: Callable[..., Rehearsed] = rehearse, toys: Toys = TOYS
) -> Solved:
    """The same top by top, on the toys that are given. Raises UnsolvedError."""
    if loss == "double":
        toys = (replace(toys[0], chunk=DOUBLE_CHUNKS[0]), replace(toys[1], chunk=DOUBLE_CHUNKS[1]))
    shallow = _trace(family, toys[0], SHALLOW, mode, loss, rehearsal)
    deep = _trace(family, toys[1], DEEP, mode, loss, rehearsal)
    twins = _twins(shallow, deep)
    dimensions = [symbols(family, toy, depth) for toy, depth in zip(toys, (SHALLOW, DEEP), strict=True)]
    terms = _solve(shallow, deep, twins, dimensions)
    first = _follow(shallow, terms, SHALLOW)
    second = _follow(deep, [terms[twin] if twin is not None else None for twin in twins], DEEP)
    births = shallow.log.births
    return Solved(
        layers={phase: _paired(tops, second.layers[phase], phase) for phase, tops in first.layers.items()},
        stash={
            section: [_split(*pair) for pair in zip(standing, second.stash[section], strict=True)]
            for section, standing in first.stash.items()
        },
        heads={section: _paired(tops, second.heads[section], section) for section, tops in first.heads.items()},
        operations={
            phase: [births[number].operation for number in made]
            for phase, made in _births_by_phase(shallow).items()
        },
    )


def row_of(solved: Solved) -> Row:
    """What of a solved mode is kept."""
    layers: dict[str, dict[Place, list[Peak]]] = {}
    for phase, tops in solved.layers.items():
        places = layers.setdefault(phase.rpartition("/")[0], {})
        for place, peak in tops.values():
            places.setdefault(place, []).append(peak)
    return Row(layers, solved.stash, {section: list(tops.values()) for section, tops in solved.heads.items()})


def _paired(shallow: Tops[Where, Vector], deep: Tops[Where, Vector], phase: str) -> Tops[Where, Peak]:
    """The tops of both toys as peaks."""
    if [(number, where) for number, (where, _) in shallow.items()] != [
        (number, where) for number, (where, _) in deep.items()
    ]:
        raise UnsolvedError(f"{phase} differs between toys of two depths")
    return {number: (where, _split(vector, deep[number][1])) for number, (where, vector) in shallow.items()}


def config_of(mode: Mode, loss: Loss, family: str) -> tuple[RunConfig, Device]:
    """The settings and the device that stand for a mode."""
    known = FAMILIES[family.partition(":")[0]]
    values: dict[str, Any] = {
        "model.quantization": mode.base,
        "model.dtype": "bf16" if (mode.device, mode.bits) == ("cpu", 16) else "auto",
        "model.attention": "eager" if mode.attention == "eager" and known.sdpa else "auto",
        "memory.activation_checkpointing": mode.checkpointing,
        "data.packing": mode.packed,
        "memory.upcast": mode.upcast,
        "memory.loss": "full" if loss == "full" else "chunked",
    }
    if mode.method == "full":
        values["method.kind"] = "full"
    else:
        values["memory.adapter_dtype"] = "bf16" if mode.method == "lora16" else "fp32"
        values["method.dropout"] = 0.1 if mode.dropout else 0.0
        values["method.targets"] = names_of(known, mode.targets)
        if mode.targets == "elsewhere":
            values["method.targets"] = (FIRST_ALONE[known.mixer],)
        elif mode.targets == "attention" and family.endswith(LINEAR):
            values["method.targets"] = (OUTPUT,)
    return RunConfig().with_values(values), CUDA if mode.device == "cuda" else CPU


def _trace(
    family: str, toy: Toy, depth: int, mode: Mode, loss: Loss, rehearsal: Callable[..., Rehearsed]
) -> Traced:
    config, device = config_of(mode, loss, family)
    wanted = {"optim.batch_size": toy.rows, "optim.accumulation": 2, "data.max_length": toy.length}
    if mode.method != "full":
        wanted["method.rank"] = toy.rank
    described = settings(family, toy, depth, is_windowed=mode.windowed, tied=mode.tied, drops=mode.drops)
    held = losses.CHUNK_SCORES
    losses.CHUNK_SCORES = toy.vocab * (toy.chunk if loss in ("chunked", "double") else toy.rows * toy.length)
    try:
        done = rehearsal(
            config.with_values(wanted), described, device, trained=toy.trained, mode=nullcontext()
        )  # fmt: skip
    finally:
        losses.CHUNK_SCORES = held
    marks = [*done.log.marks, (len(done.log.events), "")]
    phases = {
        name: range(start, _end_of_backward(done.log, start, end) if name.endswith("backward 0") else end)
        for (start, name), (end, _) in itertools.pairwise(marks)
    }
    return Traced(done.log, phases)


def _end_of_backward(log: StorageLog, start: int, end: int) -> int:
    """Where the gradient is complete and its norm is taken: that goes by parameters, not by layers."""
    for number in range(start, end):
        event = log.events[number]
        if event >= 0 and log.births[event].operation in TAKES_NORM:
            return number
    return end


def _twins(shallow: Traced, deep: Traced) -> list[int | None]:
    """For each storage of the deep toy the one of the shallow toy that it is like; None for what stands."""
    numbers = _births_by_phase(shallow)
    twins: list[int | None] = [None] * len(deep.log.births)
    for phase, made in _births_by_phase(deep).items():
        alike = numbers[_alike(phase, DEEP)]
        if len(made) != len(alike):
            raise UnsolvedError(f"{phase} takes other operations in a deeper toy")
        for number, twin in zip(made, alike, strict=True):
            birth, other = deep.log.births[number], shallow.log.births[twin]
            if birth.operation != other.operation:
                raise UnsolvedError(f"{birth.operation} in {phase} meets {other.operation}")
            if part_of(birth, deep.log.births) not in STANDING and birth.num_bytes:
                twins[number] = twin
    return twins


def _births_by_phase(traced: Traced) -> dict[str, list[int]]:
    return {
        phase: [event for number in events if (event := traced.log.events[number]) >= 0]
        for phase, events in traced.phases.items()
        if not phase.endswith(STEP)
    }


def _alike(phase: str, depth: int) -> str:
    """The phase of a shallow toy that one of a toy of some depth is like: the first layer is like the first, the
    last like the last, and all others are like the second."""
    section, _, name = phase.rpartition("/")
    kind, _, number = name.partition(" ")
    if not number:
        return phase
    place = int(number)
    return f"{section}/{kind} {SHALLOW - 1 if place == depth - 1 else min(place, 1)}"


def _solve(
    shallow: Traced, deep: Traced, twins: list[int | None], dimensions: list[dict[str, int]]
) -> list[Term | None]:
    """For each storage of the shallow toy its part, product and bytes per unit; None for what stands."""
    births = shallow.log.births
    terms: list[Term | None] = [None] * len(births)
    known: dict[tuple[int, int], tuple[str, Fraction]] = {}
    for other, twin in zip(deep.log.births, twins, strict=True):
        if twin is None:
            continue
        birth = births[twin]
        sizes = (birth.num_bytes, other.num_bytes)
        if sizes not in known:
            known[sizes] = _product(sizes, dimensions, f"{birth.operation} in {birth.phase}", birth.shape)
        term = (part_of(birth, births), *known[sizes])
        if terms[twin] not in (None, term):
            raise UnsolvedError(f"{birth.operation} in {birth.phase} makes other sizes in other layers")
        terms[twin] = term
    return terms


def _product(
    sizes: tuple[int, int], dimensions: list[dict[str, int]], place: str, shape: Any
) -> tuple[str, Fraction]:
    for product in PRODUCTS:
        units = [values[product] for values in dimensions]
        if all(units) and sizes[0] * units[1] == sizes[1] * units[0]:
            ratio = Fraction(sizes[0], units[0])
            if ratio <= 1024 and ratio.denominator <= 64:
                return product, ratio
    if max(sizes) <= TINY:
        return "11", Fraction(max(sizes))
    raise UnsolvedError(f"{place} makes a tensor of {shape}, which is no product of dimensions")


def _follow(traced: Traced, terms: list[Term | None], depth: int) -> Followed:
    """What is alive whenever memory stops growing."""
    wanted = {
        events.start: (phase, events)
        for phase, events in traced.phases.items()
        if phase.startswith((TRAINING, EVALUATION)) and not phase.endswith(STEP)
    }
    log, found = traced.log, Followed()
    deaths = {~event: number for number, event in enumerate(log.events) if event < 0}
    alive: set[int] = set()
    living: Vector = defaultdict(Fraction)
    phase, events, num_births = "", range(0), 0
    begins, standing = (0, 0), [living] * NUM_STAGES
    places: dict[int, Place] = {}
    for number, event in enumerate(log.events):
        if number in wanted:
            (phase, events), num_births = wanted[number], 0
            if phase.endswith(HEAD):
                begins, stages = _stages(traced, alive, deaths, terms, events)
                standing = found.stash[phase.rpartition("/")[0]] = [_sum(one, terms) for one in stages]
            else:
                places = _places(log, events)
        num_births += event >= 0
        storage = event if event >= 0 else ~event
        if (term := terms[storage]) is not None:
            (alive.add if event >= 0 else alive.discard)(storage)
            living[term[0], term[1]] += term[2] if event >= 0 else -term[2]
        is_top = event >= 0 and (number + 1 == len(log.events) or log.events[number + 1] < 0)
        if not is_top or number not in events or _is_inner(phase, depth):
            continue
        if phase.endswith(HEAD):
            stage = sum(number >= begin for begin in begins)
            found.heads[phase.rpartition("/")[0]][num_births] = stage, less(living, standing[stage])
        else:
            place = places[max(start for start in places if start <= number)]
            found.layers[_alike(phase, depth)][num_births] = place, _nonzero(living)
    return found


def _stages(
    traced: Traced, alive: set[int], deaths: dict[int, int], terms: list[Term | None], events: range
) -> tuple[tuple[int, int], list[set[int]]]:
    """Where the second and the third stage of a head begin, and which storages of the model's stand at each."""
    never = len(traced.log.events)
    returned = next((at for at, name in traced.log.turns if name == RETURNED and at >= events.start), events.start)
    handed = {one for one in alive if deaths.get(one, never) >= returned}
    copies = {one for one in handed if (term := terms[one]) and term[0] == "workspace"}
    let_go = {one for one in copies if deaths.get(one, never) < events.stop}
    released = min((deaths[one] for one in let_go), default=never)
    return (returned, released), [set(alive), handed, handed - let_go]


def _places(log: StorageLog, events: range) -> dict[int, Place]:
    """Where in a phase each place begins."""
    turns = [(at, name) for at, name in log.turns if at in events]
    over = [at for at, name in turns if name == ATTENDED]
    back = [at for at, name in turns if name == ATTENTION_BACK]
    found: dict[int, Place] = {events.start: "before" if over else "between"}
    for at in over:
        found[at] = "between"
    for at in back:
        found[at] = "after"
    return found


def _sum(storages: Iterable[int], terms: list[Term | None]) -> Vector:
    """The bytes of storages, by part and product."""
    found: Vector = defaultdict(Fraction)
    for one in storages:
        if (term := terms[one]) is not None:
            found[term[0], term[1]] += term[2]
    return found


def _is_inner(phase: str, depth: int) -> bool:
    number = phase.rpartition(" ")[2]
    return number.isdigit() and 0 < int(number) < depth - 1


def _split(shallow: Vector, deep: Vector) -> Peak:
    """Bytes per layer are what the deeper toy has more."""
    per_layer = {key: value / (DEEP - SHALLOW) for key, value in less(deep, shallow).items()}
    return Peak(less(shallow, {key: SHALLOW * value for key, value in per_layer.items()}), per_layer)


def less(more: Vector, taken: Vector) -> Vector:
    """The difference of two."""
    return _nonzero(
        {key: more.get(key, Fraction()) - taken.get(key, Fraction()) for key in more.keys() | taken.keys()}
    )


def _nonzero(vector: Vector) -> Vector:
    return {key: value for key, value in vector.items() if value}
