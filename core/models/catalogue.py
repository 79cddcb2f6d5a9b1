"""The catalogue: open base models worth starting from, with their shapes, so that memory can be planned before a
download. The shapes come from each model's published config.json; no network is asked."""

from __future__ import annotations

import csv
import functools
from dataclasses import dataclass
from typing import Any, Literal

from core import places
from core.models.facts import ModelFacts, facts_from_config


@dataclass(frozen=True)
class CatalogueModel:
    """A model on the Hub. `num_parameters` is exact, counted over the weights of its text part."""

    name: str
    kind: Literal["base", "chat"]
    """Whether it only continues text, or was already taught to answer."""
    num_parameters: int
    max_positions: int
    licence: str
    is_gated: bool
    """Whether its terms must be accepted on the Hub before a download."""
    note: str
    siblings: tuple[str, ...]
    """Models of the same shape that were taught otherwise, such as to chat."""
    config: dict[str, Any]
    """The part of its config.json that decides its memory; what `facts_from_config` reads."""


def catalogue() -> list[CatalogueModel]:
    """Every model of the catalogue, in the order to show them in: by maker, then by size."""
    with (places.RESOURCES / "models.csv").open(encoding="utf-8", newline="") as file:
        return [_model(row) for row in csv.DictReader(file)]


@functools.cache
def known_facts(name: str) -> ModelFacts | None:
    """The facts of a model of the catalogue or of a sibling, by its Hub name; None for any other."""
    known = (one for one in catalogue() if name in (one.name, *one.siblings))
    return next((facts_from_config(one.config, name) for one in known), None)


def _model(row: dict[str, str]) -> CatalogueModel:
    config: dict[str, Any] = {
        "model_type": row["family"],
        "hidden_size": int(row["hidden"]),
        "num_hidden_layers": int(row["layers"]),
        "num_attention_heads": int(row["heads"]),
        "num_key_value_heads": int(row["kv_heads"]),
        "head_dim": int(row["head_dim"]),
        "intermediate_size": int(row["mlp"]),
        "vocab_size": int(row["vocab"]),
        "tie_word_embeddings": row["tied"] == "yes",
        "max_position_embeddings": int(row["max_positions"]),
        "torch_dtype": "bfloat16",
    }
    if row["window"]:
        config["sliding_window"] = None if row["window"] == "none" else int(row["window"])
    if row["experts"]:
        config |= {
            "num_experts": int(row["experts"]),
            "num_local_experts": int(row["experts"]),
            "num_experts_per_tok": int(row["experts_per_token"]),
            "moe_intermediate_size": int(row["mlp"]),
        }
    return CatalogueModel(
        name=row["name"],
        kind="chat" if row["kind"] == "chat" else "base",
        num_parameters=int(row["parameters"]),
        max_positions=int(row["max_positions"]),
        licence=row["licence"],
        is_gated=row["gated"] == "yes",
        note=row["note"],
        siblings=tuple(row["siblings"].split()),
        config=config,
    )
