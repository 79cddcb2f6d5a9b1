"""Rows are tokenised once and split by their content; what is left out is counted and said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import make_tokenizer, sentences, write_chats

from core.data.rows import open_rows
from core.errors import HoneError
from core.worker.dataset import Dataset, read_dataset, split
from core.worker.examples import Encoder
from core.worker.template import ChatTemplate

TOKENIZER = make_tokenizer()


def read(path: Path, holdout: float = 0.2, seed: int = 0, max_length: int = 200) -> Dataset:
    template = ChatTemplate(TOKENIZER)
    rows = open_rows(str(path))
    encoder = Encoder(
        TOKENIZER, template, max_length=max_length, train_on="answers", in_pieces=rows.format == "text"
    )
    return read_dataset(rows, encoder, template, holdout=holdout, seed=seed)


def texts(data: Dataset, numbers: np.ndarray) -> set[str]:
    return {str(TOKENIZER.decode(data.examples[int(number)][0])) for number in numbers}


def test_every_row_is_on_one_side(tmp_path: Path) -> None:
    data = read(write_chats(tmp_path / "a.jsonl"))
    train, held_out = texts(data, data.train), texts(data, data.held_out)
    assert len(train) == data.num_rows and len(held_out) == data.num_eval_rows
    assert not train & held_out and len(train | held_out) == len(sentences())


def test_rows_stay_on_their_side_when_rows_are_added_and_moved(tmp_path: Path) -> None:
    rows = sentences()
    before = read(write_chats(tmp_path / "a.jsonl", rows))
    after = read(write_chats(tmp_path / "b.jsonl", [("New", "Row."), *reversed(rows), ("Another", "One.")]))
    assert texts(before, before.held_out) <= texts(after, after.held_out)
    assert texts(before, before.train) <= texts(after, after.train)


def test_another_seed_holds_out_other_rows(tmp_path: Path) -> None:
    path = write_chats(tmp_path / "a.jsonl")
    one, two = read(path, seed=0), read(path, seed=1)
    assert texts(one, one.held_out) != texts(two, two.held_out)


def test_equal_rows_share_a_side(tmp_path: Path) -> None:
    data = read(write_chats(tmp_path / "a.jsonl", sentences() * 2))
    assert not texts(data, data.train) & texts(data, data.held_out)


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=30), st.floats(0, 0.5))
def test_a_split_is_never_all_and_with_two_rows_not_none(places: list[float], holdout: float) -> None:
    held = split(np.asarray(places), holdout)
    assert not held.all()
    assert held.any() == (bool(holdout) and len(places) > 1) or not holdout


def test_prompts_are_those_of_held_out_rows_and_end_where_the_answer_begins(tmp_path: Path) -> None:
    data = read(write_chats(tmp_path / "a.jsonl"))
    held_out = " ".join(texts(data, data.held_out))
    assert data.prompts
    assert all(prompt.shown in held_out for prompt in data.prompts)
    assert all(prompt.text.endswith("<|im_start|>assistant\n") for prompt in data.prompts)


def test_bad_rows_are_counted_by_kind_and_said(tmp_path: Path) -> None:
    path = write_chats(tmp_path / "a.jsonl")
    path.write_text(
        path.read_text() + '{"messages": \n{"messages": [{"role": "user", "content": "Only a question"}]}\n'
    )
    data = read(path)
    assert data.num_skipped_rows == 2
    assert data.num_rows + data.num_eval_rows == len(sentences())
    assert data.warnings == ["2 of 66 rows were skipped: invalid JSON (1), no answer (1)."]


def test_cut_rows_are_said(tmp_path: Path) -> None:
    data = read(write_chats(tmp_path / "a.jsonl"), max_length=45)
    assert any("were cut" in sentence for sentence in data.warnings)
    assert data.examples.lengths.max() == 45


def test_raw_text_becomes_pieces_of_the_greatest_length(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("\n\n".join(answer for _, answer in sentences()))
    data = read(path, max_length=16, holdout=0)
    assert data.examples.lengths.max() <= 16
    assert len(data.held_out) == 0
    assert data.prompts and all(prompt.text for prompt in data.prompts)


def test_nothing_usable_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(HoneError, match=r"None of the 64 rows.*no trained token left \(64\)") as caught:
        read(write_chats(tmp_path / "a.jsonl"), max_length=8)
    assert caught.value.path == "data.source"
