"""What a run's data settings say is what the worker does, from the first row to the adapter's tokenizer."""

from __future__ import annotations

import json
from pathlib import Path

from core.data.templates import read_template
from core.events import EventReader, Failed, Progress, Started, Warned


def started(run) -> Started:
    return next(event for event in EventReader(run.events_file).read() if isinstance(event, Started))


def write(path: Path, rows: list[dict]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def rows(count: int) -> list[dict]:
    return [
        {"ask": f"Tell me about fox {n}.", "where": "wood", "say": f"Fox {n} had a hat."} for n in range(count)
    ]


SETTINGS = {
    "data.mapping": {"prompt": "{ask} In the {where}?", "completion": "say", "system": "{where}"},
    "data.template": "chatml",
    "data.on_duplicate": "skip",
    "data.max_length": 64,
    "optim.max_steps": 2,
    "evaluation.every_steps": 1,
    "evaluation.samples": 1,
}


def test_mapping_template_split_and_policies_reach_the_run(new_run, work, tmp_path):
    data = write(tmp_path / "a.jsonl", [*rows(30), *rows(4), {"ask": "x", "where": "", "say": ""}])
    apart = write(tmp_path / "b.jsonl", rows(36)[30:])
    run = new_run({**SETTINGS, "data.source": str(data), "data.holdout_source": str(apart)})
    done = work(run)
    assert done.returncode == 0, done.stderr
    told = started(run)
    assert (told.num_read_rows, told.num_rows, told.num_eval_rows) == (41, 30, 6)
    assert told.skipped == {"repeats another row": 4, "empty answer": 1}
    assert told.num_skipped_rows == 5 and told.num_sequences == 30
    events = EventReader(run.events_file).read()
    assert any(isinstance(event, Warned) and "repeats another row (4)" in event.message for event in events)
    samples = [event.prompt for event in events if event.type == "sampled"]
    assert samples and all(text.endswith("In the wood?") for text in samples)
    saved = (run.adapter / "chat_template.jinja").read_text()
    assert saved == read_template("chatml").partition("\n")[2]


def test_a_second_run_finds_the_tokens_and_a_policy_can_stop_it(new_run, work, tmp_path):
    data = write(tmp_path / "a.jsonl", [*rows(20), *rows(2)])
    settings = {**SETTINGS, "data.source": str(data), "data.train_on": "roles", "data.roles": ["user"]}
    first = new_run({**settings, "data.packing": True, "data.max_length": 256})
    done = work(first)
    assert done.returncode == 0, done.stderr
    assert 0 < started(first).num_sequences < started(first).num_rows
    assert 0 <= started(first).padding_share < 0.5
    entries = list((tmp_path / "hone-home" / "cache" / "tokens").iterdir())
    assert len(entries) == 1
    stamp = (entries[0] / "manifest.json").stat().st_mtime_ns
    second = new_run({**settings, "data.on_duplicate": "stop", "data.holdout": 0.3}, "second")
    assert work(second).returncode == 1
    assert list((tmp_path / "hone-home" / "cache" / "tokens").iterdir()) == entries
    assert (entries[0] / "manifest.json").stat().st_mtime_ns == stamp
    events = EventReader(second.events_file).read()
    assert any(isinstance(event, Progress) and event.label == "Tokenising" for event in events)
    (failed,) = [event for event in events if isinstance(event, Failed)]
    assert failed.path == "data.on_duplicate"
    assert "line 21: is the same as line 1" in failed.message
