"""Whole runs of the real loop: what they promise about results, checkpoints, requests and bad luck."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from tiny_models import make_model, sentences, write_chats
from transformers import AutoModelForCausalLM, AutoTokenizer

from core import durable
from core.errors import HoneError
from core.events import Evaluated, Event, Finished, Loaded, Progress, Sampled, Saved, Started, Step, Warned
from core.runs import Run
from core.worker import adapters
from core.worker.train import train

NewRun = Callable[..., Run]
# PEFT asks transformers for a property by its deprecated name.
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")


@pytest.fixture(autouse=True)
def own_accelerator() -> Iterator[None]:
    """accelerate keeps its precision for the life of a process, and these runs share one."""
    from accelerate.state import AcceleratorState

    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def go(
    run: Run, stop: Callable[[], bool] = lambda: False, on: Callable[[Event], None] = lambda event: None
) -> list[Event]:
    """Train in this process. Returns the events, Finished included."""
    events: list[Event] = []

    def write(event: Event) -> None:
        events.append(event)
        on(event)

    events.append(train(run, write, stop))
    return events


def of(kind: type, events: list[Event]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return {
        name: tensor
        for file in sorted(folder.glob("*model*.safetensors"))
        for name, tensor in load_file(file).items()
    }


def same(one: Path, other: Path) -> bool:
    a, b = weights(one), weights(other)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_a_run_learns_and_says_all_that_happens(new_run: NewRun) -> None:
    run = new_run({"evaluation.every_steps": 5, "evaluation.samples": 2, "evaluation.sample_tokens": 5})
    events = go(run)
    (started,), (loaded,) = of(Started, events), of(Loaded, events)
    steps: list[Step] = of(Step, events)
    assert started.total_steps == 16 == len(steps) and [step.step for step in steps] == list(range(1, 17))
    assert started.num_rows + started.num_eval_rows == 64 and started.device == "cpu"
    assert started.predicted_peak_bytes > 0
    assert loaded.num_trainable == 2 * 4 * (32 + 32 + 32 + 16 + 32 + 16 + 32 + 32 + 3 * (32 + 64))
    assert loaded.num_parameters == 400 * 32 + 2 * (2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 64 + 64) + 32
    assert steps[-1].loss < 0.8 * steps[0].loss
    assert all(step.num_tokens > 0 and step.tokens_per_second > 0 and step.grad_norm > 0 for step in steps)
    assert all(0 < step.memory_bytes <= step.peak_bytes for step in steps)
    assert steps[-1].epoch == 2.0
    evaluated = of(Evaluated, events)
    assert [event.step for event in evaluated] == [5, 10, 15, 16] and evaluated[0].is_best
    assert [event.step for event in of(Sampled, events)] == [5, 5, 10, 10, 15, 15, 16, 16]
    assert [event.folder for event in of(Saved, events)] == [
        *(f"checkpoints/step-{n:06d}" for n in (4, 8, 12, 16)), "adapter"
    ]  # fmt: skip
    assert any(event.label == "Tokenising" and event.done == event.total == 64 for event in of(Progress, events))
    finished = events[-1]
    assert isinstance(finished, Finished) and finished.reason == "done" and finished.step == 16
    assert finished.peak_bytes >= steps[-1].peak_bytes
    environment = json.loads(run.environment_file.read_text())
    assert environment["threads"] == 1 and environment["versions"]["torch"] == torch.__version__
    assert len(environment["data"]["sha256"]) == 64
    kept = run.checkpoints()
    assert [checkpoint.step for checkpoint in kept] == [12, 16] and durable.is_whole(run.adapter)


def test_anyone_can_load_the_adapter_with_plain_peft(new_run: NewRun, tiny: Path) -> None:
    run = new_run({"optim.max_steps": 3})
    go(run)
    config = json.loads((run.adapter / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(tiny)
    assert config["target_modules"] == [
        "down_proj",
        "gate_proj",
        "k_proj",
        "o_proj",
        "q_proj",
        "up_proj",
        "v_proj",
    ]
    base = AutoModelForCausalLM.from_pretrained(config["base_model_name_or_path"])
    tokenizer = AutoTokenizer.from_pretrained(run.adapter)
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hello"}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    with torch.no_grad():
        before = base(**prompt).logits
        tuned = PeftModel.from_pretrained(base, str(run.adapter))
        assert (tuned(**prompt).logits - before).abs().max() > 0.01
        with tuned.disable_adapter():
            assert torch.equal(tuned(**prompt).logits, before)
    assert {name.rpartition(".lora_")[2] for name in weights(run.adapter)} == {"A.weight", "B.weight"}
    assert 'base_model: "' in (run.adapter / "README.md").read_text()


def test_equal_runs_are_equal_to_the_bit_and_other_seeds_are_not(new_run: NewRun) -> None:
    changes = {"optim.max_steps": 3, "method.dropout": 0.1}
    one, two, other = new_run(changes), new_run(changes), new_run({**changes, "runtime.seed": 1})
    for run in (one, two, other):
        go(run)
    assert same(one.adapter, two.adapter) and not same(one.adapter, other.adapter)
    assert (one.adapter / "adapter_config.json").read_bytes() == (two.adapter / "adapter_config.json").read_bytes()


KINDS: dict[str, dict[str, object]] = {
    "lora": {"method.dropout": 0.2, "memory.activation_checkpointing": True},
    "packed": {"data.packing": True, "data.max_length": 128, "optim.batch_size": 2},
    "full": {"method.kind": "full", "optim.learning_rate": 1e-3, "optim.weight_decay": 0.1},
    "8-bit optimizer": {"optim.optimizer": "adamw_8bit", "method.rank": 128},
    "nf4": {
        "model.quantization": "nf4",
        "memory.upcast": True,
        "optim.optimizer": "sgd",
        "optim.learning_rate": 0.5,
    },
    "nf4 in bf16": {"model.quantization": "nf4", "model.dtype": "bf16", "memory.upcast": True},
    "int8": {"model.quantization": "int8"},
    "bf16": {
        "model.dtype": "bf16",
        "memory.adapter_dtype": "bf16",
        "memory.loss": "full",
        "model.attention": "eager",
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_stopped_run_goes_on_to_the_bit_whatever_it_trains(new_run: NewRun, kind: str) -> None:
    changes = {**KINDS[kind], "optim.max_steps": 6, "evaluation.every_steps": 2}
    straight, stopped = new_run(changes), new_run(changes)
    events = go(straight)
    losses = [step.loss for step in of(Step, events)]
    assert all(math.isfinite(loss) for loss in losses) and min(losses[-2:]) < losses[0]

    count = iter(range(100))
    first = go(stopped, stop=lambda: next(count) == 2)
    assert isinstance(first[-1], Finished) and (first[-1].reason, first[-1].step) == ("stopped", 3)
    assert durable.is_whole(stopped.adapter)
    second = go(stopped)
    assert of(Started, second)[0].resumed_from == 3
    assert isinstance(second[-1], Finished) and (second[-1].reason, second[-1].step) == ("done", 6)
    assert [step.loss for step in (*of(Step, first), *of(Step, second))] == losses
    assert [e.loss for e in (*of(Evaluated, first), *of(Evaluated, second))] == [
        e.loss for e in of(Evaluated, events)
    ]
    assert same(straight.adapter, stopped.adapter)
    name = "optimizer.safetensors"
    ends = [load_file(run.checkpoints()[-1].folder / name) for run in (straight, stopped)]
    assert ends[0].keys() == ends[1].keys() and all(torch.equal(ends[0][key], ends[1][key]) for key in ends[0])


def test_a_full_fine_tune_is_a_model_in_its_bases_format(new_run: NewRun, tmp_path: Path) -> None:
    base = make_model(tmp_path / "half", dtype=torch.bfloat16)
    run = new_run(
        {"model.source": str(base), "method.kind": "full", "optim.max_steps": 2, "optim.learning_rate": 1e-3}
    )
    events = go(run)
    assert of(Loaded, events)[0].num_trainable == of(Loaded, events)[0].num_parameters
    assert {tensor.dtype for tensor in weights(run.adapter).values()} == {torch.bfloat16}
    assert {tensor.dtype for tensor in weights(run.checkpoints()[-1].folder).values()} == {torch.float32}
    assert not same(run.adapter, base)
    model = AutoModelForCausalLM.from_pretrained(run.adapter)
    assert model.dtype == torch.bfloat16 and (run.adapter / "tokenizer.json").is_file()


def test_requests_are_granted_between_steps(new_run: NewRun) -> None:
    run = new_run({"runtime.save_every_steps": 1000, "evaluation.sample_tokens": 3})

    def ask(event: Event) -> None:
        if isinstance(event, Loaded):
            run.request("save")
            run.request("sample")
        if isinstance(event, Saved) and event.step == 1:
            run.request("stop")

    events = go(run, on=ask)
    assert [event.folder for event in of(Saved, events)] == [
        "checkpoints/step-000001",
        "checkpoints/step-000002",
        "adapter",
    ]
    assert len(of(Sampled, events)) == 2
    assert isinstance(events[-1], Finished) and (events[-1].reason, events[-1].step) == ("stopped", 2)
    assert not list((run.folder / "control").iterdir())


def test_a_diverging_run_ends_as_diverged_and_keeps_its_last_good_checkpoint(
    new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run({"method.kind": "full", "optim.learning_rate": 1e-3, "optim.epochs": 50})
    made, attach = [], adapters.attach
    monkeypatch.setattr(adapters, "attach", lambda *given: made.append(attach(*given)) or made[-1])

    def spoil(event: Event) -> None:
        """Break a weight, as a far too large step would, once a good checkpoint stands."""
        if isinstance(event, Saved):
            made[0].model.layers[0].mlp.up_proj.weight.data[0] = torch.inf

    events = go(run, on=spoil)
    finished = events[-1]
    assert isinstance(finished, Finished) and finished.reason == "diverged"
    steps = of(Step, events)
    assert [step.step for step in steps if not (math.isfinite(step.loss) and math.isfinite(step.grad_norm))][
        :3
    ] == [5, 6, 7]
    assert sum("was skipped" in event.message for event in of(Warned, events)) >= 3
    assert not run.adapter.exists()
    assert run.checkpoints()[-1].step == 4
    assert all(torch.isfinite(tensor).all() for tensor in weights(run.checkpoints()[-1].folder).values())


def test_a_base_that_is_not_finite_never_becomes_an_adapter(new_run: NewRun, tmp_path: Path, tiny: Path) -> None:
    shutil.copytree(tiny, tmp_path / "spoilt")
    file = tmp_path / "spoilt" / "model.safetensors"
    tensors = load_file(file)
    tensors["model.norm.weight"][0] = torch.nan
    save_file(tensors, file, metadata={"format": "pt"})
    run = new_run({"model.source": str(tmp_path / "spoilt")})
    events = go(run)
    assert isinstance(events[-1], Finished) and events[-1].reason == "diverged"
    assert not run.adapter.exists() and not run.checkpoints()


def test_early_stopping_hands_over_the_best_checkpoint(new_run: NewRun) -> None:
    run = new_run({
        "evaluation.every_steps": 2, "evaluation.patience": 2, "optim.learning_rate": 0.3, "optim.epochs": 40,
        "optim.schedule": "constant", "runtime.save_every_steps": 3, "runtime.keep_checkpoints": 1,
    })  # fmt: skip
    events = go(run)
    evaluated = of(Evaluated, events)
    best = min(evaluated, key=lambda event: event.loss)
    assert isinstance(events[-1], Finished) and events[-1].reason == "early"
    assert evaluated.index(best) == len(evaluated) - 3 and best.is_best
    kept = {checkpoint.step: checkpoint.folder for checkpoint in run.checkpoints()}
    assert best.step in kept and same(run.adapter, kept[best.step])
    assert any("Stopped early" in event.message for event in of(Warned, events))


@pytest.fixture
def small_disk() -> Iterator[Callable[[int], None]]:
    """Lets this process write no file beyond a size, as on a disk that is nearly full; -1 lifts the limit."""
    resource = pytest.importorskip("resource", reason="Windows has no such limit")
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (most if size < 0 else size, most))
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def test_a_full_disk_costs_a_checkpoint_and_not_the_run(
    new_run: NewRun, small_disk: Callable[[int], None]
) -> None:
    run = new_run({"optim.max_steps": 12, "runtime.save_every_steps": 3})

    def fill_disk(event: Event) -> None:
        if isinstance(event, Saved) and event.step == 3:
            small_disk(10_000)
        if isinstance(event, Warned):
            small_disk(-1)

    events = go(run, on=fill_disk)
    (warned,) = of(Warned, events)
    assert warned.step == 6 and "disk is full" in warned.message
    assert [event.step for event in of(Saved, events)] == [3, 9, 12, 12]
    assert not [path for path in run.checkpoints_folder.iterdir() if path.name.startswith(".")]


def test_a_disk_full_at_the_end_fails_with_the_way_on(new_run: NewRun, small_disk: Callable[[int], None]) -> None:
    run, straight = new_run({"optim.max_steps": 5}), new_run({"optim.max_steps": 5})
    with pytest.raises(
        HoneError, match=r"step 5 could not be saved; free some and resume: the run goes on from step 4"
    ):
        go(run, on=lambda event: small_disk(10_000) if isinstance(event, Saved) else None)
    small_disk(-1)
    assert [checkpoint.step for checkpoint in run.checkpoints()] == [4] and not run.adapter.exists()
    go(run)
    go(straight)
    assert same(run.adapter, straight.adapter)


def test_changed_data_is_said_when_a_run_goes_on(new_run: NewRun, chats: Path, tmp_path: Path) -> None:
    data = tmp_path / "mine.jsonl"
    data.write_bytes(chats.read_bytes())
    run = new_run({"data.source": str(data), "optim.max_steps": 4})
    count = iter(range(9))
    go(run, stop=lambda: next(count) == 1)
    data.write_bytes(chats.read_bytes() + chats.read_bytes().splitlines(keepends=True)[0].replace(b"fox", b"cat"))
    events = go(run)
    assert any("data has changed" in event.message for event in of(Warned, events))
    assert events[-1].reason == "done"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("changes", "path", "words"),
    [
        ({"method.targets": ("q_proj", "nope")}, "method.targets", "no linear layer named nope; it has down_proj"),
        ({"model.dtype": "fp16"}, "model.dtype", "fp16 needs a GPU"),
        ({"runtime.device": "cuda"}, "runtime.device", "No NVIDIA GPU"),
        ({"data.source": "/nowhere/rows.jsonl"}, "data.source", "does not exist"),
        ({"model.source": "/nowhere/model"}, "model.source", "does not exist"),
        ({"data.source": "LONG", "data.max_length": 4096}, "data.max_length", "reads at most 256 tokens"),
        ({"data.max_length": 8}, "data.source", "None of the 64 rows can be trained on"),
    ],
)
def test_what_a_user_can_mend_is_one_sentence_at_its_field(
    new_run: NewRun, tmp_path: Path, changes: dict[str, object], path: str, words: str
) -> None:
    if changes.get("data.source") == "LONG":
        changes = {**changes, "data.source": str(write_chats(tmp_path / "long.jsonl", [("Count.", "one " * 400)]))}
    with pytest.raises(HoneError) as caught:
        go(new_run(changes))
    assert caught.value.path == path and words in caught.value.message


def test_a_model_without_a_template_is_given_one_that_goes_with_the_adapter(
    new_run: NewRun, tmp_path: Path
) -> None:
    base = make_model(tmp_path / "base", template="none")
    run = new_run({"model.source": str(base), "optim.max_steps": 1})
    events = go(run)
    assert any("no chat template" in event.message for event in of(Warned, events))
    assert "### Assistant" in AutoTokenizer.from_pretrained(run.adapter).chat_template


def test_missing_tensors_are_not_made_up(new_run: NewRun, tmp_path: Path, tiny: Path) -> None:
    shutil.copytree(tiny, tmp_path / "holed")
    file = tmp_path / "holed" / "model.safetensors"
    tensors = load_file(file)
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(HoneError, match=r"1 tensors are missing.*up_proj") as caught:
        go(new_run({"model.source": str(tmp_path / "holed")}))
    assert caught.value.path == "model.source"


def test_a_tokenizer_of_another_model_is_refused(new_run: NewRun, tmp_path: Path) -> None:
    base = make_model(tmp_path / "short", vocab_size=300)
    with pytest.raises(HoneError, match="tokens beyond the 300 of the model") as caught:
        go(new_run({"model.source": str(base)}))
    assert caught.value.path == "model.source"


def test_the_deterministic_switch_trains(new_run: NewRun) -> None:
    try:
        events = go(new_run({"runtime.deterministic": True, "optim.max_steps": 2}))
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(False)
    assert isinstance(events[-1], Finished) and events[-1].reason == "done"


def test_raw_text_is_trained_whole(new_run: NewRun, tmp_path: Path) -> None:
    data = tmp_path / "notes.txt"
    data.write_text("\n\n".join(f"{prompt} {answer}" for prompt, answer in sentences()))
    run = new_run({
        "data.source": str(data), "objective.kind": "pretrain", "evaluation.samples": 1, "optim.max_steps": 4
    })  # fmt: skip
    events = go(run)
    steps = of(Step, events)
    assert steps[-1].loss < steps[0].loss and of(Sampled, events)[0].prompt
    assert isinstance(events[-1], Finished) and events[-1].reason == "done"
