"""What is trained: adapter layers put into a frozen model, or all of its weights."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.utils import get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from core.errors import HoneError
from core.models.families import FAMILIES, UNADAPTED
from core.sections import Full, Lora, MemorySection, ModelSection

ADAPTER_WEIGHTS = "adapter_model.safetensors"


def prepare(model: PreTrainedModel, section: ModelSection, memory: MemorySection) -> None:
    """Set a loaded base up for training: fp32 for small parts if asked, activation checkpointing.

    Raises HoneError (path "memory.activation_checkpointing") for a family that cannot recompute.
    """
    if memory.upcast and section.quantization != "none":
        for parameter in model.parameters():
            if parameter.dtype in (torch.float16, torch.bfloat16) and type(parameter) is nn.Parameter:
                parameter.data = parameter.data.float()
    if memory.activation_checkpointing:
        if not model.supports_gradient_checkpointing:
            raise HoneError(
                f"Models of the family {model.config.model_type} cannot recompute activations; turn it off.",
                path="memory.activation_checkpointing",
            )
        # The non-reentrant form needs no gradient at its input, so frozen embeddings stay out of the graph.
        model.activation_checkpointing_enable({"use_reentrant": False})


def attach(
    model: PreTrainedModel, method: Lora | Full, memory: MemorySection, seed: int
) -> PreTrainedModel | PeftModel:
    """The model with what the method trains: a PEFT model around it, or the model itself with all weights trained.

    The first adapter weights depend on the seed alone. Full fine-tuning expects fp32 weights, its master copy:
    with a 16-bit compute dtype autocast makes 16-bit copies as it goes, since steps of 1e-5 would be lost in
    16-bit weights. Raises HoneError (path "method.targets") when a target names no layer.
    """
    if isinstance(method, Full):
        model.requires_grad_(True)
        return model
    config = LoraConfig(
        r=method.rank,
        lora_alpha=int(method.alpha) if method.alpha.is_integer() else method.alpha,  # type: ignore[arg-type]
        lora_dropout=method.dropout,
        target_modules=_targets(model, method.targets),
        task_type="CAUSAL_LM",
    )
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        # WORKAROUND: PEFT 0.21 asks transformers 5.23 for a property by its deprecated name.
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
        adapted = get_peft_model(model, config)
    if memory.adapter_dtype == "bf16":
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.bfloat16()
    return adapted


def base_of(model: PreTrainedModel | PeftModel) -> PreTrainedModel:
    """The transformers model inside."""
    return model.get_base_model() if isinstance(model, PeftModel) else model  # type: ignore[return-value]


def save_adapter(model: PeftModel, folder: Path, base: str, commit: str) -> None:
    """Write an adapter in PEFT's layout. `base` is where anyone finds its base model, `commit` its Hub commit."""
    tensors = get_peft_model_state_dict(model, save_embedding_layers=False)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(tensors, folder / ADAPTER_WEIGHTS, metadata={"format": "pt"})
    config = model.peft_config["default"]
    written = copy.copy(config)
    written.base_model_name_or_path, written.revision, written.inference_mode = base, commit or None, True
    # PEFT keeps a set, which has another order in every process.
    written.target_modules = sorted(written.target_modules)  # type: ignore[attr-defined]
    written.save_pretrained(str(folder))


def load_adapter(model: PeftModel, folder: Path) -> None:
    """Put the weights that `save_adapter` wrote back into an adapter of the same shape."""
    told = set_peft_model_state_dict(model, load_file(folder / ADAPTER_WEIGHTS))
    if told.unexpected_keys:
        raise HoneError(f"The checkpoint {folder.name} belongs to an adapter of another shape; start anew.")


def save_model(model: PreTrainedModel, folder: Path) -> None:
    """Write a fully fine-tuned model in transformers' layout."""
    model.save_pretrained(folder)


def _targets(model: PreTrainedModel, targets: tuple[str, ...]) -> str | list[str]:
    """The targets as PEFT takes them: layer names where they are unmistakable, as all tools understand those."""
    linears = {name for name, module in model.named_modules() if isinstance(module, (nn.Linear, Conv1D))}
    ends = {name.rpartition(".")[2] for name in linears}
    name = model.config.get_text_config().model_type
    family = FAMILIES.get(name)
    unadapted = set(family.unadapted if family else UNADAPTED.get(name, ())) & ends
    if targets == ("all-linear",):
        head = model.get_output_embeddings()
        others = {name.rpartition(".")[2] for name, m in model.named_modules() if name not in linears or m is head}
        names = {name.rpartition(".")[2] for name in linears if model.get_submodule(name) is not head}
        return "all-linear" if names & others and not unadapted else sorted(names - unadapted)
    for target in targets:
        if target.rpartition(".")[2] in unadapted:
            raise HoneError(
                f"{target} cannot have an adapter in models of the family {model.config.model_type}; leave it "
                "out, or take all-linear.",
                path="method.targets",
            )
        if not any(name == target or name.endswith(f".{target}") for name in linears):
            raise HoneError(
                f"The model has no linear layer named {target}; it has {', '.join(sorted(ends))}, or take "
                "all-linear.",
                path="method.targets",
            )
    return list(targets)
