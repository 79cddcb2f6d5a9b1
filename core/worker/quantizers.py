"""transformers' bitsandbytes quantisers, extended to the experts of a mixture while a model is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from transformers import PreTrainedModel
from transformers.core_model_loading import ConversionOps
from transformers.quantizers import auto
from transformers.quantizers.quantizer_bnb_4bit import Bnb4BitHfQuantizer
from transformers.quantizers.quantizer_bnb_8bit import Bnb8BitHfQuantizer

from core.worker import experts


class _Quantize(ConversionOps):
    """Quantises the weights of experts, and leaves everything else to bitsandbytes."""

    def __init__(self, quantizer: Any, rest: ConversionOps) -> None:
        self._quantizer, self._rest = quantizer, rest

    def convert(self, input_dict: dict[str, Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
        model = kwargs["model"]
        found = {name: value for name, value in input_dict.items() if _is_experts(model, name)}
        others = {name: value for name, value in input_dict.items() if name not in found}
        converted: dict[str, Any] = self._rest.convert(others, *args, **kwargs) if others else {}
        for name, value in found.items():
            whole = value[0] if isinstance(value, list) else value
            converted[name] = experts.quantize(whole, *_wanted(self._quantizer))
        return converted


class _WithExperts:
    """What is added to a quantiser of transformers."""

    def param_needs_quantization(self, model: PreTrainedModel, param_name: str, **kwargs: Any) -> bool:
        return _is_experts(model, param_name) or super().param_needs_quantization(model, param_name, **kwargs)  # type: ignore[misc]

    def get_quantize_ops(self) -> Any:
        return _Quantize(self, super().get_quantize_ops())  # type: ignore[misc]

    def _process_model_before_weight_loading(self, model: PreTrainedModel, *args: Any, **kwargs: Any) -> None:
        super()._process_model_before_weight_loading(model, *args, **kwargs)  # type: ignore[misc]
        for module, _ in experts.expert_weights(model):
            module.config._experts_implementation = experts.IMPLEMENTATION  # type: ignore[union-attr]


class _FourBit(_WithExperts, Bnb4BitHfQuantizer):
    pass


class _EightBit(_WithExperts, Bnb8BitHfQuantizer):
    pass


@contextmanager
def experts_included() -> Iterator[None]:
    """Models that are quantised inside have their experts quantised too."""
    known = auto.AUTO_QUANTIZER_MAPPING
    before = dict(known)
    known.update(bitsandbytes_4bit=_FourBit, bitsandbytes_8bit=_EightBit)
    try:
        yield
    finally:
        known.update(before)


def _is_experts(model: PreTrainedModel, name: str) -> bool:
    path, _, last = name.rpartition(".")
    return experts.is_expert_weight(model.get_submodule(path), last)


def _wanted(quantizer: Any) -> tuple[str, bool]:
    config = quantizer.quantization_config
    if config.load_in_8bit:
        return "int8", False
    return config.bnb_4bit_quant_type, config.bnb_4bit_use_double_quant
