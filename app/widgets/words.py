"""The names that people read for settings, their choices and the parts of memory."""

from __future__ import annotations

import functools
import re
from typing import Any

from core.config import SECTION_NAMES, RunConfig, union_members

_LABELS = {
    "model.source": "Model",
    "model.dtype": "Number format",
    "model.quantization": "Base weights",
    "model.double_quantization": "Double quantisation",
    "data.source": "Data",
    "data.train_on": "Train on",
    "data.more": "Mixed in",
    "data.mapping": "Columns",
    "data.template": "Chat template",
    "data.roles": "Chosen roles",
    "data.holdout_source": "Evaluate on",
    "data.split_column": "Split by column",
    "data.stratify_by": "Stratify by",
    "data.group_by": "Group by",
    "data.on_invalid": "Unreadable rows",
    "data.on_no_answer": "Missing answers",
    "data.on_empty": "Empty turns",
    "data.on_role_order": "Wrong role order",
    "data.on_untrained": "Nothing to learn",
    "data.on_encoding": "Wrong encoding",
    "data.on_control": "Control characters",
    "data.on_personal": "Personal data",
    "data.on_dropped": "Lost to the template",
    "data.on_no_end": "Missing ends",
    "data.on_long": "Long rows",
    "data.on_duplicate": "Repeated rows",
    "data.on_near_duplicate": "Nearly repeated",
    "data.on_conflict": "Conflicting rows",
    "data.on_leak": "Leaked rows",
    "data.holdout": "Held out",
    "method.kind": "Method",
    "method.targets": "Trained layers",
    "objective.kind": "Objective",
    "optim.learning_rate": "Learning rate",
    "optim.schedule": "Schedule",
    "optim.warmup_ratio": "Warm-up",
    "optim.grad_clip": "Gradient clipping",
    "optim.batch_size": "Batch",
    "optim.max_steps": "Step limit",
    "memory.activation_checkpointing": "Checkpointing",
    "memory.loss": "Scores",
    "memory.adapter_dtype": "Adapter format",
    "memory.upcast": "Norms in fp32",
    "evaluation.every_steps": "Evaluate every",
    "evaluation.samples": "Samples",
    "evaluation.sample_tokens": "Sample length",
    "runtime.sharding": "Frozen layers",
    "runtime.save_every_steps": "Save every",
    "runtime.keep_checkpoints": "Checkpoints kept",
}

_CHOICES: dict[str, dict[Any, str]] = {
    "model.quantization": {"none": "Unquantised", "int8": "8-bit", "nf4": "4-bit NF4", "fp4": "4-bit FP4"},
    "model.dtype": {"auto": "Automatic"},
    "model.attention": {"auto": "Automatic", "sdpa": "SDPA", "eager": "Eager"},
    "data.train_on": {
        "answers": "Answers",
        "last_answer": "Last answer",
        "all": "Everything",
        "roles": "Chosen roles",
    },
    "method.kind": {"lora": "LoRA", "full": "Full fine-tuning"},
    "objective.kind": {"sft": "Answers (SFT)", "pretrain": "Raw text"},
    "optim.optimizer": {
        "adamw": "AdamW",
        "adamw_8bit": "AdamW, 8-bit",
        "paged_adamw": "AdamW, paged",
        "paged_adamw_8bit": "AdamW, 8-bit, paged",
        "sgd": "SGD",
    },
    "memory.loss": {"chunked": "In slices", "full": "All at once"},
    "memory.adapter_dtype": {"auto": "Automatic"},
    "runtime.sharding": {"none": "Whole", "layers": "Split"},
    "runtime.device": {"auto": "Automatic", "cpu": "CPU", "cuda": "NVIDIA GPU", "mps": "Apple GPU"},
}

_ZERO = {
    "optim.max_steps": "none",
    "optim.grad_clip": "off",
    "evaluation.every_steps": "only at the end",
    "evaluation.patience": "off",
    "runtime.threads": "one per core",
}

_EMPTY = {
    "data.more": "nothing",
    "data.mapping": "found by itself",
    "data.holdout_source": "the share held out",
    "data.split_column": "none",
    "data.stratify_by": "none",
    "data.group_by": "none",
}

ROLES = {
    "messages": "Messages", "prompt": "Prompt", "completion": "Answer", "system": "System", "text": "Text",
    "chosen": "Better", "rejected": "Worse", "label": "Verdict",
}  # fmt: skip
"""What a column of the data can be for."""

SECTIONS = {
    "model": "Model",
    "data": "Data",
    "method": "Method",
    "objective": "objective",
    "optim": "Learning",
    "memory": "Memory",
    "evaluation": "Evaluation",
    "runtime": "Running",
}

PARTS = {
    "weights": ("weights", "The base model's frozen weights, as they lie in memory."),
    "constants": ("block constants", "Scales of the quantised blocks; double quantisation shrinks them."),
    "adapter": ("adapter", "The weights that are learnt."),
    "gradients": ("gradients", "One number for each trained weight."),
    "optimizer": ("optimizer", "The running means that AdamW keeps for each trained weight."),
    "activations": ("activations kept", "What the forward pass stores until the backward pass needs it."),
    "recompute": ("recompute peak", "One layer computed again, with everything its backward pass needs."),
    "head_and_loss": ("head and loss", "Scores of the vocabulary for the trained tokens, and their gradient."),
    "workspace": ("workspace", "Room to work in, such as one layer's weights dequantised."),
    "context": ("framework", "What the framework and the device's driver take for themselves."),
    "margin": ("margin", "What may be lost between the pieces, and what the estimate cannot know."),
}


def label(path: str) -> str:
    """The name of a setting: "Learning rate" for optim.learning_rate."""
    name = path.rpartition(".")[2]
    return _LABELS.get(path) or name.replace("_", " ").capitalize()


def choice(path: str, value: Any) -> str:
    """The name of one of a setting's choices: "4-bit NF4" for nf4."""
    known = _CHOICES.get(path, {})
    if value in known:
        return known[value]
    text = str(value)
    return text if text[-1:].isdigit() else text.replace("_", " ").capitalize()


def zero(path: str) -> str:
    """The word that stands for 0 in a setting where 0 means something of its own."""
    return _ZERO.get(path, "")


def empty(path: str) -> str:
    """What an empty line stands for in a setting that may be left empty."""
    return _EMPTY.get(path, "")


_SETTING = re.compile(
    rf"(?<![\w./\\-])(?P<path>(?:{'|'.join(SECTIONS)})\.[a-z_]+)(?:\.(?P<role>{'|'.join(ROLES)}))?(?![\w/\\]|\.\w)"
    r"(?:(?: to |=)(?P<value>\w*))?"
)


def in_labels(sentence: str) -> str:
    """A sentence that names settings by their paths, with the names that their controls have in the window:
    "set “Frozen layers” to “Whole”" for "set runtime.sharding to none"."""
    return _SETTING.sub(_as_label, sentence)


def _as_label(found: re.Match[str]) -> str:
    path, role, value = found["path"], found["role"], found["value"]
    if path not in _paths():
        return found[0]
    name = f"“{ROLES[role] if role else label(path)}”"
    if value is None:
        return name
    known = _CHOICES.get(path, {})
    return f"{name} to {f'“{known[value]}”' if value in known else value}"


@functools.cache
def _paths() -> frozenset[str]:
    """Of every setting there is, whatever method and objective are chosen."""
    config = RunConfig()
    kinds = {name: union_members(name) or (type(getattr(config, name)),) for name in SECTION_NAMES}
    return frozenset(f"{name}.{key}" for name, them in kinds.items() for kind in them for key in kind.model_fields)
