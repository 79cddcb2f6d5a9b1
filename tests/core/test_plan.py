"""What a run will be before it starts: steps, tokens, disk and time."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from core.config import RunConfig
from core.data.check import check
from core.hardware import Device
from core.models.facts import read_facts
from core.models.source import find_model
from core.plan import Pace, make_plan, total_steps, train_rows

CPU = Device("cpu", 0, "CPU", 24 << 30, 20 << 30)


@pytest.fixture(scope="module")
def facts():
    return read_facts(find_model("starter:storyteller").path)


@pytest.mark.parametrize(
    ("changes", "num_rows", "trained"),
    [
        ({}, 900, 855),
        ({"data.holdout": 0.0}, 900, 900),
        ({"data.holdout": 0.5}, 3, 1),
        ({}, 2, 1),
        ({}, 1, 1),
        ({"data.holdout_source": "other.jsonl"}, 900, 900),
    ],
)
def test_rows_that_are_trained_on(changes, num_rows, trained):
    assert train_rows(RunConfig().with_values(changes), num_rows) == trained


def test_a_split_by_a_column_and_rows_left_out_are_planned_as_the_check_has_counted_them(tmp_path, facts):
    path = tmp_path / "a.jsonl"
    rows = [
        {"prompt": f"p{n % 90}", "completion": "c", "set": "test" if n % 3 == 0 else "train"} for n in range(100)
    ]
    path.write_text("\n".join(map(json.dumps, [*rows, {"prompt": "p"}])))
    settings = {"data.source": str(path), "data.split_column": "set", "optim.epochs": 1}
    for policy, trained in (("keep", 66), ("skip", 60)):
        config = RunConfig().with_values({**settings, "data.on_duplicate": policy})
        report = check(config.data)
        assert (report.num_trained, report.num_usable) == (trained, 100)
        assert train_rows(config, report.num_usable, report.trained_share) == trained
        plan = make_plan(config, facts, CPU, report.num_usable, 10.0, trained_share=report.trained_share)
        assert plan.total_steps == -(-trained // 16) and plan.tokens_per_epoch == trained * 10
    apart = RunConfig().with_values({"data.source": str(path), "data.holdout_source": str(path)})
    report = check(apart.data)
    assert (report.num_usable, report.num_trained, report.num_held, report.num_rows) == (100, 100, 100, 202)
    assert train_rows(apart, report.num_usable, report.trained_share) == 100


@pytest.mark.parametrize(
    ("changes", "tokens_per_row", "steps"),
    [
        ({"optim.epochs": 5, "optim.batch_size": 8, "optim.accumulation": 1}, None, 535),
        ({"optim.epochs": 1, "optim.batch_size": 4, "optim.accumulation": 4}, None, 54),
        ({"optim.max_steps": 7}, None, 7),
        ({"optim.epochs": 1, "optim.batch_size": 1, "optim.accumulation": 1, "data.packing": True}, 51.2, 86),
    ],
)
def test_steps_of_a_run(changes, tokens_per_row, steps):
    assert total_steps(RunConfig().with_values(changes), 900, tokens_per_row) == steps


def test_a_plan_counts_what_will_be_written(facts):
    config = RunConfig().with_values({"method.rank": 8, "runtime.keep_checkpoints": 2})
    plan = make_plan(config, facts, CPU, 900, 51.0)
    assert plan.num_parameters == 4_262_144 and plan.num_trainable == 157_696
    assert plan.num_trainable * 4 <= plan.adapter_bytes <= plan.num_trainable * 4 * 1.1
    assert plan.disk_bytes > 3 * plan.adapter_bytes  # checkpoints hold the optimizer's two states as well
    assert plan.tokens_per_epoch == round(855 * 51.0)
    assert plan.seconds is None, "no time is known before a first run"


def test_what_is_not_known_is_left_open(facts):
    plan = make_plan(RunConfig(), facts, CPU)
    assert plan.total_steps is None and plan.tokens_per_epoch is None and plan.seconds is None
    assert plan.estimate.peak_bytes > 0


def test_a_smaller_device_changes_the_verdict_and_nothing_else(facts):
    roomy = make_plan(RunConfig(), facts, CPU, 900, 51.0)
    tight = make_plan(RunConfig(), facts, replace(CPU, free_bytes=64 << 20), 900, 51.0)
    assert (roomy.estimate.verdict, tight.estimate.verdict) == ("fits", "does not fit")
    assert (roomy.estimate.peak_bytes, roomy.disk_bytes) == (tight.estimate.peak_bytes, tight.disk_bytes)


def test_gpus_that_train_together_take_less_time(facts):
    gpu = Device("cuda", 0, "a card", 24 << 30, 20 << 30, bf16=True, capability=(8, 9))
    alone, shared = Pace("a card", 10**9, 1000.0), Pace("a card", 10**9, 2000.0, at_once=2)

    def seconds(device, pace, **changes):
        values = {path.replace("__", "."): value for path, value in changes.items()}
        return make_plan(RunConfig().with_values(values), facts, device, 1000, 100.0, paces=[pace]).seconds

    one = seconds(gpu, alone)
    assert one is not None
    assert seconds(gpu, shared) == pytest.approx(one), "the pace of one of them"
    assert seconds(gpu, alone, runtime__processes=4) == pytest.approx(one / 4)
    assert seconds(gpu, alone, runtime__processes=3) == pytest.approx(one / 2), "4 batches take two rounds"
    here = Pace("CPU", 10**9, 1000.0)
    assert seconds(CPU, here, runtime__processes=2) == pytest.approx(seconds(CPU, here)), "they share its cores"
    split = {"runtime__processes": 2, "runtime__sharding": "layers"}
    assert seconds(gpu, shared, **split) is None and seconds(gpu, replace(shared, sharding="layers"), **split)
