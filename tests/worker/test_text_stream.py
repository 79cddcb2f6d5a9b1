"""Text that is streamed adds up, and is never broken within a character."""

from __future__ import annotations

import pytest
from chat_models import make_base
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from core.worker.text_stream import TextStream


@given(text=st.text(max_size=30), garbage=st.lists(st.integers(4, 300), max_size=12))
def test_streamed_pieces_add_up_and_never_show_half_a_character(
    text: str, garbage: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    tokenizer = _tokenizer(tmp_path_factory)
    ids = [*tokenizer.encode(text).ids, *garbage, *tokenizer.encode("🦊é").ids]
    stream = TextStream(lambda some: tokenizer.decode(list(some)))
    pieces = [stream.push(token) for token in ids]
    rest = stream.flush()
    assert "".join(pieces) + rest == stream.text == tokenizer.decode(ids)
    assert not any(piece.endswith("�") for piece in pieces)
    if not garbage and "�" not in text:
        assert not any("�" in piece for piece in pieces)
        assert rest == ""


_kept: list[Tokenizer] = []


def _tokenizer(factory: pytest.TempPathFactory) -> Tokenizer:
    if not _kept:
        _kept.append(Tokenizer.from_file(str(make_base(factory.mktemp("tokenizer")) / "tokenizer.json")))
    return _kept[0]
