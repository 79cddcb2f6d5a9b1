"""Pretrains the starter on CPU: bf16 autocast, AdamW, warm-up, plateau, decay; resumes where it was stopped."""

import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from corpus import Message
from safetensors.torch import load_file, save_file
from torch.nn.functional import cross_entropy
from transformers import LlamaForCausalLM
from windows import Windows

PEAK_LEARNING_RATE = 2.5e-3
WARMUP_STEPS = 100
DECAY_FROM = 2 / 3
SAVE_EVERY_STEPS = 100


@dataclass
class Budget:
    """When training ends: after so many tokens or so many minutes, whichever comes first."""

    tokens: float
    minutes: float

    def progress(self, tokens: int, seconds: float) -> float:
        return min(1.0, max(tokens / self.tokens, seconds / 60 / self.minutes))


def learning_rate(step: int, progress: float) -> float:
    warm = min(1.0, (step + 1) / WARMUP_STEPS)
    cool = min(1.0, (1 - progress) / (1 - DECAY_FROM))
    return PEAK_LEARNING_RATE * warm * max(cool, 0.01)


def make_optimizer(model: LlamaForCausalLM) -> torch.optim.AdamW:
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": matrices, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=PEAK_LEARNING_RATE, betas=(0.9, 0.95), fused=True)


@dataclass
class Checkpoint:
    """Weights and moments as safetensors, progress as JSON; the JSON is written last and replaced whole."""

    folder: Path

    def save(self, model: LlamaForCausalLM, optimizer: torch.optim.AdamW, state: dict) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        tensors = {}
        for name, parameter in model.named_parameters():
            tensors[f"weight/{name}"] = parameter.detach()
            for moment in ("exp_avg", "exp_avg_sq", "step"):
                tensors[f"{moment}/{name}"] = optimizer.state[parameter][moment]
        file = f"step-{state['step']}.safetensors"
        save_file(tensors, self.folder / file)
        (self.folder / "state.json.new").write_text(json.dumps({**state, "file": file}))
        (self.folder / "state.json.new").replace(self.folder / "state.json")
        for old in self.folder.glob("step-*.safetensors"):
            if old.name != file:
                old.unlink()

    def load(self, model: LlamaForCausalLM, optimizer: torch.optim.AdamW) -> dict:
        """The saved progress, or a fresh one; fills model and optimizer in place."""
        if not (self.folder / "state.json").exists():
            return {"step": 0, "tokens": 0, "seconds": 0.0}
        state = json.loads((self.folder / "state.json").read_text())
        tensors = load_file(self.folder / state.pop("file"))
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(tensors[f"weight/{name}"])
                optimizer.state[parameter] = {
                    moment: tensors[f"{moment}/{name}"] for moment in ("exp_avg", "exp_avg_sq", "step")
                }
        return state


def pretrain(model: LlamaForCausalLM, windows: Windows, budget: Budget, folder: Path) -> Iterator[dict]:
    """Train until the budget is spent; yields {step, tokens, seconds, loss, rate} after every step."""
    optimizer = make_optimizer(model)
    checkpoint = Checkpoint(folder)
    state = checkpoint.load(model, optimizer)
    model.train()
    while (progress := budget.progress(state["tokens"], state["seconds"])) < 1:
        started = time.monotonic()
        ids = windows.batch(state["step"])
        rate = learning_rate(state["step"], progress)
        for group in optimizer.param_groups:
            group["lr"] = rate
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(input_ids=ids[:, :-1]).logits
        loss = cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        state["step"] += 1
        state["tokens"] += ids.numel()
        state["seconds"] += time.monotonic() - started
        if state["step"] % SAVE_EVERY_STEPS == 0 or budget.progress(state["tokens"], state["seconds"]) >= 1:
            checkpoint.save(model, optimizer, state)
        yield {**state, "loss": loss.item(), "rate": rate}


@torch.no_grad()
def answer_perplexity(model: LlamaForCausalLM, tokenizer, conversations: list[list[Message]]) -> float:
    """Perplexity per answer token, end-of-turn included, given the prompt."""
    total, count = 0.0, 0
    for messages in conversations:
        encoded = tokenizer.apply_chat_template(
            messages, return_dict=True, return_tensors="pt", return_assistant_tokens_mask=True
        )
        ids, answers = encoded["input_ids"], torch.as_tensor(encoded["assistant_masks"]).view(1, -1).bool()
        losses = cross_entropy(model(input_ids=ids[:, :-1]).logits[0].float(), ids[0, 1:], reduction="none")
        total += losses[answers[0, 1:]].sum().item()
        count += int(answers[0, 1:].sum())
    return math.exp(total / count)


@torch.no_grad()
def answer(model: LlamaForCausalLM, tokenizer, prompt: str, max_new_tokens: int = 200) -> str:
    """The greedy answer to one prompt."""
    encoded = tokenizer.apply_chat_template(
        [{"role": "user", "content": prompt}], add_generation_prompt=True, return_dict=True, return_tensors="pt"
    )
    output = model.generate(**encoded, max_new_tokens=max_new_tokens, do_sample=False,
                            eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)  # fmt: skip
    return tokenizer.decode(output[0, encoded["input_ids"].shape[1] :], skip_special_tokens=True)
