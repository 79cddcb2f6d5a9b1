"""Where tokens lie, told by their lengths, is where the tokenizer itself says they lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from core.worker.byte_places import BytePlaces, token_at

FOLDER = Path(__file__).parent / "tokenizers"
BYTE_LEVEL = ("chatml", "llama3", "qwen3", "base")
KNOWN = {name: Tokenizer.from_file(str(FOLDER / name / "tokenizer.json")) for name in BYTE_LEVEL}
PLACES = {name: BytePlaces.of(tokenizer) for name, tokenizer in KNOWN.items()}
pieces = st.sampled_from(
    ["<|im_end|>", "<|eot_id|>", "<|endoftext|>", " the fox", "\n\n", "é", "🦊", "שועל", "e\u0301"]
)
texts = st.lists(pieces | st.text(st.characters(exclude_categories=["Cs"]), max_size=6), max_size=12).map("".join)


@pytest.mark.parametrize("name", BYTE_LEVEL)
@settings(max_examples=200, deadline=None)
@given(text=texts)
def test_every_place_is_the_same_by_lengths_and_by_the_tokenizer(name, text):
    tokenizer, places = KNOWN[name], PLACES[name]
    assert places is not None
    encoded = tokenizer.encode(text, add_special_tokens=False)
    ends = places.ends(text, np.array(encoded.ids, np.int32))
    assert ends is not None
    for place in range(1, len(text)):
        first = tokenizer.encode(text[:place], add_special_tokens=False).ids
        number = token_at(place, text, ends)
        if encoded.ids[: len(first)] == first:
            assert number == len(first)
        if number is not None:
            assert tokenizer.decode(encoded.ids[:number], skip_special_tokens=False) == text[:place]


@pytest.mark.parametrize("name", ["mistral", "gemma", "phi", "zephyr", "vicuna", "alpaca"])
def test_a_tokenizer_that_is_not_byte_level_is_asked_itself(name):
    assert BytePlaces.of(Tokenizer.from_file(str(FOLDER / name / "tokenizer.json"))) is None


def test_tokens_that_do_not_make_up_the_text_are_not_believed():
    places = PLACES["base"]
    assert places is not None
    ids = np.array(KNOWN["base"].encode("The fox", add_special_tokens=False).ids, np.int32)
    assert places.ends("The fo", ids) is None
    assert places.ends("The fox", ids[:-1]) is None
