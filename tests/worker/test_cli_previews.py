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


def test_both_answers_of_a_pair_and_a_verdict_are_shown_and_counted(tiny, tmp_path, capsys):
    data = tmp_path / "pairs.jsonl"
    data.write_text(json.dumps({"prompt": "Tell me.", "chosen": "The good fox.", "rejected": "The drum."}) + "\n")
    assert main(["data", "show", str(data), "--model", str(tiny)]) == 0
    printed = capsys.readouterr().out
    assert printed.index("[chosen]") < printed.index("⟦The good fox.<|im_end|>⟧") < printed.index("[rejected]")
    assert printed.count("Tell me.") == 2 and "⟦The drum.<|im_end|>⟧" in printed
    assert main(["data", "stats", str(data), "--model", str(tiny), "--json"]) == 0
    assert sum(json.loads(capsys.readouterr().out)["lengths"].values()) == 2
    data.write_text(json.dumps({"prompt": "Tell me.", "completion": "The drum.", "label": False}) + "\n")
    assert main(["data", "show", str(data), "--model", str(tiny), "--json"]) == 0
    (shown,) = json.loads(capsys.readouterr().out)["sequences"]
    assert shown["name"] == "bad answer" and shown["num_trained"] > 0


def test_a_check_through_a_model_lists_what_only_tokens_tell(tiny, tmp_path, capsys):
    rows = [{"prompt": f"Tell me of {n}.", "completion": "The fox had a drum."} for n in range(30)]
    rows[4]["completion"] = "The fox. " * 60
    rows[9]["completion"] = "The fox.\u0007"
    data, target = tmp_path / "a.jsonl", tmp_path / "all.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)))
    settings = ["--set", "data.max_length=64", "--set", "data.on_long=skip", "--set", "data.on_control=cut"]
    asked = ["data", "check", str(data), "--model", str(tiny), "--json", "--export", str(target), *settings]
    assert main(asked) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["num_used"], found["num_skipped"], found["num_exported"]) == (29, 1, 2)
    assert found["actions"] == {"control character": "cut", "longer than the limit": "skip"}
    assert found["skipped"] == {"longer than the limit": 1}
    (long,) = [one for one in found["remarks"] if one["kind"] == "longer than the limit"]
    assert long["line"] == 5 and "over the limit" in long["reason"]
    written = [json.loads(line) for line in target.read_text().splitlines()]
    assert [(one["line"], one["is_used"], one["action"]) for one in written] == [
        (5, False, "skip"),
        (10, True, "cut"),
    ]
    assert main([*asked, "--set", "data.on_long=stop"]) == 0
    assert "The run stops, as data.on_long says: line 5: has" in json.loads(capsys.readouterr().out)["stop"]


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
