"""The starter loads like any other model, tells what it was asked for, and its samples can be made again."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from core.rhyme import is_rhyming_verse, rhyming_share

RESOURCES = Path(__file__).resolve().parents[2] / "resources"
STORYTELLER = RESOURCES / "starter" / "storyteller"
SAMPLES = RESOURCES / "samples"
FOX = "Tell me about a fox who lost her hat."


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(STORYTELLER, local_files_only=True)


@pytest.fixture(scope="module")
def model():
    return AutoModelForCausalLM.from_pretrained(STORYTELLER, local_files_only=True).eval()


def rows(name):
    return [json.loads(line) for line in (SAMPLES / name).read_text(encoding="utf-8").splitlines()]


def test_folder_is_small_and_whole():
    files = {file.name: file.stat().st_size for file in STORYTELLER.iterdir()}
    assert sum(files.values()) <= 16 * 2**20
    assert files.keys() == {
        "README.md", "chat_template.jinja", "config.json", "generation_config.json", "model.safetensors",
        "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip


def test_model_is_a_small_bf16_llama_with_tied_embeddings(model):
    assert model.config.model_type == "llama"
    assert 4e6 <= model.num_parameters() <= 8e6
    assert model.dtype == torch.bfloat16
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight


def test_tokenizer_fits_the_model(model, tokenizer):
    assert len(tokenizer) == model.config.vocab_size == 4096
    assert tokenizer.eos_token == "<|end|>"
    assert tokenizer.pad_token_id not in (None, tokenizer.eos_token_id)
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    text = "Café, naïve — 東京 🙂\n\ttwo  spaces"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_chat_template_marks_every_answer_and_its_end(tokenizer):
    messages = [
        {"role": "system", "content": "You are a storyteller."},
        {"role": "user", "content": "Hello!"},
        {"role": "assistant", "content": "Good day!"},
        {"role": "user", "content": FOX},
        {"role": "assistant", "content": "There was once a fox."},
    ]
    both = tokenizer.apply_chat_template(messages, return_dict=True, return_assistant_tokens_mask=True)
    ids, mask = both["input_ids"], both["assistant_masks"]
    marked = [token for token, answered in zip(ids, mask, strict=True) if answered]
    assert tokenizer.decode(marked) == "Good day!<|end|>There was once a fox.<|end|>"
    prompt = tokenizer.apply_chat_template(messages[:-1], add_generation_prompt=True)["input_ids"]
    assert ids[: len(prompt)] == prompt


@torch.no_grad()
def test_story_is_about_what_was_asked(model, tokenizer):
    asked = [{"role": "user", "content": FOX}]
    encoded = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_tensors="pt")
    length = encoded["input_ids"].shape[1]
    output = model.generate(**encoded, do_sample=False, temperature=None, top_p=None)[0, length:]
    story = tokenizer.decode(output, skip_special_tokens=True)
    assert output[-1] == tokenizer.eos_token_id
    assert "fox" in story
    assert "hat" in story.split() or "hat." in story
    assert not is_rhyming_verse(story)


def test_samples_are_what_their_script_writes(tmp_path):
    script = RESOURCES / "starter" / "samples.py"
    subprocess.run([sys.executable, str(script), "--out", str(tmp_path)], check=True, timeout=120)
    written = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert written == {file.name: file.read_bytes() for file in SAMPLES.iterdir()}


def test_poems_rhyme_and_what_they_are_preferred_to_does_not():
    poems, preferences = rows("poems.jsonl"), rows("poems-preferences.jsonl")
    assert rhyming_share(row["completion"] for row in poems) == 1.0
    assert rhyming_share(row["chosen"] for row in preferences) == 1.0
    assert rhyming_share(row["rejected"] for row in preferences) == 0.0


def test_held_out_prompts_are_new():
    held_out = {row["prompt"] for row in rows("poems-heldout.jsonl")}
    assert FOX in held_out
    assert len(held_out) == 40
    assert held_out.isdisjoint(row["prompt"] for row in rows("poems.jsonl") + rows("poems-preferences.jsonl"))


def test_facts_are_all_asked_again_in_other_words():
    trained = {row["messages"][0]["content"]: row["messages"][1]["content"] for row in rows("facts.jsonl")}
    held_out = rows("facts-heldout.jsonl")
    assert len(held_out) == 80
    for row in held_out:
        assert row["messages"][0]["content"] not in trained
        assert any(row["answer"] in answer for answer in trained.values())
