"""Small models and adapters to chat with, written without torch: random weights, a real tokenizer and template."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from core import durable
from core.config import RunConfig
from core.events import Finished, Saved, Started, encode
from core.runs import Run, RunStore

HIDDEN, MLP, LAYERS, HEADS, KV_HEADS, HEAD_DIM = 64, 96, 2, 4, 2, 8
SPECIAL = ["<pad>", "<|start|>", "<|end|>", "<eos>"]
TEMPLATE = (
    "{% for message in messages %}<|start|>{{ message['role'] }}\n{{ message['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)
SENTENCES = [
    "Tell me a short story about a fox who lost her hat.",
    "Once upon a time there was a small owl — kind, curious and a little sleepy.",
    "Grüße an die Füchse: 狐は帽子をなくした。🦊🎩 Ça va très bien!",
]
LINEARS = {
    "self_attn.q_proj": (HIDDEN, HEADS * HEAD_DIM),
    "self_attn.k_proj": (HIDDEN, KV_HEADS * HEAD_DIM),
    "self_attn.v_proj": (HIDDEN, KV_HEADS * HEAD_DIM),
    "self_attn.o_proj": (HEADS * HEAD_DIM, HIDDEN),
    "mlp.gate_proj": (HIDDEN, MLP),
    "mlp.up_proj": (HIDDEN, MLP),
    "mlp.down_proj": (MLP, HIDDEN),
}

Array = NDArray[np.float32]


def make_base(folder: Path, *, seed: int = 0, context: int = 512) -> Path:
    """A two-layer Llama with random weights and a byte-level tokenizer, as a transformers folder."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = _make_tokenizer(folder)
    dice = np.random.default_rng(seed)

    def noise(*shape: int, scale: float = 0.3) -> Array:
        return (dice.standard_normal(shape) * scale).astype(np.float32)

    tensors = {
        "model.embed_tokens.weight": noise(vocabulary, HIDDEN, scale=1.0),
        "model.norm.weight": np.ones(HIDDEN, np.float32),
        "lm_head.weight": noise(vocabulary, HIDDEN),
    }
    for layer in range(LAYERS):
        place = f"model.layers.{layer}"
        for name, (inputs, outputs) in LINEARS.items():
            tensors[f"{place}.{name}.weight"] = noise(outputs, inputs)
        for name in ("input_layernorm", "post_attention_layernorm"):
            tensors[f"{place}.{name}.weight"] = np.ones(HIDDEN, np.float32)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    _write_json(
        folder / "config.json",
        architectures=["LlamaForCausalLM"],
        model_type="llama",
        hidden_size=HIDDEN,
        intermediate_size=MLP,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS,
        head_dim=HEAD_DIM,
        vocab_size=vocabulary,
        max_position_embeddings=context,
        tie_word_embeddings=False,
        rms_norm_eps=1e-5,
        hidden_act="silu",
        dtype="float32",
        eos_token_id=SPECIAL.index("<eos>"),
        pad_token_id=0,
    )
    ends = [SPECIAL.index("<eos>"), SPECIAL.index("<|end|>")]
    _write_json(folder / "generation_config.json", eos_token_id=ends, pad_token_id=0)
    return folder


def make_adapter(folder: Path, *, rank: int = 4, seed: int = 1, scale: float = 0.2, targets: Any = None) -> Path:
    """A random LoRA adapter in PEFT's layout; scale 0 makes one that changes nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    dice = np.random.default_rng(seed)
    wanted = targets or [name.rpartition(".")[2] for name in LINEARS]
    tensors = {}
    for layer in range(LAYERS):
        for name, (inputs, outputs) in LINEARS.items():
            if name.rpartition(".")[2] in wanted:
                place = f"base_model.model.model.layers.{layer}.{name}"
                tensors[f"{place}.lora_A.weight"] = dice.standard_normal((rank, inputs)).astype(np.float32) * 0.3
                up = dice.standard_normal((outputs, rank)).astype(np.float32)
                tensors[f"{place}.lora_B.weight"] = up * np.float32(scale)
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    _write_json(
        folder / "adapter_config.json",
        peft_type="LORA",
        task_type="CAUSAL_LM",
        r=rank,
        lora_alpha=2 * rank,
        lora_dropout=0.0,
        target_modules=wanted,
        inference_mode=True,
        bias="none",
    )
    return folder


def make_run(store: RunStore, base: Path, name: str, *, steps: tuple[int, ...] = (20, 40), seed: int = 1) -> Run:
    """A finished run's folder: a checkpoint at each step and the adapter of the last."""
    run = store.create(
        RunConfig().with_values({"model.source": str(base), "runtime.device": "cpu", "runtime.threads": 1}), name
    )
    for number, step in enumerate(steps):
        target = run.checkpoints_folder / f"step-{step:06d}"
        durable.write_folder(target, lambda folder, n=number: _fill(folder, seed * 100 + n))
    durable.write_folder(run.adapter, lambda folder: _fill(folder, seed * 100 + len(steps)))
    said = [
        Started(pid=1, device="cpu", total_steps=steps[-1]),
        Saved(step=steps[-1], folder="adapter", num_bytes=1),
        Finished(reason="done", step=steps[-1]),
    ]
    run.events_file.write_bytes(b"".join(encode(event) for event in said))
    return run


def _fill(folder: Path, seed: int) -> None:
    make_adapter(folder, rank=4, seed=seed)


def _make_tokenizer(folder: Path) -> int:
    """A byte-level BPE tokenizer with the special tokens first; returns the size of its vocabulary."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    _write_json(
        folder / "tokenizer_config.json",
        tokenizer_class="PreTrainedTokenizerFast",
        eos_token="<eos>",
        pad_token="<pad>",
        chat_template=TEMPLATE,
        clean_up_tokenization_spaces=False,
    )
    return tokenizer.get_vocab_size()


def _write_json(path: Path, **content: Any) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")
