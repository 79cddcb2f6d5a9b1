"""Brings a base model into memory: clean copy, safetensors only, no code from the model, no network."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, PreTrainedModel
from transformers.utils import logging

from core.errors import HoneError
from core.hardware import Device
from core.sections import ModelSection
from core.worker.shards import Shards
from core.worker.split_loading import splitting
from core.worker.tokenizer import TRUSTED_ONLY, first_line
from core.worker.tokenizer import load_tokenizer as load_tokenizer

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
logging.disable_progress_bar()


def compute_dtype(model: ModelSection, device: Device) -> torch.dtype:
    """The number format a model computes in: auto takes fp32 on a CPU, and on a GPU bf16, or fp16 if it has none.

    Raises HoneError (path "model.dtype") for fp16 on a CPU.
    """
    if model.dtype == "auto":
        if device.kind == "cpu":
            return torch.float32
        return torch.bfloat16 if device.bf16 else torch.float16
    if model.dtype == "fp16" and device.kind == "cpu":
        raise HoneError("fp16 needs a GPU; choose bf16, fp32 or auto.", path="model.dtype")
    return DTYPES[model.dtype]


def stored_dtype(folder: Path) -> torch.dtype:
    """The number format that a model's files are in, as its config.json says; fp32 when it does not."""
    config = json.loads((folder / "config.json").read_bytes())
    name = config.get("dtype") or config.get("torch_dtype")
    return {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(name, torch.float32)


def load_model(
    model: ModelSection,
    folder: Path,
    device: Device,
    *,
    compute: torch.dtype,
    weights: torch.dtype | None = None,
    shards: Shards | None = None,
) -> PreTrainedModel:
    """The model in a clean copy, on the device, in evaluation mode.

    `compute` is what it computes in and, unless `weights` says otherwise, what unquantised weights are held in.
    With `shards` each layer is split as soon as it is read, so that never more than one is whole.
    Raises HoneError when files are incomplete, the attention is not to be had, or memory is short.
    """
    options: dict[str, Any] = {"dtype": weights or compute}
    if device.kind != "cpu" or model.quantization != "none":
        options["device_map"] = {"": device.id}
    if model.attention != "auto":
        options["attn_implementation"] = model.attention
    if model.quantization != "none":
        options["quantization_config"] = quantization_config(model, compute)
    if model.quantization in ("nf4", "fp4") and device.kind == "cpu":
        from core.worker.four_bits import mend_unpacking

        mend_unpacking()
    if model.quantization == "int8":
        from core.worker.eight_bits import mend_keeping

        mend_keeping()
    try:
        with _experts_included(model), splitting(shards) if shards else nullcontext():
            loaded, told = AutoModelForCausalLM.from_pretrained(  # pyright: ignore[reportGeneralTypeIssues]
                folder, **TRUSTED_ONLY, use_safetensors=True, output_loading_info=True, **options
            )
    except (
        ValueError, OSError, KeyError, TypeError, AttributeError, ImportError, StrictDataclassError
    ) as error:  # fmt: skip
        if "attn_implementation" in options and "attention" in str(error):
            raise HoneError(
                f"This model has no {model.attention} attention; choose auto.", path="model.attention"
            ) from error
        raise HoneError(f"The model cannot be loaded ({first_line(error)}).", path="model.source") from error
    wrong = sorted(told["missing_keys"]) + sorted(str(key) for key in told["mismatched_keys"])
    if wrong:
        raise HoneError(
            f"The model's files do not fit its config.json: {len(wrong)} tensors are missing or of another shape, "
            f"such as {wrong[0]}; get the whole model again.",
            path="model.source",
        )
    if shards:
        shards.split_rest(loaded)
    for module in loaded.modules():
        # WORKAROUND: on CPUs with AVX512-BF16 bitsandbytes 0.50 packs 4-bit weights anew at the first evaluation,
        # which rounds their constants, fails for widths that 64 does not divide, and is not undone for training.
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    if device.kind == "cuda":
        torch.cuda.empty_cache()  # what 16-bit weights took while they were packed
    return loaded


def _experts_included(model: ModelSection) -> AbstractContextManager[None]:
    """Lets the experts of a mixture be quantised as well; bitsandbytes is imported only where it is needed."""
    if model.quantization == "none":
        return nullcontext()
    from core.worker.quantizers import experts_included

    return experts_included()


def quantization_config(model: ModelSection, compute: torch.dtype) -> BitsAndBytesConfig:
    """How bitsandbytes is to quantise a model."""
    if model.quantization == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=model.quantization,
        bnb_4bit_use_double_quant=model.double_quantization,
        bnb_4bit_compute_dtype=compute,
    )
