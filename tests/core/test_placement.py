"""Where the processes of a run go, and what each of them will take."""

from __future__ import annotations

import pytest

from core.config import RunConfig, unwise
from core.errors import HoneError
from core.hardware import Device
from core.memory.estimate import estimate
from core.memory.together import CHANNEL_BYTES, CHANNELS, CONNECTIONS
from core.models.catalogue import catalogue
from core.models.facts import facts_from_config
from core.placement import place, tightest

GIB = 2**30
CPU = Device("cpu", 0, "a processor", 64 * GIB, 60 * GIB)
GPUS = [Device("cuda", n, "a card", 24 * GIB, (20 - 4 * n) * GIB, bf16=True, capability=(8, 9)) for n in range(3)]
FACTS = next(facts_from_config(m.config, m.name) for m in catalogue() if m.name == "meta-llama/Llama-3.2-1B")


def of(processes: int, **values: object) -> RunConfig:
    changes = {path.replace("__", "."): value for path, value in values.items()}
    return RunConfig().with_values({"runtime.processes": processes, **changes})


def test_one_process_takes_the_gpu_with_most_room_and_several_the_first_ones() -> None:
    full = [GPUS[2], CPU, GPUS[0], GPUS[1]]
    assert place(of(1), full) == [GPUS[0]]
    assert place(of(2), full) == GPUS[:2] and place(of(3), full) == GPUS
    assert tightest(place(of(2), full)) is GPUS[1]
    assert place(of(2), [CPU]) == [CPU, CPU]


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ([*GPUS, CPU], "4 processes need as many GPUs, and there are 3"),
        ([GPUS[0], CPU], "there is one"),
        ([Device("mps", 0, "M4", 24 * GIB, 20 * GIB), CPU], "there is one"),
    ],
)
def test_more_processes_than_gpus_are_refused(found: list[Device], told: str) -> None:
    with pytest.raises(HoneError) as caught:
        place(of(4), found)
    assert told in caught.value.message and caught.value.path == "runtime.processes"


def test_batches_that_cannot_be_shared_evenly_are_unwise() -> None:
    assert not unwise(of(1)) and not unwise(of(2)) and not unwise(of(4))
    assert [mistake.path for mistake in unwise(of(3))] == ["optim.accumulation"]


def test_each_gpu_takes_what_one_would_and_the_buffers_between_them() -> None:
    one, two = estimate(of(1), FACTS, GPUS[0]), estimate(of(2), FACTS, GPUS[0])
    between = CONNECTIONS * CHANNELS * CHANNEL_BYTES
    assert two.peak_bytes == one.peak_bytes + between
    assert {name for name in one.parts if one.parts[name] != two.parts[name]} == {"context"}
    assert one.each_of == "" and two.each_of == "each of 2 GPUs"
    alone, shared = (estimate(of(n, optim__accumulation=1), FACTS, GPUS[0]) for n in (1, 2))
    again = estimate(of(1, optim__accumulation=2), FACTS, GPUS[0])
    assert shared.peak_bytes == again.peak_bytes + between >= alone.peak_bytes + between


def test_processes_on_a_cpu_share_its_memory() -> None:
    one, two = estimate(of(1), FACTS, CPU), estimate(of(2), FACTS, CPU)
    assert (two.peak_bytes, two.free_bytes) == (one.peak_bytes, one.free_bytes // 2)
    assert two.each_of == "each of 2 processes"


def test_no_suggestion_leaves_a_process_without_a_batch() -> None:
    for processes in (1, 2, 4):
        roomy = Device("cuda", 0, "a card", 80 * GIB, 80 * GIB, bf16=True, capability=(8, 9))
        changes = [one.changes for one in estimate(of(processes), FACTS, roomy).suggestions]
        halved = [change for change in changes if "optim.accumulation" in change]
        assert all(change["optim.accumulation"] >= processes for change in halved)
        assert bool(halved) == (processes < 4)


def test_split_layers_are_held_in_parts_with_room_for_one() -> None:
    for changes in ({}, {"model__quantization": "nf4"}, {"model__quantization": "int8"}):
        whole, split = (
            estimate(of(2, runtime__sharding=how, **changes), FACTS, GPUS[0]) for how in ("none", "layers")
        )
        kept = {name: whole.parts[name] + split.parts[name] for name in ("weights", "constants")}
        layers = (
            2 * sum(whole.parts[name] - split.parts[name] for name in kept) * 16 // 14
        )  # 16 layers, one gathered
        embedding = 2 * FACTS.num_embedding
        assert layers == pytest.approx(sum(whole.parts[n] for n in kept) - embedding, rel=1e-3)
        assert {name for name in whole.parts if whole.parts[name] != split.parts[name]} <= {*kept, "margin"}
        assert any("each GPU keeps" in note for note in split.notes) and split.is_sure == whole.is_sure
        assert (whole.each_of, split.each_of) == ("each of 2 GPUs", "each of 2 GPUs with split layers")
        four = estimate(of(4, runtime__sharding="layers", **changes), FACTS, GPUS[0])
        assert four.peak_bytes < split.peak_bytes < whole.peak_bytes


def test_where_there_are_several_gpus_a_run_that_does_not_fit_may_be_split_over_them() -> None:
    big = next(facts_from_config(m.config, m.name) for m in catalogue() if m.name == "Qwen/Qwen2.5-14B")
    alone, two = of(1), of(2)
    found = [
        one for one in estimate(alone, big, GPUS[0], alike=GPUS).suggestions if "runtime.sharding" in one.changes
    ]
    (split,) = found
    assert split.title == "Split over 3 GPUs" and split.changes["runtime.processes"] == 3
    there = alone.with_values(split.changes)
    again = estimate(there, big, tightest(place(there, GPUS)), with_suggestions=False)
    assert (split.peak_bytes, split.verdict) == (again.peak_bytes, again.verdict), "judged by the tightest GPU"
    assert not any(
        "runtime.sharding" in one.changes for one in estimate(alone, big, GPUS[0], alike=GPUS[:1]).suggestions
    )
    titles = [one.title for one in estimate(two, big, GPUS[0], alike=GPUS).suggestions]
    assert "Split layers" in titles and "Split over 3 GPUs" not in titles
    roomy = Device("cuda", 0, "a card", 80 * GIB, 80 * GIB, bf16=True, capability=(8, 9))
    fitting = estimate(of(2, runtime__sharding="layers"), FACTS, roomy).suggestions
    assert [one.title for one in fitting if "runtime.sharding" in one.changes] == ["Whole layers"]
    full = alone.with_value("method.kind", "full")
    assert not any(
        "runtime.sharding" in one.changes for one in estimate(full, big, GPUS[0], alike=GPUS).suggestions
    )
