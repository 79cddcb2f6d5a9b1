"""The model card that goes with a finished adapter: what it is, what it was made from, how to load it."""

from __future__ import annotations

import json

from core.config import RunConfig
from core.sections import Lora
from core.worker.checkpoint import Origin, Progress

LORA = """\
```python
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

base = AutoModelForCausalLM.from_pretrained({base})
model = PeftModel.from_pretrained(base, "path/to/this/folder")
tokenizer = AutoTokenizer.from_pretrained("path/to/this/folder")
```
"""
FULL = """\
```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained("path/to/this/folder")
tokenizer = AutoTokenizer.from_pretrained("path/to/this/folder")
```
"""


def model_card(name: str, config: RunConfig, origin: Origin, progress: Progress) -> str:
    """The card's text, with the metadata that the Hugging Face Hub reads at its top."""
    is_lora = isinstance(config.method, Lora)
    base = json.dumps(origin.base)  # a quoted string in YAML and in Python alike
    library = "peft" if is_lora else "transformers"
    kind = "Fine-tuned from"
    if isinstance(config.method, Lora):
        kind = f"A LoRA adapter of rank {config.method.rank} for"
    last_step = max(progress.evaluated, key=int, default=None)
    loss = f" Loss on held-out rows: {progress.evaluated[last_step]:.4f}." if last_step else ""
    return (
        f"---\nbase_model: {base}\nlibrary_name: {library}\npipeline_tag: text-generation\ntags:\n- hone\n---\n"
        f"# {name}\n\n"
        f"{kind} {origin.base}, made with Hone: {progress.step:,} steps over {progress.num_tokens:,} tokens of "
        f"{config.data.source}.{loss}\n\n" + (LORA.format(base=base) if is_lora else FULL)
    )
