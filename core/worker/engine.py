"""One base model in memory with the adapters that speak through it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
from peft import PeftModel
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core import durable
from core.columns import ADAPTER_WEIGHTS
from core.errors import HoneError
from core.models.headers import read_header
from core.models.quarantine import clean_adapter
from core.worker.stacked import BASE, StackedLora, can_stack

Keep = Callable[[Sequence[int]], None]


class Engine:
    """Adapters are known by the sha256 of their weights, so that one adapter is loaded once; BASE is none."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        self.model = model.eval()
        _choose_cpu_kernels(model)
        self.tokenizer = tokenizer
        self._peft: PeftModel | None = None
        self._names: dict[str, str] = {}
        self._num_loaded = 0

    @property
    def stop_tokens(self) -> frozenset[int]:
        """Every token that ends an answer: all of the generation config's and the tokenizer's own."""
        listed = getattr(self.model.generation_config, "eos_token_id", None)
        found = listed if isinstance(listed, list) else [listed]
        return frozenset(token for token in (*found, self.tokenizer.eos_token_id) if isinstance(token, int))

    @property
    def context(self) -> int:
        """The longest text the model can hold, in tokens."""
        longest = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        return longest if isinstance(longest, int) and longest > 0 else 1 << 30

    def set_adapters(self, folders: Sequence[str]) -> list[str]:
        """Have exactly these adapters in memory; returns the name of each.

        Raises HoneError for one that is no LoRA adapter or does not fit this base; the engine is of no use then.
        """
        digests = [durable.sha256(_weights(folder)) for folder in folders]
        for digest, folder in zip(digests, folders, strict=True):
            if digest not in self._names:
                self._names[digest] = self._load(folder)
        if self._peft is not None:
            self._drop_others(self._peft, set(digests))
        return [self._names[digest] for digest in digests]

    def batches(self, names: Sequence[str]) -> list[list[int]]:
        """Places in `names` that can be answered in one pass; what cannot be stacked stands alone."""
        if self._peft is None:
            return [list(range(len(names)))]
        peft = self._peft
        together = [place for place, name in enumerate(names) if can_stack(peft, name)]
        alone = [[place] for place in range(len(names)) if place not in together]
        return [together, *alone] if together else alone

    @contextmanager
    def speaking(self, names: Sequence[str]) -> Iterator[Keep]:
        """Row n of the model's batch is adapter `names[n]`. Yields what must be told which rows go on."""
        if self._peft is None:
            yield _ignore
        elif all(can_stack(self._peft, name) for name in names):
            with StackedLora(self._peft, names) as stacked:
                yield stacked.keep
        else:
            (name,) = set(names)
            if name != BASE:
                self._peft.set_adapter(name)
            with self._peft.disable_adapter() if name == BASE else nullcontext():
                yield _ignore

    @torch.inference_mode()
    def logits(self, ids: Sequence[int], names: Sequence[str]) -> list[Tensor]:
        """Scores [len(ids), vocabulary] in fp32 on the CPU for each adapter, over the same tokens."""
        found: dict[int, Tensor] = {}
        device = self.model.device
        for places in self.batches(names):
            with self.speaking([names[place] for place in places]):
                batch = torch.tensor([list(ids)] * len(places), device=device)
                scores = self.model(input_ids=batch, use_cache=False).logits.float().cpu()
            found.update(zip(places, scores, strict=True))
        return [found[place] for place in range(len(names))]

    def _load(self, folder: str) -> str:
        clean, self._num_loaded = clean_adapter(Path(folder)), self._num_loaded + 1
        name, device = f"adapter{self._num_loaded}", str(self.model.device)
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("error", message="Found missing adapter keys")
                # WORKAROUND: PEFT 0.21 asks transformers 5.23 for a property by its deprecated name.
                warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
                if self._peft is None:
                    self._peft = PeftModel.from_pretrained(self.model, clean, name, torch_device=device)
                else:
                    self._peft.load_adapter(str(clean), name, torch_device=device)
        except (ValueError, RuntimeError, KeyError, TypeError, UserWarning) as error:
            raise self._misfit(folder, (str(error).strip().splitlines() or [""])[0][:160].rstrip(". :")) from error
        placed = sum(f".{name}." in f"{key}." for key, _ in self._peft.named_parameters())
        if placed != len(read_header(_weights(folder))):
            raise self._misfit(folder, "some of its weights belong to layers that the base does not have")
        self._peft.eval()
        return name

    def _misfit(self, folder: str, why: str) -> HoneError:
        kind = self.model.config.model_type
        return HoneError(
            f"The adapter in {folder} does not fit the {kind} base: {why}; choose the base it was made for."
        )

    def _drop_others(self, peft: PeftModel, wanted: set[str]) -> None:
        if not wanted:
            peft.unload()
            self._peft, self._names = None, {}
            return
        peft.set_adapter(self._names[next(iter(wanted))])
        for digest in set(self._names) - wanted:
            peft.delete_adapter(self._names.pop(digest))


def _choose_cpu_kernels(model: PreTrainedModel) -> None:
    """Let 4-bit layers use bitsandbytes' fast bf16 product for AVX-512 where it works.

    WORKAROUND: bitsandbytes 0.50 repacks the weights of every 4-bit layer on the first pass without gradients and
    fails on shapes that are no multiple of its blocks; those keep dequantising.
    """
    if not getattr(model, "is_loaded_in_4bit", False):
        return
    from bitsandbytes.functional import has_avx512bf16
    from bitsandbytes.nn import Linear4bit

    for module in model.modules():
        if isinstance(module, Linear4bit):
            state = getattr(module.weight, "quant_state", None)
            fits = (
                state is not None and module.in_features % state.blocksize == 0 and module.out_features % 32 == 0
            )
            module.support_avx512bf16_for_cpu = fits and has_avx512bf16()


def _weights(folder: str) -> Path:
    path = Path(folder) / ADAPTER_WEIGHTS
    if not path.is_file():
        raise HoneError(f"{folder} holds no {ADAPTER_WEIGHTS} any more; choose another checkpoint.")
    return path


def _ignore(rows: Sequence[int]) -> None:
    """Nothing is particular to a row."""
