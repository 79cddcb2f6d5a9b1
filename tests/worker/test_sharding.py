"""Layers that are split between processes train as whole ones do, and each process holds no more than its part."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from test_experts import make_mixture
from test_hybrids import DEVICES
from test_hybrids import MODELS as HYBRIDS
from test_processes import go_together, losses, own_accelerator, peers_of, stop_after, wait_for
from test_training import of, weights
from tiny_models import make_model, tiny_config
from torch import Tensor
from transformers import LlamaForCausalLM, PreTrainedModel

from core.config import RunConfig
from core.errors import HoneError
from core.events import Evaluated, Failed, Loaded, Sampled, Saved, Started, Step, Warned
from core.hardware import Device
from core.launch import start_training
from core.memory.estimate import estimate
from core.memory.moments import MOMENTS
from core.models.catalogue import catalogue
from core.models.facts import facts_from_config
from core.runs import Run
from core.sections import ModelSection
from core.worker import load, replay
from core.worker.hollow import shallow
from core.worker.phases import decoder_layers
from core.worker.quantized import constants_of
from core.worker.rehearse import rehearse
from core.worker.shards import ALIGNMENT, Shards

NewRun = Callable[..., Run]
__all__ = ["own_accelerator"]  # a fixture
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")
CPU = Device("cpu", 0, "CPU", 0, 0)
SETTINGS = {
    "runtime.processes": 2,
    "optim.accumulation": 3,  # one process has a batch more than the other
    "optim.max_steps": 4,
    "evaluation.every_steps": 2,
    "evaluation.samples": 1,
    "evaluation.sample_tokens": 3,
    "method.dropout": 0.1,
}
BASES = {
    "fp32": {"model.dtype": "fp32"},
    "bf16": {"model.dtype": "bf16"},
    "nf4": {"model.quantization": "nf4"},
    "nf4-single": {"model.quantization": "nf4", "model.double_quantization": False, "memory.upcast": True},
    "int8": {"model.quantization": "int8"},
}


class Member:
    """One of several that share this process: their exchange takes each one's part from where it lies."""

    def __init__(self, rank: int, all_of_them: list[Shards]) -> None:
        self.rank, self.size = rank, 2
        self._all = all_of_them

    def gather(self, whole: Tensor, part: Tensor) -> None:
        mine = self._all[self.rank].parts
        number = next(number for number in mine if mine[number] is part)
        torch.cat([one.parts[number] for one in self._all], out=whole)


def split_models(section: ModelSection, folder: Path) -> tuple[list[PreTrainedModel], list[Shards]]:
    """A model as each of two processes loads it."""
    shards: list[Shards] = []
    shards += (Shards(Member(rank, shards), torch.device("cpu")) for rank in range(2))
    found = [load.load_model(section, folder, CPU, compute=torch.float32, shards=one) for one in shards]
    for one in shards:
        one.watch(is_recomputing=False)
    return found, shards


def tensors_of(model: PreTrainedModel) -> Iterator[Tensor]:
    for parameter in model.parameters():
        yield parameter
        yield from constants_of(parameter)


@pytest.mark.parametrize("quantization", ["none", "nf4", "int8"])
@pytest.mark.parametrize("family", ["llama", "gpt_oss"])
def test_each_holds_its_part_and_computes_as_the_whole(tmp_path: Path, family: str, quantization: str) -> None:
    folder = tmp_path / "model"
    make_model(folder, num_hidden_layers=4) if family == "llama" else make_mixture(family, folder)
    section = ModelSection(quantization=quantization)  # type: ignore[arg-type]
    whole = load.load_model(section, folder, CPU, compute=torch.float32)
    models, shards = split_models(section, folder)
    matrices = [
        sum(tensor.nbytes for parameter in layer.parameters() if parameter.ndim > 1
            if quantization == "none" or next(constants_of(parameter), None) is not None
            for tensor in (parameter, *constants_of(parameter)))
        for layer in decoder_layers(whole)
    ]  # fmt: skip
    num_layers = len(matrices)
    held = {tensor.untyped_storage()._cdata: tensor.untyped_storage() for tensor in tensors_of(models[1])}
    at_rest = sum(tensor.nbytes for tensor in tensors_of(whole)) - sum(matrices)
    parts = sum(part.nbytes for part in shards[1].parts.values())
    padding = ALIGNMENT * 64 * num_layers
    assert len(shards[1].parts) == num_layers and sum(matrices) / 2 <= parts <= sum(matrices) / 2 + padding
    assert shards[1].buffer.nbytes <= max(matrices) + padding
    assert sum(storage.nbytes() for storage in held.values()) == at_rest + shards[1].buffer.nbytes
    tokens = torch.arange(3, 23).view(2, 10)
    with torch.no_grad():
        expected = whole(input_ids=tokens, use_cache=False).logits
        for model in models:
            assert torch.equal(model(input_ids=tokens, use_cache=False).logits, expected)


def test_what_two_layers_share_stays_whole() -> None:
    torch.manual_seed(5)
    whole = LlamaForCausalLM(tiny_config(num_hidden_layers=3)).eval()
    for part in ("mlp", "self_attn"):
        setattr(whole.model.layers[2], part, getattr(whole.model.layers[0], part))
    tokens = torch.arange(3, 23).view(2, 10)
    split = copy.deepcopy(whole)
    shards: list[Shards] = []
    shards += (Shards(Member(rank, shards), torch.device("cpu")) for rank in range(2))
    for one, model in zip(shards, (copy.deepcopy(whole), split), strict=True):
        one.split_rest(model)
        one.watch(is_recomputing=False)
    assert [len(part) > 0 for part in shards[1].parts.values()] == [False, True, False]
    with torch.no_grad():
        for _ in range(2):
            assert torch.equal(split(input_ids=tokens).logits, whole(input_ids=tokens).logits)


def test_never_more_than_one_layer_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_model(tmp_path / "model", num_hidden_layers=4)
    whole: list[int] = []
    look = Shards.look_at

    def count(shards: Shards, model: PreTrainedModel, name: str) -> None:
        look(shards, model, name)
        begun = [any(not p.is_meta for p in layer.parameters()) for layer in decoder_layers(model)]
        whole.append(sum(begun) - len(shards.parts))

    monkeypatch.setattr(Shards, "look_at", count)
    split_models(ModelSection(), folder)
    assert max(whole) == 1 and whole[-1] == 0


@pytest.mark.parametrize(
    ("base", "is_checkpointing"),
    [
        ("nf4", True),
        *(pytest.param(name, again, marks=pytest.mark.battery)
          for name in BASES for again in (True, False) if (name, again) != ("nf4", True)),
    ],
)  # fmt: skip
def test_split_layers_train_as_whole_ones_do(new_run: NewRun, base: str, is_checkpointing: bool) -> None:
    changes = {**SETTINGS, **BASES[base], "memory.activation_checkpointing": is_checkpointing}
    whole, split = new_run(changes), new_run({**changes, "runtime.sharding": "layers"})
    expected, found = go_together(whole), go_together(split)
    for kind in (Step, Evaluated):
        assert losses(kind, found) == losses(kind, expected) and losses(kind, found)
    assert [e.text for e in of(Sampled, found)] == [e.text for e in of(Sampled, expected)] != []
    assert same_weights(split, whole)
    assert of(Loaded, found)[0].num_parameters == of(Loaded, expected)[0].num_parameters


def same_weights(one: Run, other: Run) -> bool:
    ours, theirs = weights(one.adapter), weights(other.adapter)
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.battery
@pytest.mark.parametrize("is_checkpointing", [True, False])
def test_layers_below_the_first_adapter_are_split_too(new_run: NewRun, is_checkpointing: bool) -> None:
    changes = {**SETTINGS, **BASES["nf4"], "memory.activation_checkpointing": is_checkpointing,
               "method.targets": ("layers.1.self_attn.q_proj",)}  # fmt: skip
    whole, split = new_run(changes), new_run({**changes, "runtime.sharding": "layers"})
    expected, found = go_together(whole), go_together(split)
    assert losses(Step, found) == losses(Step, expected) and losses(Step, found)
    assert same_weights(split, whole)


@pytest.mark.battery
def test_a_stopped_run_of_split_layers_goes_on_to_the_bit(new_run: NewRun) -> None:
    changes = {**SETTINGS, **BASES["nf4"], "runtime.sharding": "layers"}
    straight, stopped = new_run(changes), new_run(changes)
    whole = go_together(straight)
    parts = [*go_together(stopped, stop_after(2)), *go_together(stopped)]
    assert [event.resumed_from for event in of(Started, parts)] == [0, 2]
    assert losses(Step, parts) == losses(Step, whole) and same_weights(stopped, straight)


@pytest.mark.battery
def test_memory_that_runs_out_in_one_process_stops_nobody(
    new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {**SETTINGS, "method.dropout": 0.0, "evaluation.samples": 0, "memory.activation_checkpointing": True}
    expected = go_together(new_run(changes))
    need, left = Shards._need, ["forward", "backward", "evaluation"]

    def run_out(shards: Shards, number: int) -> None:
        need(shards, number)
        now = "evaluation" if shards._announce else "forward" if torch.is_grad_enabled() else "backward"
        is_amid = not shards._waiting if now == "backward" else number == 1
        if now in left and is_amid and not (now == "backward" and number):
            left.remove(now)
            raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(Shards, "_need", run_out)
    found = go_together(new_run({**changes, "runtime.sharding": "layers"}))
    assert not left
    told = [event.message for event in of(Warned, found)]
    assert sum("rows are computed at once" in message for message in told) == 2
    assert sum("ran out in an evaluation" in message for message in told) == 1
    assert losses(Step, found) == pytest.approx(losses(Step, expected), rel=1e-5)
    assert losses(Evaluated, found) == pytest.approx(losses(Evaluated, expected)[1:], rel=1e-5)


@pytest.mark.battery
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
def test_a_dead_process_ends_the_run_with_one_sentence(new_run: NewRun) -> None:
    changes = {"optim.epochs": 1000, "runtime.processes": 2, "runtime.sharding": "layers"}
    run = new_run({**changes, "runtime.save_every_steps": 2})
    process = start_training(run)
    wait_for(process, run, lambda: any(isinstance(event, Saved) for event in run.events()))
    (peer,) = peers_of(process)
    peer.kill()
    assert process.wait(300) == 1
    last = run.events()[-1]
    assert isinstance(last, Failed) and last.message.startswith("Process 2 of 2 was killed")


@pytest.mark.parametrize(
    ("changes", "path", "told"),
    [
        ({"runtime.sharding": "layers"}, "runtime.processes", "between 2 processes or more"),
        (
            {"runtime.sharding": "layers", "runtime.processes": 2, "method.kind": "full"},
            "method.kind",
            "choose LoRA",
        ),
    ],
)
def test_what_cannot_be_split_is_told(changes: dict[str, object], path: str, told: str) -> None:
    with pytest.raises(HoneError) as caught:
        RunConfig().with_values(changes)
    assert caught.value.path == path and told in caught.value.message


REHEARSED: dict[str, tuple[dict[str, object], str]] = {
    "meta-llama/Llama-3.2-1B": (BASES["nf4"], "cuda"),
    "lfm2": (BASES["bf16"], "cuda"),
    "granitemoehybrid": ({**BASES["nf4"], "method.targets": ("q_proj", "v_proj")}, "cuda"),
    "mistralai/Mixtral-8x7B-v0.1": ({**BASES["int8"], "memory.activation_checkpointing": False}, "cpu"),
}


@pytest.mark.parametrize(
    "model", [pytest.param(m, marks=[] if m in HYBRIDS else pytest.mark.battery) for m in REHEARSED]
)
def test_the_estimate_is_what_the_first_process_rehearses(model: str) -> None:
    changes, kind = REHEARSED[model]
    known = {one.name: one.config for one in catalogue()}
    settings = shallow(known[model], 3) if model in known else {"model_type": model, **HYBRIDS[model]}
    values = {**changes, "runtime.processes": 3, "runtime.sharding": "layers", "data.max_length": 256}
    config = RunConfig().with_values(values)
    done = rehearse(config, settings, DEVICES[kind], length=256)
    real = replay.peak(done.log, 512 if kind == "cuda" else 1)
    found = estimate(config, facts_from_config(settings), DEVICES[kind], with_suggestions=False)
    in_training = max(found.moments[MOMENTS[name]] for name in ("loss", "layer"))
    in_training -= found.parts["context"] + found.parts["margin"]
    assert in_training == pytest.approx(real.num_bytes, rel=2e-3)
