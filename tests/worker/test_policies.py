"""Each kind of wrong or odd row has a policy; check, preview and training find the same rows and do the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from test_dataset import TOKENIZER, read, texts
from tiny_models import make_tokenizer

from core.config import RunConfig
from core.data import kinds
from core.data.check import check
from core.data.kinds import POLICIES, action_on, policy_of
from core.data.run_rows import RunRows
from core.errors import HoneError
from core.sections import DataSection
from core.worker.dataset import make_dataset
from core.worker.examples import encoder_for
from core.worker.template import ChatTemplate
from core.worker.tokens import tokenise


def rows() -> list[dict[str, Any]]:
    """Rows of every kind that reading alone can tell."""
    found: list[dict[str, Any]] = [
        {"prompt": f"Tell me about {n}.", "completion": f"The fox had {n} hats."} for n in range(120)
    ]
    found += found[3:6]
    found += [{"prompt": "tell me  about 7.", "completion": "THE fox had 7 hats."}]
    found += [{"prompt": f"Tell me about {n}.", "completion": "No."} for n in range(10, 40)]
    found += [{"prompt": "Who?", "completion": "A \u0007 bell."}, {"prompt": "cafÃ©", "completion": "A hat."}]
    found += [{"prompt": "Write to", "completion": "jane.doe@example.org"}]
    found += [{"prompt": "", "completion": "x"}, {"prompt": "x", "completion": ""}, {"prompt": "x"}]
    return found


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, rows())) + "\n{broken\n")
    return path


ALL_SKIP = {policy.name: "skip" for policy in POLICIES}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"on_personal": "keep"},
        {"on_duplicate": "skip", "on_leak": "skip"},
        {"on_near_duplicate": "skip", "on_conflict": "skip"},
        {"on_control": "cut", "on_encoding": "skip", "on_personal": "skip"},
        ALL_SKIP,
    ],
)
def test_training_finds_and_leaves_out_what_the_check_does(data, settings):
    values = {"holdout": 0.3, "max_length": 200, **settings}
    report = check(DataSection(source=str(data), **values), seed=4)
    trained = read(data, 4, **values)
    assert trained.account.found == {**report.reasons, **report.remark_counts}
    assert trained.account.skipped == report.skipped
    assert dict(trained.account.actions) == dict(report.actions)
    assert (trained.num_rows, trained.num_eval_rows) == (report.num_trained, report.num_held)
    split = report.split
    assert (split.num_trained, split.num_held) == (trained.num_rows, trained.num_eval_rows)
    assert split.num_left == sum(report.skipped.values()) == trained.num_skipped_rows
    for place, number in enumerate(split.asked[:5]):
        (text,) = texts(trained, trained.held_out[place : place + 1])
        assert rows()[number]["prompt"] in text, "in the order in which the run asks them"
    assert report.num_used + sum(report.skipped.values()) == report.num_rows
    assert {"empty message", "empty answer", "missing field", "invalid JSON"} == set(report.reasons)
    assert report.num_usable == report.num_rows - 4
    assert report.num_trained == round(report.trained_share * report.num_usable)


TOLD_BY_READING = [
    "on_invalid", "on_no_answer", "on_empty", "on_encoding", "on_control", "on_personal", "on_duplicate",
    "on_near_duplicate", "on_conflict", "on_leak",
]  # fmt: skip


@pytest.mark.parametrize("name", TOLD_BY_READING)
def test_a_policy_stops_a_run_and_the_check_says_so_before(data, name):
    values = {"holdout": 0.3, "max_length": 200, name: "stop"}
    with pytest.raises(HoneError) as caught:
        read(data, 4, **values)
    assert caught.value.path == f"data.{name}"
    assert f"The run stops, as data.{name} says: line " in caught.value.message
    assert check(DataSection(source=str(data), **values), seed=4).stop == caught.value.message


def test_control_characters_are_cut_out_of_what_is_trained(data):
    kept, cut = read(data, holdout=0), read(data, holdout=0, on_control="cut")
    assert any("\u0007" in text for text in texts(kept, kept.train))
    assert not any("\u0007" in text for text in texts(cut, cut.train))
    assert any("A  bell." in text for text in texts(cut, cut.train))
    assert "Control characters were taken out of 1 rows." in cut.warnings
    lone = data.with_name("lone.jsonl")
    lone.write_text('{"prompt": "a", "completion": "\\u0007"}\n{"prompt": "a", "completion": "b"}\n')
    assert read(lone, holdout=0, on_control="cut").account.skipped == {"empty answer": 1}


def test_what_the_template_drops_and_what_lacks_an_end_have_policies(tmp_path):
    path = tmp_path / "a.jsonl"
    asked = [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "A fox."}]
    system = {"role": "system", "content": "Be kind."}
    chats = [[system, *asked], [asked[0], {"role": "assistant", "content": "An owl."}], [system, *asked[::-1]]]
    path.write_text("\n".join(json.dumps({"messages": chat}) for chat in chats))
    tokenizer = make_tokenizer()
    tokenizer.chat_template = (
        "{% for m in messages if m.role != 'system' %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
    )

    def become(**settings):
        data = DataSection(source=str(path), holdout=0, **settings)
        template, opened = ChatTemplate(tokenizer), RunRows.of(data, 0)
        made = tokenise(opened.data, encoder_for(data, tokenizer, template, "answers"))
        return make_dataset(made, opened, template, data, seed=0).account

    kept = become()
    assert kept.found == {
        "wrong role order": 1, kinds.NO_SYSTEM: 1, kinds.NO_END: 2,
    }  # fmt: skip
    assert kept.skipped == {"wrong role order": 1}
    assert become(on_dropped="skip").skipped == {"wrong role order": 1, kinds.NO_SYSTEM: 1}
    for name, kind, words in (
        ("on_dropped", kinds.NO_SYSTEM, "line 1: has a system message"),
        ("on_no_end", kinds.NO_END, "line 1: has an answer that does not end"),
        ("on_role_order", "wrong role order", "line 3: message 2"),
    ):
        with pytest.raises(HoneError, match=words) as caught:
            become(**{name: "stop"})
        assert caught.value.path == f"data.{name}"
        assert policy_of(kind) is not None
    with pytest.raises(HoneError, match="None of the 3 rows"):
        become(on_no_end="skip")
    with pytest.raises(HoneError, match="line 1: has nothing that would be trained") as caught:
        become(on_untrained="stop", max_length=8)
    assert caught.value.path == "data.on_untrained"


def test_the_table_of_policies_is_whole():
    fields = DataSection.model_fields
    assert {policy.name for policy in POLICIES} == {name for name in fields if name.startswith("on_")}
    for policy in POLICIES:
        choices = get_args(fields[policy.name].annotation)
        assert {"skip", "stop"} <= set(choices)
        assert policy.is_usable == bool({"keep", "cut"} & set(choices))
        assert all(action_on(kind, DataSection()) == fields[policy.name].default for kind in policy.kinds)
    listed = [kind for policy in POLICIES for kind in policy.kinds]
    assert len(listed) == len(set(listed))
    assert policy_of("refused by the chat template: no") is kinds.UNTRAINED
    assert policy_of(kinds.LEFT_OUT) is policy_of(kinds.UNROLLED) is None


def test_an_older_file_with_one_policy_for_all_stops_at_all_as_it_did():
    old = RunConfig.from_yaml("data: {on_invalid: stop}").data
    assert (old.on_no_answer, old.on_empty, old.on_role_order, old.on_untrained) == ("stop",) * 4
    new = RunConfig().with_value("data.on_invalid", "stop").data
    assert (new.on_no_answer, new.on_empty) == ("skip", "skip")
    assert RunConfig.from_yaml(RunConfig().with_value("data.on_invalid", "stop").to_yaml()).data == new


def test_rows_of_a_pair_are_whole_sequences_of_their_own(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps({"prompt": "Who?", "chosen": "A fox.", "rejected": "Nobody at all."}))
    data = DataSection(source=str(path))
    made = tokenise(RunRows.of(data, 0).data, encoder_for(data, TOKENIZER, ChatTemplate(TOKENIZER), "all"))
    ends = list(np.split(made.tokens, made.starts[1:-1]))
    masks = np.split(made.mask(), made.starts[1:-1])
    said = [str(TOKENIZER.decode(tokens[mask])) for tokens, mask in zip(ends, masks, strict=True)]
    assert said == ["A fox.<|im_end|>", "Nobody at all.<|im_end|>"]
