from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from core.config import RunConfig
from core.events import EventWriter, Finished, Started, Step, Warned
from core.hardware import Device
from core.memory.calibration import DOUBT, FLOOR, Calibration, PastPeak, adjusted, calibrate
from core.memory.estimate import PART_NAMES, estimate
from core.memory.past import PART_BYTES, read_past
from core.models.catalogue import catalogue
from core.models.facts import facts_from_config
from core.runs import RunStore

GIB = 2**30
DEFAULTS = RunConfig()
FACTS = facts_from_config(next(m.config for m in catalogue() if m.name == "meta-llama/Llama-3.2-1B"))
GPU = Device("cuda", 0, "RTX 9999", 24 * GIB, 20 * GIB, 4 * GIB, bf16=True, capability=(8, 9))


def peaks(
    *ratios: float, predicted: int = 4 * GIB, device: str = GPU.name, quantization: str = "none"
) -> list[PastPeak]:
    return [PastPeak(device, "lora", quantization, predicted, round(ratio * predicted)) for ratio in ratios]


def of(past: list[PastPeak], predicted: int = 4 * GIB) -> Calibration | None:
    return calibrate(past, device=GPU.name, method="lora", quantization="none", predicted_bytes=predicted)


def test_two_runs_say_nothing_and_three_do() -> None:
    assert of(peaks(1.02, 1.02)) is None
    found = of(peaks(1.02, 1.01, 1.03))
    assert found is not None
    assert found.ratio == pytest.approx(1.02)
    assert found.sentence == "Adjusted by +2% from 3 runs on this machine"


def test_one_odd_run_does_not_move_the_ratio() -> None:
    found = of(peaks(1.02, 1.01, 1.03, 1.02, 1.2))
    assert found is not None
    assert found.ratio == pytest.approx(1.02)
    assert found.band > 0.2 / 1.02 - 0.02  # but the band remembers it


@pytest.mark.parametrize(
    "others",
    [
        peaks(0.9, 0.9, 0.9, device="another card"),
        peaks(0.9, 0.9, 0.9, quantization="nf4"),
        peaks(0.9, 0.9, 0.9, predicted=GIB // 2),
        peaks(0.4, 0.5, 0.45),
    ],
    ids=["other device", "other quantisation", "far smaller", "too far off to be believed"],
)
def test_only_runs_like_this_one_count(others: list[PastPeak]) -> None:
    assert of(others) is None
    assert of([*others, *peaks(1, 1, 1)]) == of(peaks(1, 1, 1))


def test_the_band_narrows_with_evidence_and_never_under_its_floor() -> None:
    dice = random.Random(1)
    bands = []
    for count in (3, 6, 12, 48, 400):
        found = of(peaks(*(1.01 + dice.uniform(-0.005, 0.005) for _ in range(count))))
        assert found is not None
        bands.append(found.band)
    assert bands == sorted(bands, reverse=True)
    assert bands[0] == pytest.approx(DOUBT / 3**0.5)
    assert bands[-1] == FLOOR


def test_the_estimate_is_adjusted_and_says_so() -> None:
    config = RunConfig()
    plain = estimate(config, FACTS, GPU)
    past = [
        PastPeak(GPU.name, "lora", "none", plain.peak_bytes, round(r * plain.peak_bytes))
        for r in (0.9, 0.91, 0.92)
    ]
    found = estimate(config, FACTS, GPU, past=past)
    assert not plain.evidence
    assert found.evidence == "Adjusted by −9% from 3 runs on this machine"
    assert found.peak_bytes == pytest.approx(0.91 * plain.peak_bytes, rel=1e-6)
    assert found.margin_bytes < plain.margin_bytes
    assert sum(found.parts.values()) == found.peak_bytes
    assert found.parts["weights"] == plain.parts["weights"]
    more = {one.title: one for one in found.suggestions}
    assert all(one.verdict == "fits" for one in more.values())


@given(
    some.dictionaries(some.sampled_from(PART_NAMES), some.integers(0, 2**36), min_size=1),
    some.floats(0.75, 1.25),
)
def test_adjusted_parts_add_up(parts: dict[str, int], ratio: float) -> None:
    found = adjusted(parts, ratio)
    assert min(found.values()) >= 0
    named = {"margin", "context", "recompute", "head_and_loss", "activations", "workspace", "weights"}
    if ratio >= 1 or parts.keys() <= named:
        assert sum(found.values()) == sum(parts.values()) + round((ratio - 1) * sum(parts.values()))


def write_run(
    store: RunStore, *, predicted: int, measured: int, version: str, num_steps: int = 5, words: str = "",
    config: RunConfig = DEFAULTS,
) -> None:  # fmt: skip
    run = store.create(config, "one")
    run.environment_file.write_text(json.dumps({"device": {"name": GPU.name}, "versions": {"hone": version}}))
    writer = EventWriter(run.events_file)
    try:
        writer.write(Started(pid=1, device="cuda:0", total_steps=num_steps, predicted_peak_bytes=predicted))
        if words:
            writer.write(Warned(message=words, step=1))
        for step in range(1, num_steps + 1):
            writer.write(
                Step(step=step, epoch=0, loss=1, learning_rate=0, grad_norm=0, num_tokens=1, tokens_per_second=1,
                     memory_bytes=measured, peak_bytes=measured if step == num_steps else measured // 2)
            )  # fmt: skip
        writer.write(Finished(reason="done", step=num_steps, peak_bytes=measured))
    finally:
        writer.close()


@pytest.mark.parametrize("values", [
    {"method.kind": "lora", "model.quantization": "nf4", "data.mapping": {"prompt": "kind: x\n  kind: y"}},
    {"method.kind": "full", "data.source": "quantization: nf4"},
    {"method.kind": "lora", "model.source": "a\nmethod:\n  kind: full", "model.quantization": "int8"},
])  # fmt: skip
def test_the_past_finds_settings_in_the_config_of_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: dict[str, Any]
) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda name: "1.0")
    store = RunStore(tmp_path)
    write_run(store, predicted=100, measured=90, version="1.0", config=RunConfig().with_values(values))
    (one,) = read_past(store.root)
    assert (one.method, one.quantization) == (values["method.kind"], values.get("model.quantization", "none"))


def test_past_runs_are_read_from_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda name: "1.0")
    store = RunStore(tmp_path)
    write_run(store, predicted=100, measured=90, version="1.0")
    write_run(store, predicted=100, measured=91, version="1.0", num_steps=PART_BYTES // 40)  # a long file
    write_run(store, predicted=100, measured=92, version="0.9")
    write_run(store, predicted=100, measured=93, version="1.0", num_steps=2)
    write_run(store, predicted=0, measured=94, version="1.0")
    write_run(
        store, predicted=100, measured=95, version="1.0", words="Memory ran out, so 1 rows are computed at once"
    )
    (store.create(RunConfig(), "torn").events_file).write_bytes(b'{"type": "started", "pi')
    (store.create(RunConfig(), "torn").environment_file).write_text("[" * 5000)
    found = read_past(store.root)
    assert read_past(tmp_path / "none") == ()
    assert sorted(one.measured_bytes for one in found) == [90, 91]
    assert {(one.device, one.method, one.quantization, one.predicted_bytes) for one in found} == {
        (GPU.name, "lora", "none", 100)
    }
