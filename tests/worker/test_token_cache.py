"""Tokens are made once, found again, and made anew when anything about them changed or their file is torn."""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from tiny_models import make_tokenizer, write_chats

from core import durable, places
from core.data.marks import MARKS
from core.data.rows import open_rows
from core.sections import DataSection
from core.worker import token_cache
from core.worker.examples import Encoder
from core.worker.template import ChatTemplate
from core.worker.token_cache import ROWS, SEQUENCES, cached_tokens, entry_of, key_of, read, sweep, write
from core.worker.tokens import Tokens, tokenise

TOKENIZER = make_tokenizer()


def encoder() -> Encoder:
    return Encoder(TOKENIZER, ChatTemplate(TOKENIZER), train_on="answers")


@pytest.fixture
def rows(tmp_path: Path):
    path = write_chats(tmp_path / "a.jsonl")
    path.write_text(path.read_text() + '{"messages": \n{"messages": [{"role": "user", "content": "?"}]}\n')
    return open_rows(str(path))


def same(one: Tokens, two: Tokens) -> bool:
    pairs = [
        (getattr(one, field.name), getattr(two, field.name)) for field in fields(Tokens) if field.name != "marks"
    ]
    pairs += [(getattr(one.marks, name), getattr(two.marks, name)) for name in MARKS]
    return all(np.array_equal(a, b) and (not hasattr(a, "dtype") or a.dtype == b.dtype) for a, b in pairs)


def test_what_is_kept_comes_back_as_it_was(tmp_path, rows):
    made = tokenise(rows, encoder())
    write(tmp_path / "entry", made)
    found = read(tmp_path / "entry")
    assert found is not None and same(made, found)
    assert found.reasons == ("invalid JSON", "no answer")


def test_a_second_time_nothing_is_tokenised(rows, monkeypatch):
    told: list[int] = []
    first = cached_tokens("key", rows, encoder(), told.append)
    assert told[-1] == len(rows) and entry_of("key").is_dir()
    monkeypatch.setattr(token_cache, "tokenising", None)
    assert same(first, cached_tokens("key", rows, encoder()))


@pytest.mark.parametrize("name", [SEQUENCES, ROWS, durable.MANIFEST])
@pytest.mark.parametrize("harm", ["cut", "flip", "gone", "empty"])
def test_an_entry_that_is_torn_is_made_anew(rows, name, harm):
    first = cached_tokens("key", rows, encoder())
    file = entry_of("key") / name
    content = file.read_bytes()
    if harm == "gone":
        file.unlink()
    else:
        place = len(content) // 2
        flipped = content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :]
        file.write_bytes({"cut": content[:place], "flip": flipped, "empty": b""}[harm])
    assert read(entry_of("key")) is None
    assert same(first, cached_tokens("key", rows, encoder()))
    assert read(entry_of("key")) is not None


def test_a_cache_that_cannot_be_written_only_costs_time(rows, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(token_cache, "write", full)
    assert len(cached_tokens("key", rows, encoder()).marks) == len(rows)


def test_the_key_hangs_on_all_that_the_tokens_hang_on():
    other = make_tokenizer("llama3")
    plain, dated = ChatTemplate(TOKENIZER, "20 Nov 2026"), ChatTemplate(TOKENIZER, "21 Nov 2026")
    data = DataSection()

    def key(
        sha256: str = "data", tokenizer=TOKENIZER, template=plain, train_on: str = "answers", **settings
    ) -> str:
        seed = settings.pop("seed", 0)
        return key_of(sha256, tokenizer, template, train_on, data.model_copy(update=settings), seed)

    same = [{"template": dated}, {"max_length": 9}, {"on_duplicate": "skip"}, {"on_control": "skip"}, {"seed": 1}]
    assert {key(**settings) for settings in same} == {key()}
    changed = [
        {"sha256": "other"}, {"tokenizer": other}, {"template": ChatTemplate(other)}, {"train_on": "all"},
        {"roles": ("user",)}, {"mapping": {"text": "a"}}, {"stratify_by": "a"},
        {"more": ("b",), "seed": 1}, {"on_control": "cut"}, {"on_personal": "keep"},
    ]  # fmt: skip
    assert len({key(), *(key(**settings) for settings in changed)}) == 1 + len(changed)
    held = TOKENIZER.chat_template
    TOKENIZER.chat_template = "{{ strftime_now('%d') }}" + str(held)
    try:
        days = [key(template=ChatTemplate(TOKENIZER, day), train_on="all") for day in ("1 Nov 2026", "2 Nov 2026")]
    finally:
        TOKENIZER.chat_template = held
    assert days[0] != days[1]


def test_the_oldest_go_when_there_is_too_much_and_the_newest_stays(rows):
    made = tokenise(rows, encoder())
    folder = places.cache_folder() / "tokens"
    for number, name in enumerate(("old", "middle", "new")):
        write(folder / name, made)
        os.utime(folder / name, (number + 1, number + 1))
    staged = folder / f"{durable.STAGING_PREFIX}x-y"
    staged.mkdir()
    size = sum(file.stat().st_size for file in (folder / "new").iterdir())
    sweep(folder, most_bytes=2 * size)
    assert sorted(path.name for path in folder.iterdir()) == [staged.name, "middle", "new"]
    os.utime(staged, (1, 1))
    sweep(folder, most_bytes=0)
    assert [path.name for path in folder.iterdir()] == ["new"]
