"""Rows are tokenised once and split by their content; what is left out is counted and said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tiny_models import make_tokenizer, sentences, write_chats

from core.config import DataSection
from core.data.kinds import LEAKED, REPEATED
from core.data.row import Row
from core.data.rows import rows_of
from core.data.run_rows import RunRows
from core.data.split import place
from core.errors import HoneError
from core.worker.dataset import Dataset, make_dataset
from core.worker.examples import Encoder, Example, encoder_for
from core.worker.template import ChatTemplate
from core.worker.tokens import tokenise

TOKENIZER = make_tokenizer()


def read(path: Path | str, seed: int = 0, **settings) -> Dataset:
    data = DataSection(**{"holdout": 0.2, "max_length": 200, **settings, "source": str(path)})
    template = ChatTemplate(TOKENIZER)
    rows = RunRows.of(data, seed)
    made = tokenise(rows.data, encoder_for(data, TOKENIZER, template, "answers"))
    if rows.apart is not None:
        made = made.and_held_out(tokenise(rows.apart, encoder_for(data, TOKENIZER, template, "answers")))
    return make_dataset(made, rows, template, data, seed=seed, in_pieces=rows.data.format == "text")


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


def write(path: Path, rows: list[dict]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def pairs(count: int = 40, **columns) -> list[dict]:
    return [
        {"prompt": f"Tell me about {number}.", "completion": f"The fox had {number} hats.", **columns}
        for number in range(count)
    ]


def test_the_check_and_training_hold_out_the_same_rows(tmp_path: Path) -> None:
    path = write_chats(tmp_path / "a.jsonl")
    data = read(path, seed=5)
    rows = list(rows_of(DataSection(source=str(path))))
    expected = {row.messages[0].content for row in rows if isinstance(row, Row) and place(row, 5) < 0.2}
    found = " ".join(texts(data, data.held_out))
    assert expected and all(prompt in found for prompt in expected)
    assert len(expected) == data.num_eval_rows


def test_rows_of_a_file_of_their_own_are_held_out(tmp_path: Path) -> None:
    path, apart = write(tmp_path / "a.jsonl", pairs()), write(tmp_path / "b.jsonl", [*pairs(45)[38:], {"x": 1}])
    settings = {"holdout": 0.05, "max_length": 99, "holdout_source": str(apart)}
    data = read(path, **settings)
    assert (data.num_rows, data.num_eval_rows, data.account.found[LEAKED]) == (40, 7, 2)
    assert data.account.skipped == {"missing field": 1}
    assert texts(data, data.held_out) == {one for one in texts(data, data.held_out) if "hats" in one}
    data = read(path, **settings, on_leak="skip")
    assert (data.num_rows, data.num_eval_rows) == (40, 5)
    assert data.account.skipped == {LEAKED: 2, "missing field": 1}
    assert [prompt.shown for prompt in data.prompts] == [f"Tell me about {number}." for number in range(40, 45)]


def test_a_column_holds_rows_out_and_one_that_holds_none_is_told(tmp_path: Path) -> None:
    rows = [{**row, "set": "test" if i % 8 == 0 else ""} for i, row in enumerate(pairs())]
    data = read(write(tmp_path / "a.jsonl", rows), split_column="set", holdout=0)
    assert (data.num_rows, data.num_eval_rows) == (35, 5)
    data = read(write(tmp_path / "b.jsonl", pairs(set="train")), split_column="set")
    assert data.num_eval_rows == 0
    assert data.warnings == ["No row is held out: no value of set is a word such as test or validation."]
    with pytest.raises(HoneError, match="No row is left to train on"):
        read(write(tmp_path / "c.jsonl", pairs(set="test")), split_column="set")


def test_strata_and_groups_are_those_of_their_columns(tmp_path: Path) -> None:
    rows = [{**row, "kind": "ab"[i % 10 == 0], "who": i // 4} for i, row in enumerate(pairs(200))]
    path = write(tmp_path / "a.jsonl", rows)
    data = read(path, stratify_by="kind", holdout=0.25)
    assert data.num_eval_rows == 50
    held = [int(text.split(" about ")[1].split(".")[0]) for text in texts(data, data.held_out)]
    assert sum(number % 10 == 0 for number in held) == 5
    data = read(path, group_by="who", holdout=0.25)
    held = [int(text.split(" about ")[1].split(".")[0]) // 4 for text in texts(data, data.held_out)]
    assert all(held.count(one) == 4 for one in held)


def test_policies_skip_or_stop_and_name_the_line(tmp_path: Path) -> None:
    broken = tmp_path / "a.jsonl"
    broken.write_text("\n".join(json.dumps(row) for row in pairs()) + '\n{"prompt": "x", "completion": ""}\n')
    assert read(broken).account.skipped == {"empty answer": 1}
    long = write(tmp_path / "b.jsonl", [*pairs(), {"prompt": "And?", "completion": "hat " * 300}])
    cut = read(long).account
    assert cut.num_cut == 1
    assert cut.num_lost_tokens - 1 == cut.num_lost_trained > 50, "the blank after the end is never trained"
    assert read(long, on_long="skip").account.skipped == {"longer than the limit": 1}
    twice = write(tmp_path / "c.jsonl", [*pairs(), *pairs(3)])
    assert read(twice).account.found == {REPEATED: 3}
    once = read(twice, on_duplicate="skip")
    assert once.account.skipped == {"repeats another row": 3}
    assert once.num_rows + once.num_eval_rows == 40
    same = [{"prompt": "Who?", "completion": f"Fox {number}."} for number in range(60)]
    leaky = write(tmp_path / "d.jsonl", same)
    kept, left = read(leaky), read(leaky, on_leak="skip")
    assert kept.account.found[LEAKED] == kept.num_eval_rows > 0
    assert (left.num_eval_rows, left.num_rows) == (0, kept.num_rows)
    for path, policy, words in (
        (broken, "on_no_answer", "line 41: completion is empty"),
        (long, "on_long", "line 41: has"),
        (twice, "on_duplicate", "line 41: is the same as line 1"),
        (leaky, "on_leak", "is held out, and line [0-9]+ with the same prompt is trained"),
    ):
        with pytest.raises(HoneError, match=words) as caught:
            read(path, 0, **{policy: "stop"})
        assert caught.value.path == f"data.{policy}"


def test_rows_that_a_weight_repeats_are_no_duplicates(tmp_path: Path) -> None:
    path, more = write(tmp_path / "a.jsonl", pairs(20)), write(tmp_path / "b.jsonl", pairs(30)[20:])
    data = read(path, more=(f"3*{more}",), on_duplicate="skip")
    assert data.num_rows + data.num_eval_rows == 50
    assert data.account.skipped == {}


def fitted(tokens: list[int], trained: list[bool], limit: int, in_pieces: bool) -> list[Example]:
    """A sequence within a limit, a token at a time: cut, or in pieces that share one token."""
    pieces = [(tokens[:limit], trained[:limit])]
    while in_pieces and len(tokens) > limit:
        tokens, trained = tokens[limit - 1 :], [False, *trained[limit:]]
        pieces.append((tokens[:limit], trained[:limit]))
    return [piece for piece in pieces if any(piece[1])]


def test_pieces_and_cuts_are_those_of_the_sequences(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("\n\n".join(answer for _, answer in sentences()) * 3)
    for path, in_pieces in ((notes, True), (write_chats(tmp_path / "a.jsonl"), False)):
        data = read(path, max_length=40, holdout=0)
        encoder = Encoder(TOKENIZER, ChatTemplate(TOKENIZER), train_on="answers")
        outcomes = encoder.read(list(rows_of(DataSection(source=str(path)))))
        sequences = [one.example for outcome in outcomes for one in outcome.sequences]
        expected = [piece for tokens, mask in sequences for piece in fitted(tokens, mask, 40, in_pieces)]
        found = [data.examples[number] for number in range(len(data.examples))]
        assert [(tokens.tolist(), mask.tolist()) for tokens, mask in found] == expected
        assert len(expected) > len(sequences) or not in_pieces
