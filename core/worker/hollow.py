"""Models without weights: built from config.json alone, quantised and adapted as real ones, on fake tensors."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import bitsandbytes as bnb
import torch
from bitsandbytes.functional import QuantState
from huggingface_hub.errors import StrictDataclassError
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel
from transformers.quantizers.auto import AutoHfQuantizer

from core.errors import HoneError
from core.sections import ModelSection
from core.worker import experts
from core.worker.eight_bits import mend_keeping
from core.worker.load import quantization_config
from core.worker.quantized import constants_of
from core.worker.quantizers import experts_included

BLOCK, NESTED_BLOCK = 64, 256


def build(
    settings: dict[str, Any], model: ModelSection, *, compute: torch.dtype, weights: torch.dtype
) -> PreTrainedModel:
    """The model that a config.json describes, on the meta device: shapes and classes of the real one, no memory.

    Raises HoneError (path "model.source") when transformers does not know its kind.
    """
    # The limit of a state space's time steps may be infinite, which JSON cannot say; no size hangs on it.
    left_out = ("quantization_config", "time_step_limit")
    settings = {key: value for key, value in settings.items() if key not in left_out}
    try:
        config = AutoConfig.for_model(**settings)
        text = config.get_text_config()
        # Long-context rotary variants look at the largest position, which a fake tensor does not have.
        if (getattr(text, "rope_parameters", None) or {}).get("rope_type") in ("dynamic", "longrope"):
            text.rope_parameters = {**text.rope_parameters, "rope_type": "default"}
        attention = {} if model.attention == "auto" else {"attn_implementation": model.attention}
        with torch.device("meta"):
            built = AutoModelForCausalLM.from_config(text, dtype=weights, **attention)
    except (ValueError, KeyError, TypeError, AttributeError, ImportError, StrictDataclassError) as error:
        cause = error.__cause__ if isinstance(error, StrictDataclassError) and error.__cause__ else error
        first = (str(cause).strip().splitlines() or [type(cause).__name__])[0][:160].rstrip(".")
        raise HoneError(f"The model's config.json cannot be built ({first}).", path="model.source") from error
    if model.quantization == "int8":
        mend_keeping()
    if model.quantization != "none":
        with experts_included():
            quantizer = AutoHfQuantizer.from_config(quantization_config(model, compute), pre_quantized=False)
        quantizer.preprocess_model(model=built, dtype=weights, device_map={"": "cpu"})
        quantizer.postprocess_model(built)
        with torch.device("meta"):
            for module, name in experts.expert_weights(built):
                shape = module._parameters[name].shape  # type: ignore[union-attr]
                module._parameters[name] = experts.hollow(shape, weights, *experts.quantization_of(model))
    return built.eval()


def fill(model: nn.Module, mode: AbstractContextManager[Any]) -> None:
    """Put a tensor made in `mode`, which may be a torch.device, in the place of every parameter and buffer; what
    was shared stays shared."""
    made: dict[int, Any] = {}
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                if id(parameter) not in made:
                    made[id(parameter)] = (parameter, _fake_parameter(parameter, module, mode))
                module._parameters[name] = made[id(parameter)][1]
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = _fake(buffer, mode)
        for name, value in vars(module).items():
            if isinstance(value, Tensor):
                setattr(module, name, _fake(value, mode))
        if hasattr(module, "support_avx512bf16_for_cpu"):
            setattr(module, "support_avx512bf16_for_cpu", False)  # noqa: B010  # as in load_model


def largest_unquantised(model: nn.Module) -> int:
    """Weights of the largest tensor that is quantised as it is loaded; 0 when none is."""
    shapes = [getattr(getattr(parameter, "quant_state", None), "shape", None) for parameter in model.parameters()]
    counts = [shape.numel() for shape in shapes if shape is not None]
    counts += [parameter.numel() for parameter in model.parameters() if hasattr(parameter, "SCB")]
    return max(counts, default=0)


def tensors_of(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Every tensor that a model holds with its kind: weights, constants of quantisation, or adapter."""
    for name, parameter in model.named_parameters():
        kind = "adapter" if parameter.requires_grad and "lora_" in name else "weights"
        yield kind, parameter
        for constant in constants_of(parameter):
            yield "constants", constant
    for module in model.modules():
        state = getattr(module, "state", None)  # of an 8-bit layer
        for value in (getattr(state, "CB", None), getattr(state, "SCB", None)):
            if isinstance(value, Tensor):
                yield "constants", value
    for _, buffer in model.named_buffers():
        yield "weights", buffer


def _fake(value: Tensor, mode: AbstractContextManager[Any]) -> Tensor:
    with mode:
        return torch.zeros(value.shape, dtype=value.dtype)


def _fake_parameter(parameter: nn.Parameter, module: nn.Module, mode: AbstractContextManager[Any]) -> nn.Parameter:
    if experts.is_packed(parameter):
        with mode:
            return experts.emptied(parameter)
    if isinstance(parameter, bnb.nn.Params4bit):
        return _fake_4bit(parameter, module, mode)
    if isinstance(parameter, bnb.nn.Int8Params):
        with mode:
            weight = nn.Parameter(torch.zeros(parameter.shape, dtype=torch.int8), requires_grad=False)
            weight.CB, weight.SCB = weight.data, torch.zeros(parameter.shape[0])  # type: ignore[attr-defined]
            weight.has_fp16_weights = False  # type: ignore[attr-defined]
        return weight
    return nn.Parameter(_fake(parameter, mode), requires_grad=parameter.requires_grad)


def _fake_4bit(parameter: bnb.nn.Params4bit, module: nn.Module, mode: AbstractContextManager[Any]) -> nn.Parameter:
    """A plain parameter of the packed shape with the state of a quantised one.

    bitsandbytes' own parameter class refuses to hold a fake tensor; its operators do not mind.
    """
    blocks = -(-parameter.numel() // BLOCK)
    with mode:
        packed = nn.Parameter(torch.zeros((parameter.numel() + 1) // 2, 1, dtype=torch.uint8), requires_grad=False)
        nested = None
        if parameter.compress_statistics:
            nested = QuantState(
                absmax=torch.zeros(-(-blocks // NESTED_BLOCK)), code=torch.zeros(256), blocksize=NESTED_BLOCK,
                dtype=torch.float32,
            )  # fmt: skip
        state = QuantState(
            absmax=torch.zeros(blocks, dtype=torch.uint8 if nested else torch.float32),
            shape=parameter.shape,
            code=torch.zeros(16),
            blocksize=BLOCK,
            quant_type=parameter.quant_type,
            dtype=getattr(module, "compute_dtype", None) or parameter.dtype,  # of what was quantised
            offset=torch.zeros(()) if nested else None,
            state2=nested,
        )
    for name, value in (
        ("quant_state", state), ("bnb_quantized", True), ("quant_type", parameter.quant_type),
        ("blocksize", BLOCK), ("compress_statistics", parameter.compress_statistics), ("module", module),
        ("quant_storage", torch.uint8),
    ):  # fmt: skip
        setattr(packed, name, value)
    module.quant_state = state  # type: ignore[assignment]
    return packed


def shallow(settings: dict[str, Any], num_layers: int) -> dict[str, Any]:
    """The same config.json with another number of layers."""
    changed = copy.deepcopy(settings)
    part = next((changed[key] for key in ("text_config",) if isinstance(changed.get(key), dict)), changed)
    part["n_layer" if "n_layer" in part else "num_hidden_layers"] = num_layers
    if "layer_types" in part:
        part["layer_types"] = [part["layer_types"][i % len(part["layer_types"])] for i in range(num_layers)]
    return changed
