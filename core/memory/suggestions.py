"""What to change: single changes of a config, each with the bytes it saves, its cost in words, and its verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core import figures
from core.config import RunConfig
from core.models.facts import ModelFacts
from core.models.families import FAMILIES
from core.sections import PAGED, Lora

if TYPE_CHECKING:
    from core.memory.estimate import Estimate

WORTHWHILE = 0.005
"""A change is offered when it moves the peak by at least this share."""
MOST = 6


@dataclass(frozen=True)
class Suggestion:
    """One change that has been estimated. `saved_bytes` is negative when the change takes room for more."""

    title: str
    changes: dict[str, Any]
    """New values by config path, for RunConfig.with_values."""
    saved_bytes: int
    cost: str
    """What it costs or brings, in words."""
    verdict: str
    """Of the changed run."""
    price: float = 0.0
    """What it costs in speed and quality together, for ranking: about 0.2 for a fifth of the speed."""
    peak_bytes: int = 0
    """Of the changed run."""

    @property
    def amount(self) -> str:
        """The change of the peak as a button shows it: "−1.8 GiB"."""
        sign = "−" if self.saved_bytes >= 0 else "+"
        return sign + figures.size(abs(self.saved_bytes))


Change = tuple[str, dict[str, Any], str, float]
"""Title, changes, cost in words, and its price. Bytes saved are divided by the price, so nothing is quite free."""
FREE = 0.01


def suggest(
    config: RunConfig,
    facts: ModelFacts,
    now: Estimate,
    estimate_of: Callable[[RunConfig], Estimate],
    num_gpus: int = 1,
) -> list[Suggestion]:
    """The changes worth making: what saves memory while the run does not fit comfortably, and what the spare
    memory could be used for when it does. Best first. `num_gpus` are those of this machine that are like the
    run's."""
    if now.verdict == "fits":
        return larger(config, facts, now, estimate_of)[:3]
    return smaller(config, facts, now, estimate_of, num_gpus)[:MOST]


def smaller(
    config: RunConfig,
    facts: ModelFacts,
    now: Estimate,
    estimate_of: Callable[[RunConfig], Estimate],
    num_gpus: int = 1,
) -> list[Suggestion]:
    """Every single change that saves memory: first what makes the run fit, then by bytes saved for its price."""
    found = [
        one for one in _tried(_smaller(config, facts, now.can_page, num_gpus), config, now, estimate_of)
        if one.saved_bytes >= WORTHWHILE * now.peak_bytes
    ]  # fmt: skip
    order = ("fits", "tight", "does not fit")
    return sorted(found, key=lambda one: (order.index(one.verdict), -one.saved_bytes / one.price))


def larger(
    config: RunConfig, facts: ModelFacts, now: Estimate, estimate_of: Callable[[RunConfig], Estimate]
) -> list[Suggestion]:
    """What the spare memory could be used for: the most useful first, here with the lowest price."""
    found = [one for one in _tried(_larger(config, facts), config, now, estimate_of) if one.verdict == "fits"]
    return sorted(found, key=lambda one: (one.price, one.saved_bytes))


def _tried(
    changes: Iterator[Change], config: RunConfig, now: Estimate, estimate_of: Callable[[RunConfig], Estimate]
) -> list[Suggestion]:
    found = []
    for title, values, cost, price in changes:
        then = estimate_of(changed(config, values))
        saved = now.peak_bytes - then.peak_bytes
        found.append(Suggestion(title, values, saved, cost, then.verdict, price, then.peak_bytes))
    return found


def changed(config: RunConfig, values: dict[str, Any]) -> RunConfig:
    """The config with values known to be valid, without the cost of validating everything again."""
    if any(path.endswith(".kind") for path in values):
        return config.with_values(values)
    sections: dict[str, dict[str, Any]] = {}
    for path, value in values.items():
        section, _, name = path.partition(".")
        sections.setdefault(section, {})[name] = value
    updated = {name: getattr(config, name).model_copy(update=new) for name, new in sections.items()}
    return config.model_copy(update=updated)


def _smaller(config: RunConfig, facts: ModelFacts, can_page: bool, num_gpus: int) -> Iterator[Change]:
    model, memory, optim, method = config.model, config.memory, config.optim, config.method
    processes = config.runtime.processes
    if isinstance(method, Lora) and config.runtime.sharding == "none":
        values: dict[str, Any] = {"runtime.sharding": "layers"}
        if processes > 1:
            yield "Split layers", values, "same result, slower: layers travel at every pass", 0.3
        elif num_gpus > 1 and (can_page or optim.optimizer not in PAGED):
            values["runtime.processes"] = num_gpus
            yield f"Split over {num_gpus} GPUs", values, f"same result, takes all {num_gpus} GPUs", 0.3
    if memory.loss == "full":
        yield "Scores in slices", {"memory.loss": "chunked"}, "no cost", FREE
    if model.attention == "eager" and facts.attention == "sdpa":
        yield "SDPA attention", {"model.attention": "auto"}, "no cost, faster", FREE
    if memory.upcast and model.quantization != "none":
        yield "16-bit norms and head", {"memory.upcast": False}, "little cost", FREE
    if optim.batch_size > 1:
        half = max(1, optim.batch_size // 2)
        more = min(4096, -(-optim.batch_size * optim.accumulation // half))
        values = {"optim.batch_size": half, "optim.accumulation": more}
        yield f"Batch {half} × {more}", values, "same result, somewhat slower", 0.1
    if not memory.activation_checkpointing:
        values = {"memory.activation_checkpointing": True}
        yield "Checkpointing", values, "same result, about a fifth slower", 0.2
    if optim.optimizer == "adamw":
        yield "8-bit AdamW", {"optim.optimizer": "adamw_8bit"}, "hardly any loss of quality", 0.03
    if optim.optimizer == "paged_adamw":
        values = {"optim.optimizer": "paged_adamw_8bit"}
        yield "8-bit paged AdamW", values, "hardly any loss of quality", 0.03
    if can_page and optim.optimizer in ("adamw", "adamw_8bit"):
        title = "Paged AdamW" if optim.optimizer == "adamw" else "Paged 8-bit AdamW"
        yield title, {"optim.optimizer": f"paged_{optim.optimizer}"}, "same result, slower steps", 0.15
    if isinstance(method, Lora):
        if model.quantization == "none":
            yield (
                "4-bit base",
                {"model.quantization": "nf4"},
                "slightly lower quality, slower",
                0.3,
            )
            yield "8-bit base", {"model.quantization": "int8"}, "hardly lower quality, slower", 0.3
        elif model.quantization == "int8":
            yield "4-bit base", {"model.quantization": "nf4"}, "slightly lower quality", 0.1
        elif not model.double_quantization:
            yield "Double quantisation", {"model.double_quantization": True}, "no noticeable cost", FREE
        if memory.adapter_dtype != "bf16" and model.dtype != "fp32":
            yield "bf16 adapter", {"memory.adapter_dtype": "bf16"}, "slightly less precise learning", 0.05
        if method.rank > 8:
            yield (f"Rank {method.rank // 2}", {"method.rank": method.rank // 2}, "learns a little less", 0.1)
        if method.targets == ("all-linear",) and (family := FAMILIES.get(facts.family)):
            names = (*family.qkv, family.output)
            yield "Attention only", {"method.targets": names}, "learns less", 0.3
    else:
        yield "LoRA", {"method.kind": "lora"}, "changes less of the model", 0.3
    if config.data.max_length > 128:
        half = config.data.max_length // 2
        yield f"Length {half:,}", {"data.max_length": half}, "longer rows are cut", 1.0


def _larger(config: RunConfig, facts: ModelFacts) -> Iterator[Change]:
    model, memory, optim, method = config.model, config.memory, config.optim, config.method
    if config.runtime.sharding != "none":
        yield "Whole layers", {"runtime.sharding": "none"}, "same result, faster", 0
    if optim.accumulation // 2 >= config.runtime.processes:
        half = optim.accumulation // 2
        batch = -(-optim.batch_size * optim.accumulation // half)
        values = {"optim.batch_size": batch, "optim.accumulation": half}
        yield f"Batch {batch} × {half}", values, "same result, faster", 0
    if memory.activation_checkpointing:
        values = {"memory.activation_checkpointing": False}
        yield "No checkpointing", values, "same result, about a fifth faster", 0
    if model.quantization != "none":
        yield "Unquantised base", {"model.quantization": "none"}, "slightly better, faster", 1
    double = config.data.max_length * 2
    if not facts.max_positions or double <= facts.max_positions:
        yield f"Length {double:,}", {"data.max_length": double}, "fewer rows are cut", 2
    if isinstance(method, Lora) and method.rank < 128:
        yield f"Rank {method.rank * 2}", {"method.rank": method.rank * 2}, "can learn more", 3
