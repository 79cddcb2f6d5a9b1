"""Checkpoints: all that continuing to the bit needs, as safetensors and JSON, whole on disk or not there."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel
from transformers import PreTrainedTokenizerBase as Tokenizer

from core import durable
from core.errors import HoneError
from core.runs import Checkpoint, Run
from core.worker import adapters, optimizer
from core.worker.optimizer import NamedParameters

OPTIMIZER_TENSORS, OPTIMIZER_NUMBERS, PROGRESS = "optimizer.safetensors", "optimizer.json", "progress.json"


@dataclass
class Progress:
    """How far a run has come. Order and dropout follow from `step`, so there is no state of random numbers."""

    step: int = 0
    """Optimizer steps done."""
    num_tokens: int = 0
    """Tokens seen that were not padding."""
    seconds: float = 0.0
    micro_batch: int = 0
    """Rows computed at once; less than asked for once memory has run out."""
    loss_scale: float = 1.0
    """Factor that keeps fp16 gradients from vanishing."""
    skipped_in_a_row: int = 0
    evaluated: dict[str, float] = field(default_factory=dict)
    """Held-out loss by step."""
    data_sha256: str = ""
    sources_sha256: dict[str, str] = field(default_factory=dict)
    """Of each source by itself, to tell which has changed."""
    date: str = ""
    """The day the run began, for chat templates that state it."""

    @property
    def best_loss(self) -> float:
        return min((loss for loss in self.evaluated.values() if math.isfinite(loss)), default=math.inf)

    @property
    def num_since_best(self) -> int:
        """Evaluations since the lowest loss."""
        losses = list(self.evaluated.values())
        return len(losses) - 1 - losses.index(self.best_loss) if self.best_loss in losses else len(losses)


@dataclass(frozen=True)
class Origin:
    """Where anyone finds the base model: a Hub name with its commit, or a folder."""

    base: str
    commit: str = ""


@dataclass(frozen=True)
class Trained:
    """What a checkpoint is made of."""

    model: PeftModel | PreTrainedModel
    parameters: NamedParameters
    """The trained ones, by name."""
    optimizer: torch.optim.Optimizer
    origin: Origin

    def is_finite(self) -> bool:
        """Whether every trained weight is a number."""
        norm = torch.nn.utils.get_total_norm([parameter.detach() for _, parameter in self.parameters])
        return bool(torch.isfinite(norm))


def folder_of(run: Run, step: int) -> Path:
    return run.checkpoints_folder / f"step-{step:06d}"


def save(run: Run, trained: Trained, progress: Progress) -> int:
    """Write the checkpoint of `progress.step`. Returns its bytes. Raises OSError, or safetensors' own error, and
    leaves older checkpoints as they are."""

    def fill(folder: Path) -> None:
        _save_weights(trained, folder)
        tensors, numbers = optimizer.state_of(trained.optimizer, trained.parameters)
        save_file(tensors, folder / OPTIMIZER_TENSORS)
        (folder / OPTIMIZER_NUMBERS).write_text(json.dumps(numbers))
        (folder / PROGRESS).write_text(json.dumps(asdict(progress), indent=1))

    return durable.write_folder(folder_of(run, progress.step), fill)


def prune(run: Run, keep: int, progress: Progress) -> None:
    """Delete checkpoints other than the newest `keep` and the best; to be called after a save succeeded."""
    found = folders(run)
    best = best_of(found, progress)
    for folder in found[:-keep]:
        if folder != best:
            # Its manifest goes first, so that a half-deleted checkpoint is never taken for a whole one.
            (folder / durable.MANIFEST).unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)


def folders(run: Run) -> list[Path]:
    """The folders of a run's checkpoints, oldest first."""
    return sorted((p for p in run.checkpoints_folder.glob("step-*") if p.name[5:].isdigit()), key=_step_of)


def best_of(found: list[Path], progress: Progress) -> Path | None:
    """The checkpoint with the lowest held-out loss of those that were evaluated; the earliest of equals."""
    evaluated = [folder for folder in found if str(_step_of(folder)) in progress.evaluated]
    return min(evaluated, key=lambda folder: progress.evaluated[str(_step_of(folder))], default=None)


def _step_of(folder: Path) -> int:
    return int(folder.name[5:])


def read_progress(checkpoint: Checkpoint) -> Progress:
    """Raises HoneError when the checkpoint was written by another version."""
    try:
        return Progress(**json.loads((checkpoint.folder / PROGRESS).read_bytes()))
    except (OSError, ValueError, TypeError):
        raise HoneError(
            f"The checkpoint {checkpoint.folder.name} is of another version of Hone; delete it to start anew."
        ) from None


def restore(checkpoint: Checkpoint, trained: Trained) -> None:
    """Put an adapter's weights and the optimizer's state back. A full fine-tune's weights come by loading the
    checkpoint as the model."""
    if isinstance(trained.model, PeftModel):
        adapters.load_adapter(trained.model, checkpoint.folder)
    tensors = load_file(checkpoint.folder / OPTIMIZER_TENSORS)
    numbers = json.loads((checkpoint.folder / OPTIMIZER_NUMBERS).read_bytes())
    optimizer.restore(trained.optimizer, trained.parameters, (tensors, numbers))


def save_result(run: Run, weights: Trained | Path, tokenizer: Tokenizer, card: str) -> int:
    """Write the run's adapter folder: weights in the usual layout, tokenizer, model card. Returns its bytes.

    The weights are those in memory, or those of a checkpoint's folder.
    """

    def fill(folder: Path) -> None:
        if isinstance(weights, Trained):
            _save_weights(weights, folder)
        else:
            for file in weights.iterdir():
                if file.name not in (OPTIMIZER_TENSORS, OPTIMIZER_NUMBERS, PROGRESS, durable.MANIFEST):
                    shutil.copyfile(file, folder / file.name)
        tokenizer.save_pretrained(folder)
        (folder / "README.md").write_text(card, encoding="utf-8")

    return durable.write_folder(run.adapter, fill)


def _save_weights(trained: Trained, folder: Path) -> None:
    if isinstance(trained.model, PeftModel):
        adapters.save_adapter(trained.model, folder, trained.origin.base, trained.origin.commit)
    else:
        adapters.save_model(trained.model, folder)
