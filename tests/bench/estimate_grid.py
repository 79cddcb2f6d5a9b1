"""The live estimate against the rehearsal: `python tests/bench/estimate_grid.py [--only NAME] [--csv FILE]`.

Every architecture × quantisation is taken through settings drawn at random, spread over batch, length, rank,
checkpointing, optimizer, method, loss and device. Every second point draws what fewer people change as well, all
at once: targets, dropout, eager attention, packing, the adapter's number format, upcast. Models have their real
widths; most have few of their layers, as both sides grow by the same bytes with each. The peak that is compared is
that of tensors in training and evaluation: the framework's own memory and the allocator's slack are not rehearsed.

The table keeps what was rehearsed, so an interrupted run goes on where it was: points that stand in it are
estimated anew, and only those that do not are rehearsed. No point ever leaves it; `--anew` rehearses all of them
again, which is due when the engine or a library changes. Prints mean and worst deviation.
"""

from __future__ import annotations

import argparse
import csv
import logging
import random
import statistics
import sys
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS.parent))

import torch  # noqa: E402
import transformers  # noqa: E402
import yaml  # noqa: E402
from grid_models import RARE, models  # noqa: E402

from core.config import ConfigError, RunConfig  # noqa: E402
from core.hardware import Device  # noqa: E402
from core.memory.estimate import estimate  # noqa: E402
from core.memory.modes import Targets  # noqa: E402
from core.memory.moments import MOMENTS  # noqa: E402
from core.memory.targets import names_of  # noqa: E402
from core.models.facts import ModelFacts, facts_from_config  # noqa: E402
from core.models.families import FAMILIES  # noqa: E402
from core.worker import replay  # noqa: E402
from core.worker.hollow import shallow  # noqa: E402
from core.worker.rehearse import rehearse  # noqa: E402

DEVICES = {
    "cuda": Device("cuda", 0, "GPU", 2**50, 2**50, bf16=True, capability=(8, 0)),  # where nothing is paged out
    "cpu": Device("cpu", 0, "CPU", 0, 0),
}
QUANTIZATIONS = ("none", "nf4", "int8")
POINTS_EACH = 4
WHOLE = 1 / 30
"""The share of points whose model has all its layers."""
MOST_SCORES, MOST_ATTENTION = 2**31, 2**30
"""Beyond these a point would be of no machine anybody has."""


SETTINGS = (
    "model.quantization", "method.kind", "optim.batch_size", "data.max_length", "optim.accumulation",
    "optim.optimizer", "memory.activation_checkpointing", "memory.loss", "data.packing", "method.rank",
    "method.targets", "memory.adapter_dtype", "method.dropout", "memory.upcast", "model.double_quantization",
    "model.attention", "model.dtype", "optim.grad_clip", "runtime.processes", "runtime.sharding",
)  # fmt: skip
"""What points differ by; the columns of the table are named by the last word of each."""


@dataclass(frozen=True)
class Point:
    """One model, some of its layers, and one set of settings."""

    name: str
    settings: dict[str, Any]
    """The config.json."""
    config: RunConfig
    device: Device
    values: dict[str, Any]
    """What of the config is not its default."""

    @property
    def cells(self) -> dict[str, str]:
        """What a row of the table says of it."""
        told = {path: " ".join(v) if isinstance(v, tuple) else str(v) for path, v in self.values.items()}
        return {
            "model": self.name,
            "layers": str(facts_from_config(self.settings).num_layers),
            "device": self.device.kind,
            **{path.partition(".")[2]: told.get(path, "") for path in SETTINGS},
        }


@dataclass(frozen=True)
class Outcome:
    """Both answers, in bytes."""

    point: Point
    estimated: int
    rehearsed: int
    estimated_at: str
    rehearsed_at: str

    @property
    def error(self) -> float:
        """How much more than was rehearsed was estimated, as a share."""
        return self.estimated / self.rehearsed - 1

    @property
    def cells(self) -> dict[str, str]:
        """A row of the table."""
        return {
            **self.point.cells,
            "estimated_bytes": str(self.estimated),
            "rehearsed_bytes": str(self.rehearsed),
            "error": f"{self.error:+.5f}",
            "estimated_at": self.estimated_at,
            "rehearsed_at": self.rehearsed_at,
        }


def points(seed: int, each: int = POINTS_EACH, only: str = "", *, in_corner: bool = False) -> Iterator[Point]:
    """The grid: `each` points of every quantisation and every architecture whose name has `only` in it; one in
    thirty has all its layers. In the corner where rare settings meet all are of 8 bits, and all are rare."""
    for name, settings in models().items():
        if only not in name:
            continue
        for quantization in ("int8",) if in_corner else QUANTIZATIONS:
            random_ = random.Random(f"{seed} {name} {quantization}" + " corner" * in_corner)
            for number in range(each):
                point = None
                while point is None:
                    is_rare = in_corner or number % 2 == 1
                    point = _drawn(random_, name, settings, quantization, is_rare, in_corner)
                if random_.random() > WHOLE or "-8x7B" in name:
                    few = shallow(settings, random_.choice((2, 2, 3, 5)))
                    point = Point(name, few, point.config, point.device, point.values)
                yield point


def points_anywhere(seed: int, each: int, only: str = "") -> Iterator[Point]:
    """`each` points of every model, rare ones included, drawn from all that a user may set; only where nothing
    makes the estimate less sure than usual, and adapters are on layers for which it claims to be exact."""
    for name, settings in {**models(), **RARE}.items():
        random_ = random.Random(f"{seed} {name} anywhere")
        few = (3, 4, 5) if facts_from_config(settings).kinds else (2, 2, 3)
        for _ in range(each if only in name else 0):
            point = None
            while (
                point is None
                or not estimate(
                    point.config, facts_from_config(point.settings), point.device, with_suggestions=False
                ).is_sure
            ):
                point = _drawn_anywhere(random_, name, shallow(settings, random_.choice(few)))
            yield point


def _drawn_anywhere(random_: random.Random, name: str, settings: dict[str, Any]) -> Point | None:
    facts, pick = facts_from_config(settings), random_.choice
    device = pick(("cuda", "cuda", "cpu"))
    paged = ("paged_adamw", "paged_adamw_8bit") if device == "cuda" else ()
    values: dict[str, Any] = {
        "model.dtype": pick(("auto", "auto", "bf16", "fp32", *(["fp16"] if device == "cuda" else []))),
        "optim.batch_size": pick((1, 2, 3, 6, 16, 32)),
        "data.max_length": pick((8, 40, 100, 333, 512, 700, 1024, 1500, 3000, 4096, 8192)),
        "optim.accumulation": pick((1, 2, 4)),
        "optim.optimizer": pick(("adamw", "adamw", "adamw_8bit", "sgd", *paged)),
        "optim.grad_clip": pick((1.0, 0.0)),
        "memory.activation_checkpointing": pick((True, True, False)),
        "memory.loss": pick(("chunked", "chunked", "full")),
        "data.packing": pick((False, False, False, True)),
        "runtime.processes": pick((1, 1, 1, 2)),
    }
    if pick((True, False, False, False, False)):
        values["method.kind"] = "full"
    else:
        values |= _adapted_anywhere(random_, facts)
        if values["runtime.processes"] > 1:
            values["runtime.sharding"] = pick(("none", "layers"))
    if facts.attention == "sdpa" and pick((False,) * 5 + (True,)):
        values["model.attention"] = "eager"
    return _possible(name, settings, facts, device, values)


def _adapted_anywhere(random_: random.Random, facts: ModelFacts) -> dict[str, Any]:
    pick, family = random_.choice, FAMILIES[facts.family]
    choices: list[Targets] = ["all", "values", "attention", *(["mlp"] if not family.experts else [])]
    return {
        "model.quantization": (quantization := pick(("none", "nf4", "fp4", "int8"))),
        "method.rank": pick((1, 2, 8, 16, 64, 256)),
        "method.targets": names_of(family, pick(choices)),
        "memory.adapter_dtype": pick(("fp32", "fp32", "bf16")),
        "method.dropout": pick((0.0, 0.0, 0.05)),
        **({} if quantization == "none" else {"memory.upcast": pick((False, False, True))}),
    }


def point_of(row: dict[str, str]) -> Point:
    """The point that a row of the table tells of."""
    told = {path: row[path.partition(".")[2]] for path in SETTINGS if row.get(path.partition(".")[2])}
    values = {
        path: tuple(cell.split()) if path == "method.targets" else yaml.safe_load(cell)
        for path, cell in told.items()
    }
    settings = shallow({**models(), **RARE}[row["model"]], int(row["layers"]))
    return Point(row["model"], settings, config_of(values), DEVICES[row["device"]], values)


def config_of(values: dict[str, Any]) -> RunConfig:
    """The config with these values. Raises ConfigError."""
    kind = values.get("method.kind")
    config = RunConfig().with_value("method.kind", kind) if kind else RunConfig()
    return config.with_values({path: value for path, value in values.items() if path != "method.kind"})


def _drawn(
    random_: random.Random,
    name: str,
    settings: dict[str, Any],
    quantization: str,
    is_rare: bool,
    in_corner: bool,
) -> Point | None:
    facts = facts_from_config(settings)
    pick = random_.choice
    device = pick(("cuda", "cuda", "cpu"))
    is_full = quantization == "none" and pick((True, False, False))
    values: dict[str, Any] = {
        "model.quantization": quantization,
        "optim.batch_size": pick((1, 2, 3, 4, 8, 16)),
        "data.max_length": pick((96, 128, 500, 512, 1024, 2048, 4096)),
        "optim.accumulation": pick((1, 4)),
        "optim.optimizer": pick(("adamw", "adamw", "adamw_8bit", "sgd")),
        "memory.activation_checkpointing": pick((True, True, False)),
        "memory.loss": pick(("chunked", "chunked", "full")),
    }
    if is_full:
        values["method.kind"] = "full"
    else:
        values["method.rank"] = pick((4, 8, 16, 64, 256))
    if quantization == "nf4":
        values["model.double_quantization"] = pick((True, True, False))
    if is_rare:
        values |= _rare(random_, facts, is_full, quantization)
    if in_corner:
        values["method.targets"] = facts_targets(facts)
        values["memory.adapter_dtype"], values["method.dropout"] = pick(
            (("bf16", 0.0), ("fp32", 0.1), ("bf16", 0.1))
        )
    return _possible(name, settings, facts, device, values)


def _possible(
    name: str, settings: dict[str, Any], facts: ModelFacts, device: str, values: dict[str, Any]
) -> Point | None:
    """The point of these values, if a machine that somebody has could be of its size."""
    rows, length = values["optim.batch_size"], values["data.max_length"]
    is_eager = values.get("model.attention") == "eager" or facts.attention == "eager"
    if rows * length * facts.vocab > MOST_SCORES and values["memory.loss"] == "full":
        return None
    if rows * length * length * (facts.num_heads if is_eager else 8) > MOST_ATTENTION * (1 if is_eager else 8):
        return None
    if rows * length > 16384 or (0 < facts.max_positions < length):
        return None
    try:
        return Point(name, settings, config_of(values), DEVICES[device], values)
    except ConfigError:
        return None


def _rare(random_: random.Random, facts: ModelFacts, is_full: bool, quantization: str) -> dict[str, Any]:
    pick = random_.choice
    values: dict[str, Any] = {"data.packing": pick((False, False, False, True))}
    if not is_full:
        values["method.targets"] = pick((("all-linear",), ("all-linear",), facts_targets(facts)))
        values["memory.adapter_dtype"] = pick(("fp32", "fp32", "bf16"))
        values["method.dropout"] = pick((0.0, 0.0, 0.0, 0.1))
    if quantization != "none":
        values["memory.upcast"] = pick((False, False, False, True))
    if facts.attention == "sdpa" and pick((False,) * 5 + (True,)):
        values["model.attention"] = "eager"
    return values


def facts_targets(facts: ModelFacts) -> tuple[str, ...]:
    """The layers of attention alone."""
    return names_of(FAMILIES[facts.family], "attention")


def compare(point: Point) -> Outcome:
    """Estimate and rehearse one point."""
    done = rehearse(point.config, point.settings, point.device)
    peak = replay.peak(done.log)
    return against(point, peak.num_bytes, peak.phase)


def against(point: Point, rehearsed: int, rehearsed_at: str) -> Outcome:
    """Estimate one point whose rehearsal is known."""
    found = estimate(point.config, facts_from_config(point.settings), point.device, with_suggestions=False)
    beside = found.parts["context"] + found.parts["margin"]
    wanted = [MOMENTS[name] for name in ("loss", "layer", "step", "evaluation")]
    moment = max(wanted, key=lambda words: found.moments[words])
    return Outcome(point, found.moments[moment] - beside, rehearsed, moment, rehearsed_at)


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def write_table(outcomes: Iterable[Outcome], path: Path) -> None:
    rows = [outcome.cells for outcome in outcomes]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def quieten() -> None:
    """Libraries have nothing to say here."""
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    torch.set_num_threads(1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--csv", type=Path, default=TESTS / "recorded" / "estimate-grid.csv")
    parser.add_argument("--only", default="", help="add points only of models whose name has this in it")
    parser.add_argument("--each", type=int, default=POINTS_EACH, help="points of each model and quantisation")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--corner", action="store_true", help="add points only where three rare settings meet")
    parser.add_argument("--anywhere", action="store_true", help="add points drawn from all that can be set")
    parser.add_argument("--anew", action="store_true", help="rehearse again what stands in the table")
    options = parser.parse_args()
    quieten()
    outcomes: dict[tuple[str, ...], Outcome] = {}
    for row in read_table(options.csv) if options.csv.is_file() else []:
        point = point_of(row)
        outcomes[tuple(point.cells.values())] = against(point, int(row["rehearsed_bytes"]), row["rehearsed_at"])
    for key, known in outcomes.items() if options.anew else ():
        outcomes[key] = compare(known.point)
        write_table(outcomes.values(), options.csv)
    if options.anywhere:
        wanted = points_anywhere(options.seed, options.each, options.only)
    else:
        wanted = points(options.seed, options.each, options.only, in_corner=options.corner)
    for point in wanted:
        key = tuple(point.cells.values())
        if key not in outcomes:
            outcomes[key] = compare(point)
            write_table(outcomes.values(), options.csv)
    write_table(outcomes.values(), options.csv)
    report(list(outcomes.values()))
    return 0


def report(outcomes: list[Outcome]) -> None:
    """Print every point that is more than a hundredth off, and mean and worst deviation by group."""
    errors: dict[str, list[float]] = defaultdict(list)
    for outcome in outcomes:
        cells = outcome.cells
        if abs(outcome.error) > 0.01:
            print(f"{outcome.error:+.2%} { ({key: cell for key, cell in cells.items() if cell}) }")
        groups = ("model", "quantization", "device", "loss", "activation_checkpointing")
        for group in ("all points", *(f"{name} {cells[name]}" for name in groups)):
            errors[group].append(abs(outcome.error))
    for group, found in errors.items():
        print(f"{group:45} {len(found):4} points   mean {statistics.mean(found):.3%}   worst {max(found):.3%}")


if __name__ == "__main__":
    sys.exit(main())
