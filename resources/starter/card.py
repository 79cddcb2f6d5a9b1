"""The starter's model card, filled in from the figures that the build measured, never by hand."""

import json
from pathlib import Path

CARD = """\
---
license: apache-2.0
language: en
pipeline_tag: text-generation
library_name: transformers
---

# Storyteller

A very small language model that tells children's stories. It was trained from nothing, on text that this
project's own scripts write, so that fine-tuning can be tried on a laptop, offline, in a minute.
It knows its little world and nothing else.

## How it was made

`python resources/starter/build.py` does all of it again: it writes the corpus ({plots} events that can befall
{heroes} heroes, see `stories.py`), trains the tokenizer, pretrains the model, tunes it into a poet and writes
this card.

| | |
|---|---|
| Architecture | `LlamaForCausalLM`, tied embeddings |
| Shape | {layers} layers, hidden size {hidden}, {heads} heads, MLP {mlp} |
| Parameters | {parameters:,} |
| Vocabulary | {vocabulary:,}, byte-level BPE, trained on the corpus |
| Context | {context} tokens |
| Seed | {seed} |
| Training | {tokens:,} tokens in {steps:,} steps, {minutes} minutes of CPU, bf16 autocast |
| Held out | {held_out_conversations} pairs of hero and event, never seen together in training |
| Held-out perplexity | {held_out_perplexity} per answer token, of a story given its prompt |
| Held-out greedy stories | {kept_share:.1%} keep the hero and the things their prompt names |
| Licence | Apache-2.0 |

## Three held-out stories, greedy

{stories}

## From storyteller to poet

LoRA of rank {rank} on every linear layer, alpha {alpha}, learning rate {learning_rate:g} falling to zero,
{epochs} epochs of `poems.jsonl` in batches of {batch_size}: {poet_steps} steps, {trained_tokens:,} trained tokens,
{poet_seconds} seconds. Share of greedy answers to {num_prompts} held-out prompts that are rhyming verse
(`core/rhyme.py`): **{base_share:.1%} before, {tuned_share:.1%} after**.

{poems}
"""


def quote(text: str) -> str:
    return "\n".join(f"> {line}  " for line in text.splitlines())


def write_card(out: Path, figures: dict) -> None:
    """Write README.md beside the weights from figures.json's content."""
    config = json.loads((out / "config.json").read_text())
    poet = figures["poet"]
    stories = "\n\n".join(f"**{one['prompt']}**\n\n{quote(one['answer'])}" for one in figures["stories"])
    poems = "\n\n".join(
        f"**{one['prompt']}**\n\nBefore:\n\n{quote(one['base'])}\n\nAfter:\n\n{quote(one['tuned'])}"
        for one in poet["answers"][:3]
    )
    text = CARD.format(
        **{name: value for name, value in figures.items() if name not in ("poet", "stories")},
        **{name: poet["settings"][name] for name in ("rank", "alpha", "learning_rate", "epochs", "batch_size")},
        layers=config["num_hidden_layers"],
        hidden=config["hidden_size"],
        heads=config["num_attention_heads"],
        mlp=config["intermediate_size"],
        context=config["max_position_embeddings"],
        poet_steps=poet["steps"],
        trained_tokens=poet["trained_tokens"],
        poet_seconds=poet["seconds"],
        num_prompts=len(poet["answers"]),
        base_share=poet["base_share"],
        tuned_share=poet["tuned_share"],
        stories=stories,
        poems=poems,
    )
    (out / "README.md").write_text(text, encoding="utf-8", newline="\n")
