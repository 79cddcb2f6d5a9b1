"""Makes the small tokenizers beside this file: real kinds, real special tokens, a vocabulary of a few words.

python tests/worker/tokenizers/make.py
"""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

HERE = Path(__file__).parent
WORDS = [
    "Tell me about a fox. The fox had a hat. And the owl? The owl had a drum, and it was a good drum.",
    "Be brief. You answer in one line. What is two and three? Two and three are five.",
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful answers.",
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.",
    "### Instruction: ### Response: USER: ASSISTANT: [INST] [/INST] user assistant system model think",
]


def byte_level(special: list[str]) -> Tokenizer:
    """As of GPT-2, Llama 3 and Qwen."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(WORDS, trainers.BpeTrainer(vocab_size=380, initial_alphabet=alphabet,
                                                        show_progress=False))  # fmt: skip
    made.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special])
    return made


def sentence_piece(special: list[str], *, prepends: bool) -> Tokenizer:
    """As of Llama 2, Mistral and Phi 3 (which put a blank before each text), and Gemma (which does not)."""
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")  # no piece goes on beyond a blank
    learner.train_from_iterator(WORDS, trainers.BpeTrainer(vocab_size=160, show_progress=False))
    learnt = json.loads(learner.to_str())["model"]
    pieces = ["<unk>", *(f"<0x{number:02X}>" for number in range(256)), *learnt["vocab"]]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    merges = [tuple(pair) for pair in learnt["merges"]]
    made = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    blanks = normalizers.Replace(" ", "▁")
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), blanks]) if prepends else blanks
    strip = [decoders.Strip(" ", 1, 0)] if prepends else []
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *strip]
    )
    made.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special])
    return made


def write(name: str, made: Tokenizer, end: str, begin: str | None = None) -> None:
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    (folder / "tokenizer.json").write_text(
        json.dumps(json.loads(made.to_str()), ensure_ascii=False, separators=(",", ":")), encoding="utf-8"
    )
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": end,
        "clean_up_tokenization_spaces": False,
    }
    if begin:
        settings["bos_token"] = begin
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")


CHATML = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
LLAMA2 = ["<s>", "</s>"]
write("chatml", byte_level(CHATML), "<|im_end|>")
write("qwen3", byte_level([*CHATML, "<tool_call>", "</tool_call>"]), "<|im_end|>")
write("llama3", byte_level(["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]),
      "<|eot_id|>", "<|begin_of_text|>")  # fmt: skip
write("base", byte_level(["<|endoftext|>"]), "<|endoftext|>")
write("gemma", sentence_piece(["<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"], prepends=False),
      "<eos>", "<bos>")  # fmt: skip
write("phi", sentence_piece([*LLAMA2, "<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"],
                            prepends=True), "<|endoftext|>", "<s>")  # fmt: skip
for name in ("mistral", "zephyr", "vicuna", "alpaca"):
    write(name, sentence_piece(LLAMA2, prepends=True), "</s>", "<s>")
