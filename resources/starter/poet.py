"""Turns the storyteller into a poet with LoRA on the poem samples, and scores both on the held-out prompts.

python resources/starter/poet.py                    about a minute on two CPU cores; prints the figures as JSON
"""

import argparse
import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from corpus import turn
from peft import LoraConfig, get_peft_model
from pretrain import answer
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, AutoTokenizer

from core.rhyme import is_rhyming_verse

HERE = Path(__file__).resolve().parent
SAMPLES = HERE.parent / "samples"


@dataclass(frozen=True)
class Settings:
    """What the demo trains with; the learning rate is high because the model is very small."""

    rank: int = 16
    alpha: int = 32
    learning_rate: float = 2.5e-3
    warmup_steps: int = 10
    batch_size: int = 8
    epochs: int = 5
    seed: int = 0


@dataclass(frozen=True)
class Outcome:
    """Both models on the held-out prompts, and what the tuning took."""

    settings: dict
    steps: int
    trained_tokens: int
    seconds: float
    base_share: float
    tuned_share: float
    answers: list[dict[str, str]]


def read_rows(name: str) -> list[dict]:
    with (SAMPLES / name).open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def encode(tokenizer, rows: list[dict]) -> list[tuple[list[int], list[int]]]:
    """Token ids and labels of every row; only the answer and its end-of-turn are trained on."""
    encoded = []
    for row in rows:
        both = tokenizer.apply_chat_template(
            turn(row["prompt"], row["completion"]), return_dict=True, return_assistant_tokens_mask=True
        )
        ids, mask = both["input_ids"], both["assistant_masks"]
        encoded.append((ids, [token if trained else -100 for token, trained in zip(ids, mask, strict=True)]))
    return encoded


def pad(batch: list[tuple[list[int], list[int]]], filler: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    longest = max(len(ids) for ids, _ in batch)
    ids = torch.tensor([ids + [filler] * (longest - len(ids)) for ids, _ in batch])
    labels = torch.tensor([labels + [-100] * (longest - len(labels)) for _, labels in batch])
    mask = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids, _ in batch])
    return ids, mask, labels


def order(count: int, settings: Settings) -> Iterable[list[int]]:
    """Row numbers of every step."""
    generator = torch.Generator().manual_seed(settings.seed)
    for _ in range(settings.epochs):
        shuffled = torch.randperm(count, generator=generator).tolist()
        for start in range(0, count - settings.batch_size + 1, settings.batch_size):
            yield shuffled[start : start + settings.batch_size]


def tune(model, tokenizer, rows: list[dict], settings: Settings):
    """The adapted model, with the number of steps, trained tokens and seconds it took."""
    torch.manual_seed(settings.seed)
    model = get_peft_model(
        model,
        LoraConfig(r=settings.rank, lora_alpha=settings.alpha, target_modules="all-linear", task_type="CAUSAL_LM"),
    )
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=0.0)
    encoded = encode(tokenizer, rows)
    steps = list(order(len(encoded), settings))
    trained, started = 0, time.monotonic()
    model.train()
    for step, numbers in enumerate(steps):
        warm, left = (step + 1) / settings.warmup_steps, 1 - step / len(steps)
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * min(warm, 1.0, left)
        ids, mask, labels = pad([encoded[number] for number in numbers], tokenizer.pad_token_id)
        logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1]
        loss = cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        trained += int((labels != -100).sum())
    return model.eval(), len(steps), trained, time.monotonic() - started


def make_poet(storyteller: Path, settings: Settings) -> Outcome:
    tokenizer = AutoTokenizer.from_pretrained(storyteller, local_files_only=True)
    base = AutoModelForCausalLM.from_pretrained(storyteller, dtype=torch.float32, local_files_only=True).eval()
    prompts = [row["prompt"] for row in read_rows("poems-heldout.jsonl")]
    before = [answer(base, tokenizer, prompt) for prompt in prompts]
    tuned, steps, trained, seconds = tune(base, tokenizer, read_rows("poems.jsonl"), settings)
    after = [answer(tuned, tokenizer, prompt) for prompt in prompts]
    return Outcome(
        settings=asdict(settings),
        steps=steps,
        trained_tokens=trained,
        seconds=round(seconds, 1),
        base_share=sum(map(is_rhyming_verse, before)) / len(prompts),
        tuned_share=sum(map(is_rhyming_verse, after)) / len(prompts),
        answers=[
            {"prompt": prompt, "base": base_answer, "tuned": tuned_answer}
            for prompt, base_answer, tuned_answer in zip(prompts, before, after, strict=True)
        ],
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--model", type=Path, default=HERE / "storyteller")
    arguments.add_argument("--epochs", type=int, default=Settings.epochs)
    arguments.add_argument("--learning-rate", type=float, default=Settings.learning_rate)
    arguments.add_argument("--batch-size", type=int, default=Settings.batch_size)
    arguments.add_argument("--seed", type=int, default=Settings.seed)
    given = vars(arguments.parse_args())
    outcome = make_poet(given.pop("model"), Settings(**given))
    print(json.dumps(asdict(outcome), indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
