"""`hone data show --model` and `hone data stats`, with the worker for real."""

from __future__ import annotations

import json

import pytest

from core.cli import main


def test_a_row_is_printed_with_its_trained_words_marked(tiny, chats, capsys):
    assert main(["data", "show", str(chats), "--row", "2", "--model", str(tiny)]) == 0
    printed = capsys.readouterr().out
    assert "⟦The fox had a drum. It was a good drum. It was a good drum.<|im_end|>⟧" in printed
    assert "tokens are trained" in printed


def test_a_row_is_a_document_for_programs(tiny, chats, capsys):
    limit = ["--set", "data.max_length=40"]
    assert main(["data", "show", str(chats), "--row", "4", "--model", str(tiny), "--json", *limit]) == 0
    tree = json.loads(capsys.readouterr().out)
    (shown,) = tree["sequences"]
    assert (tree["row"], tree["line"], tree["refused"]) == (4, 4, "")
    assert shown["num_cut"] == shown["num_tokens"] - 40 > 0
    assert ["<|im_start|>", False, True] in shown["tokens"]


def test_statistics_agree_with_the_sample_of_everything(tiny, chats, capsys):
    found = []
    for sample in ([], ["--sample"]):
        assert main(["data", "stats", str(chats), "--model", str(tiny), "--json", *sample]) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0] == found[1]
    assert found[0]["num_rows"] == sum(found[0]["lengths"].values()) == 64
    assert 0 < found[0]["share_trained"] < 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "DATA", "--model", "MODEL", "--row", "65"], "65 is none of them"),
        (["show", "DATA", "--model", "MODEL", "--row", "0"], "counted from 1"),
        (["show", "DATA", "--model", "nowhere-to-be-found"], "not on this machine"),
        (["stats", "nowhere.jsonl", "--model", "MODEL"], "does not exist"),
    ],
)
def test_mistakes_are_told_in_a_sentence(tiny, chats, capsys, arguments, words):
    places = {"DATA": str(chats), "MODEL": str(tiny)}
    assert main(["data", *(places.get(text, text) for text in arguments)]) == 1
    said = capsys.readouterr()
    assert words in said.err
    assert said.err.count("\n") == 1
    assert not said.out
