"""The demonstration: its parts at once, the whole of it as a battery.

`python packaging/launch.py test -m battery tests/worker/test_demo.py` trains for real, in about two minutes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from core.cli.demo import side_by_side
from core.data.row import Row
from core.data.rows import open_rows
from core.demo import LEAST_TUNED, MOST_BASE, Answer, Score, demo_config, held_out_prompts, score

POEM = """The sun came up, the night was done,
The fox ran out to meet the sun.
She found her hat beside the tree,
And laughed as loud as loud can be."""
STORY = "Once there was a fox who lost her hat. She looked for it all day, and found it in the evening."


def test_prompts_are_held_out() -> None:
    prompts = held_out_prompts()
    trained = {row.messages[0].content for row in open_rows("sample:poems") if isinstance(row, Row)}
    assert len(prompts) == len(set(prompts)) == 40
    assert trained.isdisjoint(prompts)


def test_config_trains_the_bundled_model_on_the_bundled_poems() -> None:
    config = demo_config()
    assert (config.model.source, config.data.source) == ("starter:storyteller", "sample:poems")
    assert config.method.kind == "lora"


def test_score_counts_verse_on_each_side() -> None:
    answers = [Answer("?", STORY, POEM)] * 4 + [Answer("?", POEM, STORY)]
    assert score(answers) == Score(base=0.2, tuned=0.8)
    assert not score(answers).is_learnt
    assert Score(base=MOST_BASE, tuned=LEAST_TUNED).is_learnt


def test_answers_stand_side_by_side() -> None:
    lines = side_by_side(Answer("Tell me about a fox.", STORY, POEM)).splitlines()
    assert lines[0] == "“Tell me about a fox.”"
    columns = [[part.strip() for part in line.split("│")] for line in lines[1:]]
    assert [right for _, right in columns] == ["TUNED", *POEM.splitlines()]
    assert " ".join(left for left, _ in columns[1:]).split() == STORY.split()


@pytest.mark.battery
def test_storyteller_becomes_a_poet(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "core.cli", "demo", "--json", "--runs", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["rhyming_share"]["tuned"] >= 0.8
    assert found["rhyming_share"]["base"] <= 0.1
    assert found["num_prompts"] == len(found["answers"]) == 40
    assert found["predicted_peak_bytes"] > 0
    assert found["measured_peak_bytes"] > 0

    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from core.models.source import find_model

    folder = find_model("starter:storyteller").path
    base = AutoModelForCausalLM.from_pretrained(folder)
    tuned = PeftModel.from_pretrained(base, found["adapter"]).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    asked = found["answers"][0]
    turns = tokenizer.apply_chat_template(
        [{"role": "user", "content": asked["prompt"]}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    reply = tuned.generate(**turns, max_new_tokens=120, do_sample=False)[0, turns["input_ids"].shape[1] :]
    assert tokenizer.decode(reply, skip_special_tokens=True).strip() == asked["tuned"]
