"""Which of a layer's matrices get adapters: the choices that were traced, and the least that holds a run's."""

from __future__ import annotations

from core.memory.modes import Targets
from core.models.facts import ModelFacts
from core.models.families import FAMILIES, Family

TRACED: tuple[Targets, ...] = ("values", "attention", "mlp")
"""From few matrices to more; all of them come last."""
WORDS = {
    "values": "queries and values",
    "attention": "all of attention",
    "mlp": "the whole MLP",
    "all": "every matrix of a layer",
}


def names_of(family: Family, targets: Targets) -> tuple[str, ...]:
    """The setting that stands for a choice."""
    if targets == "all":
        return ("all-linear",)
    if targets == "mlp":
        return family.mlp
    return family.qkv[::2] if targets == "values" else (*family.qkv, family.output)


def traced_targets(facts: ModelFacts, targets: tuple[str, ...]) -> tuple[Targets, bool]:
    """The least of the traced choices that has all of these layers, and whether it has no others."""
    family, wanted = FAMILIES.get(facts.family, Family()), set(targets)
    for choice in TRACED:
        names = set(names_of(family, choice))
        if wanted <= names:
            return choice, wanted == names
    return "all", "all-linear" in wanted or wanted >= {one.name for one in facts.linears if one.is_adaptable}
