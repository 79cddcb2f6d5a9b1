"""Columns of a comparison: the base, the adapter of a run, or one of its checkpoints. Reads names, not weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from core import durable
from core.errors import HoneError
from core.events import Event, Sampled, Saved, decode
from core.runs import Checkpoint, Run
from core.sections import ModelSection

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
MODEL_CONFIG = "config.json"
MAX_COLUMNS = 6
TAIL_BYTES = 1 << 18


class Column(BaseModel):
    """One voice of a comparison: which weights answer, and the words that tell it from its neighbours."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    kind: Literal["base", "adapter", "model"] = "base"
    """base: the model alone; adapter: a LoRA adapter on it; model: the whole model of a full fine-tune."""
    model: ModelSection = ModelSection()
    """The base that the weights belong to."""
    folder: str = ""
    """Where the adapter or the model lies; empty for the base."""
    step: int = 0
    rank: int = 0
    hash: str = ""
    """First characters of the sha256 of the weights; empty for the base."""

    @property
    def badge(self) -> str:
        """What tells it apart, in a few words: "step 790 · r16 · 9c1e"."""
        if self.kind == "base":
            return "no adapter"
        parts = (
            f"step {self.step:,}" if self.step else "",
            f"r{self.rank}" if self.rank else "",
            "full" if self.kind == "model" else "",
            self.hash[:4],
        )
        return " · ".join(filter(None, parts))


def base_column(model: ModelSection) -> Column:
    """The base model alone."""
    return Column(name="Base", model=model)


def run_column(run: Run, checkpoint: Checkpoint | None = None) -> Column:
    """A run's finished adapter, or one checkpoint of it; while a run is unfinished, its newest whole checkpoint.

    Raises HoneError when the run has saved nothing yet.
    """
    if checkpoint is None and not _weights_in(run.adapter):
        checkpoint = run.latest_checkpoint()
        if checkpoint is None:
            raise HoneError(f"{run.name} has saved nothing to talk to yet; wait for its first checkpoint.")
    folder = _weights_in(checkpoint.folder if checkpoint else run.adapter)
    if folder is None:
        raise HoneError(
            f"{checkpoint.folder if checkpoint else run.adapter} holds no adapter; choose another step."
        )
    step = checkpoint.step if checkpoint else _final_step(run)
    if (folder / ADAPTER_CONFIG).is_file():
        rank = _read_json(folder / ADAPTER_CONFIG).get("r", 0)
        weights = folder / ADAPTER_WEIGHTS
        kind: Literal["adapter", "model"] = "adapter"
    else:
        rank, weights, kind = 0, next(iter(sorted(folder.glob("*.safetensors")))), "model"
    return Column(
        name=run.name,
        kind=kind,
        model=run.config.model,
        folder=str(folder),
        step=step,
        rank=rank if isinstance(rank, int) else 0,
        hash=_digest(weights, checkpoint.folder if checkpoint else run.adapter),
    )


def checkpoints_to_offer(run: Run) -> list[Checkpoint]:
    """The run's complete checkpoints, newest first, by their manifests alone: quick enough for a menu."""
    found = [
        Checkpoint(path, int(path.name.removeprefix("step-")))
        for path in run.checkpoints_folder.glob("step-*")
        if path.name.removeprefix("step-").isdigit() and (path / durable.MANIFEST).is_file()
    ]
    return sorted(found, key=lambda checkpoint: checkpoint.step, reverse=True)


def has_voice(run: Run) -> bool:
    """Whether a run has an adapter or a checkpoint that could answer; looks at names only."""
    return _weights_in(run.adapter) is not None or bool(checkpoints_to_offer(run))


def prompts_of(run: Run, most: int = 3) -> list[str]:
    """Held-out prompts that the run answered while it trained, in the order of its samples."""
    sampled = reversed([event for event in _last_events(run, b'"sampled"') if isinstance(event, Sampled)])
    return list(dict.fromkeys(event.prompt for event in sampled))[:most]


def compared(runs: list[Run], *, with_base: bool = True) -> list[Column]:
    """The base, when wanted, and each run's newest weights. Raises HoneError when they cannot be compared."""
    columns = [run_column(run) for run in runs]
    if with_base and columns:
        columns.insert(0, base_column(columns[0].model))
    check_together(columns)
    return columns


def check_together(columns: list[Column]) -> None:
    """Raise HoneError unless there are one to six columns and all belong to one base model."""
    if not columns:
        raise HoneError("There is nothing to compare; choose at least one run.")
    if len(columns) > MAX_COLUMNS:
        raise HoneError(f"{len(columns)} columns are too many; at most {MAX_COLUMNS} fit side by side.")
    first = columns[0]
    for column in columns[1:]:
        if (column.model.source, column.model.revision) != (first.model.source, first.model.revision):
            raise HoneError(
                f"{column.name} was trained on {_shown(column.model)} and {first.name} stands on "
                f"{_shown(first.model)}; compare adapters of one base at a time."
            )


def _shown(model: ModelSection) -> str:
    return f"{model.source} at {model.revision}" if model.revision else model.source


def _weights_in(folder: Path) -> Path | None:
    """The folder in PEFT's or transformers' layout: the given one or its `adapter` folder."""
    for place in (folder, folder / "adapter"):
        if (place / ADAPTER_CONFIG).is_file() and (place / ADAPTER_WEIGHTS).is_file():
            return place
        if (place / MODEL_CONFIG).is_file() and any(place.glob("*.safetensors")):
            return place
    return None


def _final_step(run: Run) -> int:
    """The optimizer step at which the run's final weights were saved; 0 when its last events do not say."""
    saved = (event for event in _last_events(run, b'"saved"') if isinstance(event, Saved))
    return next((event.step for event in saved if event.folder.rstrip("/") == run.adapter.name), 0)


def _last_events(run: Run, mark: bytes) -> list[Event]:
    """The newest events whose line contains a mark, newest first; quick however long the run was."""
    try:
        with run.events_file.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - TAIL_BYTES))
            lines = file.read().splitlines()
    except OSError:
        return []
    found = (decode(line) for line in reversed(lines) if mark in line)
    return [event for event in found if event is not None]


def _digest(weights: Path, root: Path) -> str:
    """Eight characters of the weights' sha256, from the manifest where there is one."""
    listed = _read_json(root / durable.MANIFEST).get("sha256", {})
    known = listed.get(weights.relative_to(root).as_posix()) if isinstance(listed, dict) else None
    try:
        return (known if isinstance(known, str) else durable.sha256(weights))[:8]
    except OSError:
        return ""


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
