"""Edits and mixed sources reach what is trained: the very dataset that a run makes."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_dataset import read, texts
from tiny_models import write_chats

from core.data.edits import exclude, set_field
from core.errors import HoneError


def test_edited_rows_are_trained_as_edited(tmp_path: Path) -> None:
    source = write_chats(tmp_path / "a.jsonl", [(f"Q{n}", f"Answer {n}.") for n in range(6)])
    exclude(str(source), [0])
    set_field(str(source), 1, "messages.1.content", "Mended.")
    data = read(source, holdout=0, on_invalid="stop")
    seen = " ".join(texts(data, data.train))
    assert data.num_rows == 5
    assert "Answer 0." not in seen
    assert "Answer 1." not in seen
    assert "Mended." in seen
    assert data.account.skipped == {"left out": 1}
    with source.open("a") as file:
        file.write("{broken\n")
    with pytest.raises(HoneError, match="invalid JSON"):
        read(source, holdout=0, on_invalid="stop")


def test_a_weight_is_how_often_rows_are_trained_and_no_duplicate(tmp_path: Path) -> None:
    source = write_chats(tmp_path / "a.jsonl", [("A", "One.")])
    more = write_chats(tmp_path / "b.jsonl", [("B", "Two."), ("C", "Three.")])
    data = read(source, holdout=0, more=(f"3*{more}",), on_duplicate="skip")
    assert data.num_rows == 7
    assert sorted(len(texts(data, data.train[[n]])) for n in range(7)) == [1] * 7
    assert len(texts(data, data.train)) == 3
    mixed = read(source, holdout=0.5, more=(f"3*{more}",))
    assert not texts(mixed, mixed.train) & texts(mixed, mixed.held_out)
