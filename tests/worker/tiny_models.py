"""Tiny models and tokenizers, made on the spot: real files of real classes, with random weights."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

with warnings.catch_warnings():
    # Upstream code that runs on import; inside a test it would be an error like any warning of ours.
    warnings.simplefilter("ignore")
    import bitsandbytes  # noqa: F401
    import peft  # noqa: F401
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

SPECIAL = ["<|end|>", "<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] "
    "+ '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
CHATML_MARKED = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}"
    "{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] + '<|im_end|>' }}"
    "{% endgeneration %}{% else %}{{ message['content'] + '<|im_end|>' }}{% endif %}{{ '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
LLAMA3 = (
    "{% for message in messages %}{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' "
    "+ message['content'] | trim + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"
)
TEMPLATES = {"chatml": CHATML, "chatml-marked": CHATML_MARKED, "llama3": LLAMA3, "none": ""}

ANIMALS = ("fox", "owl", "bear", "hare", "mole", "crow", "toad", "wren")
THINGS = ("hat", "drum", "kite", "boat", "lamp", "cake", "bell", "coat")


def sentences() -> list[tuple[str, str]]:
    """Prompts with answers of different lengths, enough to learn something from."""
    return [
        (
            f"Tell me about a {animal} and a {thing}.",
            f"The {animal} had a {thing}." + f" It was a good {thing}." * (1 + (i + j) % 4),
        )
        for i, animal in enumerate(ANIMALS)
        for j, thing in enumerate(THINGS)
    ]


def make_tokenizer(template: str = "chatml-marked") -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of 400 tokens, trained on the sentences above."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator([f"{prompt} {answer}" for prompt, answer in sentences()], trainer)
    ends = {"chatml": "<|im_end|>", "chatml-marked": "<|im_end|>", "llama3": "<|eot_id|>", "none": "<|end|>"}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token=ends[template],
        additional_special_tokens=[token for token in SPECIAL if token != ends[template]],
    )
    tokenizer.chat_template = TEMPLATES[template] or None
    return tokenizer


def tiny_config(**changes: Any) -> LlamaConfig:
    return LlamaConfig(
        **{
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "intermediate_size": 64,
            "vocab_size": 400,
            "max_position_embeddings": 256,
            "tie_word_embeddings": True,
            "eos_token_id": 2,
            "bos_token_id": None,
            "pad_token_id": None,
            "initializer_range": 0.1,
            **changes,
        }
    )


def make_model(
    folder: Path, template: str = "chatml-marked", dtype: torch.dtype = torch.float32, **changes: Any
) -> Path:
    """A random Llama with its tokenizer, saved as any model is."""
    torch.manual_seed(7)
    tokenizer = make_tokenizer(template)
    model = LlamaForCausalLM(tiny_config(eos_token_id=tokenizer.eos_token_id, **changes))
    model.to(dtype)  # type: ignore[arg-type]
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_chats(path: Path, rows: list[tuple[str, str]] | None = None) -> Path:
    """A JSONL file of chats, one per prompt and answer."""
    lines = [
        json.dumps({"messages": [{"role": "user", "content": p}, {"role": "assistant", "content": a}]})
        for p, a in (sentences() if rows is None else rows)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path
