"""Several processes train as one does: the same steps, requests and checkpoints, and no loss when one dies."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch
from test_losses import CPU, assert_same, examples, singles
from test_training import go, of, weights
from tiny_models import tiny_config
from torch import distributed
from transformers import LlamaForCausalLM

from core import durable
from core.events import Evaluated, Event, Failed, Finished, Loaded, Saved, Started, Step
from core.launch import start_training
from core.runs import Run
from core.worker.checkpoint import Progress
from core.worker.flat_gradients import FlatGradients
from core.worker.group import Group
from core.worker.losses import TokenLoss
from core.worker.peers import Peers
from core.worker.shared_step import SharedStepper
from core.worker.train import train

NewRun = Callable[..., Run]
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")
WAIT_SECONDS = 300  # a busy machine is no failure
SETTINGS = {"optim.accumulation": 3, "evaluation.every_steps": 4, "optim.weight_decay": 0.1}


@pytest.fixture(autouse=True)
def own_accelerator() -> Iterator[None]:
    """accelerate keeps its precision for the life of a process, and these runs share one."""
    from accelerate.state import AcceleratorState

    yield
    AcceleratorState._reset_state(reset_partial_state=True)
    if distributed.is_initialized():
        distributed.destroy_process_group()


def go_together(run: Run, stop: Callable[[], bool] = lambda: False) -> list[Event]:
    """Lead a run from this process. Returns the events, Finished included."""
    events: list[Event] = []
    lost: list[Failed] = []
    size = run.config.runtime.processes
    with Peers(run, size, events.append, lost.append) as peers:
        events.append(train(run, events.append, stop, Group(0, size, peers.meeting)))
    distributed.destroy_process_group()
    assert not lost
    return events


def with_processes(run: Run, count: int) -> Run:
    """The run with another number of processes from now on, as an editor would write it."""
    config = run.config.with_value("runtime.processes", count)
    run.config_file.write_text(config.to_yaml(), encoding="utf-8")
    return Run(run.folder)


def losses(kind: type, events: list[Event]) -> list[float]:
    return [event.loss for event in of(kind, events)]


def stop_after(num_steps: int) -> Callable[[], bool]:
    count = iter(range(1, 10_000))
    return lambda: next(count) == num_steps


def test_processes_train_as_one_does_and_their_number_may_change_on_the_way(new_run: NewRun) -> None:
    straight = new_run({**SETTINGS, "optim.max_steps": 8})
    alone = go(straight)
    shared = new_run({**SETTINGS, "optim.max_steps": 8, "runtime.processes": 2})
    first = go_together(shared, stop_after(3))
    assert isinstance(first[-1], Finished) and (first[-1].reason, first[-1].step) == ("stopped", 3)
    events = [*first, *go(with_processes(shared, 1))]
    assert [event.resumed_from for event in of(Started, events)] == [0, 3]
    assert [event.step for event in of(Step, events)] == [event.step for event in of(Step, alone)]
    assert losses(Step, events) == pytest.approx(losses(Step, alone), rel=1e-5)
    assert losses(Evaluated, events) == pytest.approx(losses(Evaluated, alone), rel=1e-5)
    assert [e.num_tokens for e in of(Step, events)] == [e.num_tokens for e in of(Step, alone)]
    assert_same(weights(shared.adapter), weights(straight.adapter), 1e-3)
    assert len(of(Loaded, first)) == 1 and first[-1].peak_bytes >= of(Step, first)[-1].peak_bytes > 0


@pytest.mark.battery
def test_more_may_join_on_the_way(new_run: NewRun) -> None:
    straight, joined = (new_run({**SETTINGS, "optim.max_steps": 6}) for _ in range(2))
    alone = go(straight)
    events = [*go(joined, stop_after(2)), *go_together(with_processes(joined, 3))]
    assert losses(Step, events) == pytest.approx(losses(Step, alone), rel=1e-5)
    assert_same(weights(joined.adapter), weights(straight.adapter), 1e-3)


@pytest.mark.battery
def test_a_stopped_run_of_two_goes_on_to_the_bit(new_run: NewRun) -> None:
    changes = {"method.dropout": 0.2, "optim.max_steps": 4, "runtime.processes": 2, "method.rank": 8}
    straight, stopped = new_run(changes), new_run(changes)
    whole = go_together(straight)
    parts = [*go_together(stopped, stop_after(2)), *go_together(stopped)]
    assert losses(Step, parts) == losses(Step, whole)
    ours, theirs = weights(stopped.adapter), weights(straight.adapter)
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def shared_stepper(model: LlamaForCausalLM, meeting: Path) -> tuple[SharedStepper, list[str]]:
    """A stepper of a group that has no other member: every exchange is made, and changes nothing."""
    told: list[str] = []
    group = Group(0, 1, meeting)
    group.join(CPU)
    parameters = list(model.named_parameters())
    return (
        SharedStepper(
            loss=TokenLoss(model),
            examples=examples(8),
            parameters=parameters,
            device=CPU,
            autocast=nullcontext,
            is_scaled=False,
            warn=told.append,
            group=group,
            flat=FlatGradients(parameters, CPU),
        ),
        told,
    )


def test_memory_that_runs_out_in_one_process_costs_no_gradient(tmp_path: Path) -> None:
    torch.manual_seed(3)
    model = LlamaForCausalLM(tiny_config())
    stepper, told = shared_stepper(model, tmp_path / "meeting")
    whole = stepper.gradient([singles(8)], Progress(micro_batch=8), seed=1)
    kept = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}

    def refuse(_module, inputs, options):  # fmt: skip
        if len(options["input_ids"]) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    handle = model.model.register_forward_pre_hook(refuse, with_kwargs=True)
    progress = Progress(micro_batch=8)
    again = stepper.gradient([singles(8)], progress, seed=1)
    handle.remove()
    assert progress.micro_batch == 2 and len(told) == 2
    assert again.num_tokens == whole.num_tokens
    assert again.loss.item() == pytest.approx(whole.loss.item(), rel=1e-6)
    assert_same({name: p.grad for name, p in model.named_parameters() if p.grad is not None}, kept)


def test_a_step_in_fp16_is_scaled_alike_in_every_process(tmp_path: Path) -> None:
    torch.manual_seed(3)
    model = LlamaForCausalLM(tiny_config())
    stepper, _ = shared_stepper(model, tmp_path / "meeting")
    plain = stepper.gradient([singles(8)], Progress(micro_batch=8), seed=1)
    kept = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    scaled, progress = replace(stepper, is_scaled=True), Progress(micro_batch=8, loss_scale=2.0**135)
    found = scaled.gradient([singles(8)], progress, seed=1)
    assert 1 < progress.loss_scale < 2.0**135, "an overflow halves the scale"
    assert found.loss.item() == pytest.approx(plain.loss.item(), rel=1e-6)
    assert_same({name: p.grad for name, p in model.named_parameters() if p.grad is not None}, kept)


def test_a_gradient_that_left_its_place_is_noticed(tmp_path: Path) -> None:
    model = LlamaForCausalLM(tiny_config())
    flat = FlatGradients(list(model.named_parameters()), CPU)
    flat.clear()
    flat.with_loss(torch.tensor(1.0))
    model.lm_head.weight.grad = torch.zeros_like(model.lm_head.weight)
    with pytest.raises(RuntimeError, match="was replaced"):
        flat.with_loss(torch.tensor(1.0))


def wait_for(process: subprocess.Popen[bytes], run: Run, is_there: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while not is_there():
        assert process.poll() is None and time.monotonic() < end, run.log_file.read_text()
        time.sleep(0.01)


def peers_of(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return [child for child in psutil.Process(process.pid).children() if "peer" in child.cmdline()]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
def test_a_dead_process_ends_the_run_with_one_sentence_and_nothing_is_lost(new_run: NewRun) -> None:
    run = new_run({"optim.epochs": 1000, "runtime.processes": 2, "runtime.save_every_steps": 2})
    process = start_training(run)
    wait_for(process, run, lambda: any(isinstance(event, Saved) for event in run.events()))
    (peer,) = peers_of(process)
    peer.kill()
    assert process.wait(WAIT_SECONDS) == 1
    last = run.events()[-1]
    assert isinstance(last, Failed) and not run.is_live() and run.state() == "failed"
    assert last.message.startswith("Process 2 of 2 was killed") and "Resume continues" in last.message
    newest = run.latest_checkpoint()
    assert newest is not None and durable.is_whole(newest.folder)

    process = start_training(run)
    wait_for(process, run, lambda: isinstance(run.events()[-1], Step))
    assert of(Started, run.events())[-1].resumed_from == newest.step
    (peer,) = peers_of(process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    peer.wait(WAIT_SECONDS)  # it does not outlive the one that leads
    assert run.state() == "interrupted" and run.latest_checkpoint() is not None


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
def test_told_to_stop_all_finish_the_step_and_end(new_run: NewRun) -> None:
    run = new_run({"optim.epochs": 1000, "runtime.processes": 2})
    process = start_training(run)
    wait_for(process, run, lambda: any(isinstance(event, Step) for event in run.events()))
    peers = peers_of(process)
    for member in (*peers, process):
        member.send_signal(signal.SIGTERM)  # as a system does that shuts down
    assert process.wait(WAIT_SECONDS) == 0
    last, newest = run.events()[-1], run.latest_checkpoint()
    assert isinstance(last, Finished) and last.reason == "stopped"
    assert newest is not None and newest.step == last.step and not any(peer.is_running() for peer in peers)


@pytest.mark.battery
def test_a_mistake_is_told_once(new_run: NewRun) -> None:
    run = new_run({"method.targets": ("nope",), "runtime.processes": 2})
    process = start_training(run)
    assert process.wait(WAIT_SECONDS) == 1
    failures = of(Failed, run.events())
    assert len(failures) == 1 and failures[0].path == "method.targets"
