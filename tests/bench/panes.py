"""How much faster four columns answer together than one alone: `python tests/bench/panes.py`.

Prints tokens per second of one column, of four in one batch, and of four through PEFT's own mixed batches, all
measured in turn in the same process on a model with random weights, and one JSON line with the medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from core.chat import Sampling
from core.worker.engine import Engine
from core.worker.generate import generate
from core.worker.sampler import Sampler
from core.worker.stacked import BASE

PROMPT_TOKENS = 32


def main() -> None:
    options = _options()
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    model = _model(options)
    engine = Engine(model, SimpleNamespace(eos_token_id=None))  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as folder:
        names = [BASE, *engine.set_adapters(_adapters(model, Path(folder), options))]
    peft = engine._peft
    assert peft is not None
    ways: dict[str, tuple[list[str], Any]] = {
        "one": ([names[1]], engine.speaking),
        "four": (names, engine.speaking),
        "peft_four": (names, _mixed(peft)),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    first: dict[str, list[float]] = {name: [] for name in ways}
    for round_number in range(options.rounds + 1):
        for name, (columns, speaking) in ways.items():
            rate, first_token = _measure(engine.model, columns, speaking, options.tokens)
            if round_number:  # the first round warms up
                rates[name].append(rate)
                first[name].append(first_token)
    _report(options, rates, first)


def _measure(model: PreTrainedModel, names: Sequence[str], speaking: Any, num_tokens: int) -> tuple[float, float]:
    """Tokens per second over all columns, and seconds until the last column's first token."""
    prompts = [list(range(5, 5 + PROMPT_TOKENS))] * len(names)
    sampler = Sampler(Sampling(temperature=0), [(0, row) for row in range(len(names))], prompts)
    start, first = time.perf_counter(), 0.0
    with speaking(names) as keep:
        for _ in generate(model, prompts, sampler, (), [num_tokens] * len(names), keep):
            first = first or time.perf_counter() - start
    return len(names) * num_tokens / (time.perf_counter() - start), first


def _mixed(peft: PeftModel) -> Callable[[Sequence[str]], Any]:
    """PEFT's adapter_names, with its hooks set once instead of in every pass, which is the best it can do."""

    @contextmanager
    def speaking(names: Sequence[str]) -> Any:
        with peft.base_model._enable_peft_forward_hooks(adapter_names=[name or "__base__" for name in names]):
            yield lambda rows: None

    return speaking


def _model(options: argparse.Namespace) -> PreTrainedModel:
    config = LlamaConfig(
        hidden_size=options.hidden,
        intermediate_size=options.hidden * 8 // 3 // 32 * 32,
        num_hidden_layers=options.layers,
        num_attention_heads=options.hidden // options.head,
        num_key_value_heads=max(1, options.hidden // options.head // 3),
        vocab_size=options.vocab,
    )
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[options.dtype]
    with torch.device(options.device):
        return LlamaForCausalLM(config).to(dtype).eval()


def _adapters(model: PreTrainedModel, folder: Path, options: argparse.Namespace) -> list[str]:
    found = []
    for number in range(3):
        config = LoraConfig(r=options.rank, target_modules="all-linear", init_lora_weights=False)
        adapted = get_peft_model(model, config)
        adapted.save_pretrained(str(folder / str(number)))
        adapted.unload()
        found.append(str(folder / str(number)))
    return found


def _report(options: argparse.Namespace, rates: dict[str, list[float]], first: dict[str, list[float]]) -> None:
    ratio = statistics.median(four / one for four, one in zip(rates["four"], rates["one"], strict=True))
    over_peft = statistics.median(
        four / peft for four, peft in zip(rates["four"], rates["peft_four"], strict=True)
    )
    wait = statistics.median(four / one for four, one in zip(first["four"], first["one"], strict=True))
    shown = {name: round(statistics.median(values), 1) for name, values in rates.items()}
    for name, rate in shown.items():
        print(f"{name:10} {rate:8.1f} tokens/s")
    print(f"four columns / one column: {ratio:.2f}   over PEFT's mixed batches: {over_peft:.2f}")
    print(f"first token of the last of four / of one alone: {wait:.2f}")
    print(
        json.dumps(
            {
                **{
                    key: vars(options)[key]
                    for key in ("hidden", "layers", "vocab", "rank", "device", "dtype", "threads")
                },
                "tokens_per_second": shown,
                "four_over_one": round(ratio, 3),
                "four_over_peft": round(over_peft, 3),
                "first_token_four_over_one": round(wait, 3),
            }
        )
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("hidden", 288), ("layers", 6), ("head", 48), ("vocab", 4096), ("rank", 16)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=["fp32", "bf16"], default="fp32")
    return parser.parse_args()


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main()
