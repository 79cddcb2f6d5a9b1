"""The tuning methods a person can choose: what each is, and the settings that make it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from core.config import RunConfig
from core.sections import Full, Lora


@dataclass(frozen=True)
class Method:
    """A named way to train. Choosing it sets `changes`; its learning rates are `rate` times those of LoRA."""

    name: str
    title: str
    sentence: str
    changes: Mapping[str, Any]
    rate: float
    is_mergeable: bool
    """Whether what is learnt can be added into the base model's own weights."""


LORA = Method(
    "lora",
    "LoRA",
    "Learns a small change beside frozen weights: quick, light, easy to swap.",
    MappingProxyType({"method.kind": "lora", "model.quantization": "none"}),
    rate=1.0,
    is_mergeable=True,
)
QLORA = Method(
    "qlora",
    "QLoRA",
    "LoRA over a base held in 4 bits: a quarter of the memory for the weights.",
    MappingProxyType({"method.kind": "lora", "model.quantization": "nf4", "model.double_quantization": True}),
    rate=1.0,
    is_mergeable=True,
)
FULL = Method(
    "full",
    "Full fine-tuning",
    "Changes every weight: learns most, and needs several times the model's size in memory.",
    MappingProxyType({"method.kind": "full", "model.quantization": "none"}),
    rate=0.1,
    is_mergeable=False,
)
METHODS = (LORA, QLORA, FULL)


def method_of(config: RunConfig) -> Method:
    """The method that a config amounts to; LoRA over any 4-bit base is QLoRA."""
    if isinstance(config.method, Full):
        return FULL
    return QLORA if config.model.quantization in ("nf4", "fp4") else LORA


def changes_to(method: Method, config: RunConfig) -> dict[str, Any]:
    """The values to change so that the config uses the method; the learning rate moves along."""
    present = method_of(config)
    if present is method:
        return {}
    changes = dict(method.changes)
    if method.rate != present.rate:
        changes["optim.learning_rate"] = scaled(config.optim.learning_rate, method.rate / present.rate)
    if method is not FULL and isinstance(config.method, Full):
        changes |= {f"method.{name}": value for name, value in Lora().model_dump().items() if name != "kind"}
    return changes


def scaled(rate: float, factor: float) -> float:
    """A learning rate times a factor, without the dust of binary fractions."""
    return min(1.0, float(f"{rate * factor:.12g}"))


def describe(config: RunConfig) -> str:
    """The method in a few words: "QLoRA, rank 16"."""
    title = method_of(config).title
    return f"{title}, rank {config.method.rank}" if isinstance(config.method, Lora) else title
