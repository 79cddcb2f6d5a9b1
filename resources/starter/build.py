"""Builds the starter model from nothing: writes its corpus, trains its tokenizer, pretrains it, writes its card.

    python resources/starter/build.py                       under an hour on two CPU cores
    python resources/starter/build.py --out /tmp/try --work /tmp/try-work --minutes 2

Stopped half-way, the same command carries on from its last checkpoint.
"""

import argparse
import itertools
import json
import time
from dataclasses import asdict
from pathlib import Path

import torch
from card import write_card
from chat_tokenizer import train_tokenizer
from corpus import conversations, held_out_conversations
from poet import Settings, make_poet
from pretrain import Budget, answer, answer_perplexity, pretrain
from stories import PLOTS
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, LlamaConfig, LlamaForCausalLM
from windows import Windows
from world import HERO_WORDS

HERE = Path(__file__).resolve().parent
VOCAB_SIZE = 4096
CONTEXT = 512
TOKENS_PER_STEP = 4096
TOKENIZER_ROWS = 40_000
LOOK_AT = ["Tell me about a fox who lost her hat.", "Write a story about a giant who wanted to dance.", "Hello!"]


def make_config(tokenizer) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=VOCAB_SIZE,
        hidden_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        intermediate_size=704,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def load_tokenizer(work: Path, seed: int):
    """The tokenizer of this build: trained once, then read back, so that a resumed build keeps its ids."""
    if not (work / "tokenizer.json").exists():
        rows = itertools.islice(conversations(seed), TOKENIZER_ROWS)
        texts = (message["content"] for messages in rows for message in messages)
        train_tokenizer(texts, VOCAB_SIZE, CONTEXT).save_pretrained(work)
    return AutoTokenizer.from_pretrained(work, local_files_only=True)


def train(work: Path, seed: int, budget: Budget) -> tuple[LlamaForCausalLM, dict]:
    """The pretrained model and its last state; progress, with samples to look at, goes to progress.log."""
    torch.manual_seed(seed)
    tokenizer = load_tokenizer(work, seed)
    model = LlamaForCausalLM(make_config(tokenizer))
    held_out = [one.messages for one in held_out_conversations(seed)[:60]]
    state: dict = {}
    with (work / "progress.log").open("a") as log:

        def say(line: str) -> None:
            print(f"{time.strftime('%H:%M:%S')} {line}", file=log, flush=True)

        say(f"{len(tokenizer)} tokens in the vocabulary, {model.num_parameters():,} parameters")
        for state in pretrain(model, Windows(tokenizer, seed, TOKENS_PER_STEP, CONTEXT), budget, work):
            if state["step"] % 20 == 0:
                say("step {step} tokens {tokens} seconds {seconds:.0f} loss {loss:.3f}".format(**state))
            if state["step"] % 400 == 0:
                model.eval()
                say(f"held-out perplexity {answer_perplexity(model, tokenizer, held_out):.3f}")
                for prompt in LOOK_AT:
                    say(f"> {prompt}\n{answer(model, tokenizer, prompt)}")
                model.train()
        say("done")
    return model, state


def save(model: LlamaForCausalLM, tokenizer, out: Path) -> None:
    """Write a loadable folder in bf16, the way any other model repository looks."""
    out.mkdir(parents=True, exist_ok=True)
    half = LlamaForCausalLM(model.config)
    half.load_state_dict(model.state_dict())
    half = half.to(torch.bfloat16)
    half.generation_config = GenerationConfig(
        do_sample=True,
        temperature=0.3,
        top_p=0.95,
        max_new_tokens=200,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    half.save_pretrained(out)
    (out / "model.safetensors").chmod(0o644)
    tokenizer.save_pretrained(out)
    # Saving writes down how this process happened to load the tokenizer; that is nobody else's business.
    settings = json.loads((out / "tokenizer_config.json").read_text())
    settings = {name: value for name, value in settings.items() if name not in ("is_local", "local_files_only")}
    (out / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")


def measure(out: Path, seed: int) -> dict:
    """What the saved model does on the held-out conversations, loaded back the way a user loads it."""
    tokenizer = AutoTokenizer.from_pretrained(out, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32, local_files_only=True).eval()
    held_out = held_out_conversations(seed)
    stories = [{"prompt": one.prompt, "answer": answer(model, tokenizer, one.prompt)} for one in held_out]
    kept = [one.is_kept_by(story["answer"]) for one, story in zip(held_out, stories, strict=True)]
    shown = [LOOK_AT[0], held_out[len(held_out) // 3].prompt, held_out[len(held_out) * 2 // 3].prompt]
    return {
        "parameters": model.num_parameters(),
        "vocabulary": len(tokenizer),
        "held_out_conversations": len(held_out),
        "held_out_perplexity": round(answer_perplexity(model, tokenizer, [one.messages for one in held_out]), 3),
        "kept_share": sum(kept) / len(kept),
        "stories": [{"prompt": prompt, "answer": answer(model, tokenizer, prompt)} for prompt in shown],
        "poet": asdict(make_poet(out, Settings())),
    }


def build(out: Path, work: Path, seed: int, budget: Budget) -> None:
    work.mkdir(parents=True, exist_ok=True)
    model, state = train(work, seed, budget)
    if state:
        trained = {
            "seed": seed,
            "plots": len(PLOTS),
            "heroes": len(HERO_WORDS),
            "steps": state["step"],
            "tokens": state["tokens"],
            "minutes": round(state["seconds"] / 60),
        }
        (work / "trained.json").write_text(json.dumps(trained, indent=2) + "\n")
    save(model, load_tokenizer(work, seed), out)
    figures = {**json.loads((work / "trained.json").read_text()), **measure(out, seed)}
    (work / "figures.json").write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n")
    write_card(out, figures)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--out", type=Path, default=HERE / "storyteller", help="folder of the finished model")
    arguments.add_argument("--work", type=Path, default=HERE / "work", help="checkpoints and the progress log")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--tokens", type=float, default=2400 * TOKENS_PER_STEP)
    arguments.add_argument("--minutes", type=float, default=1e9)
    given = arguments.parse_args()
    build(given.out, given.work, given.seed, Budget(given.tokens, given.minutes))


if __name__ == "__main__":
    main()
