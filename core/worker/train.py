"""The training loop: steps, evaluations, samples and checkpoints, until the run is done, stopped or diverged."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Literal

import torch
from transformers import PreTrainedModel

from core.errors import HoneError
from core.events import Evaluated, Event, Finished, Sampled, Saved, Warned
from core.runs import Run
from core.worker import checkpoint, evaluate, optimizer
from core.worker.card import model_card
from core.worker.failure import is_disk_full, is_out_of_memory
from core.worker.group import OVER, PASS, Group
from core.worker.meter import Meter
from core.worker.setup import Setup, set_up
from core.worker.step import Gradient

Reason = Literal["done", "stopped", "early", "diverged"]
SAMPLES_ON_REQUEST = 2  # when the config asks for none of its own


def train(
    run: Run,
    write: Callable[[Event], None],
    is_told_to_stop: Callable[[], bool],
    group: Group | None = None,
) -> Finished:
    """Start a run, or continue it from its newest whole checkpoint, and write what happens as events. In a group
    of processes this one leads.

    Raises HoneError for what the user can mend; the checkpoints that are whole stay as they are.
    """
    setup = set_up(run, write, group)
    with setup.gauge, setup.ceiling:
        reason = steps(setup, is_told_to_stop)
        if group:
            group.dismiss(setup.gauge)
        if reason != "diverged":
            _hand_over(setup, reason)
    progress = setup.progress
    return Finished(reason=reason, step=progress.step, peak_bytes=setup.gauge.peak, seconds=progress.seconds)


def follow(run: Run, write: Callable[[Event], None], group: Group) -> None:
    """Take part in a run that another process leads, until it says that there are no more steps.

    Of what happens only what concerns this process alone is written. Raises HoneError like `train`.
    """
    setup = set_up(run, write, group)
    setup.model.train()
    with setup.gauge, setup.ceiling:
        while (word := group.call(setup.gauge)) != OVER:
            if word == PASS:
                assert setup.shards
                setup.shards.serve()
            else:
                _take_step(setup)


def steps(setup: Setup, is_told_to_stop: Callable[[], bool]) -> Reason:
    """Take the steps that are left, and say why there are no more."""
    run, progress, trained = setup.run, setup.progress, setup.trained
    evaluation, runtime = setup.config.evaluation, setup.config.runtime
    meter = Meter(setup.write, setup.gauge, progress)
    setup.model.train()
    while progress.step < setup.total_steps:
        if setup.group:
            setup.group.call(setup.gauge)
        gradient, rate = _take_step(setup)
        epoch = progress.step / setup.order.steps_per_epoch
        meter.add(progress.step, epoch, rate, gradient.loss, gradient.norm, gradient.num_tokens)

        is_last = progress.step == setup.total_steps
        is_stopping = is_told_to_stop() or run.take_request("stop")
        must_evaluate = is_last or _is_due(progress.step, evaluation.every_steps)
        must_evaluate &= len(setup.data.held_out) > 0
        must_sample = run.take_request("sample") or (must_evaluate and evaluation.samples > 0)
        must_save = run.take_request("save") or _is_due(progress.step, runtime.save_every_steps)
        if is_last or is_stopping or must_evaluate or must_sample or must_save:
            meter.flush()
        if meter.has_diverged:
            return "diverged"
        if must_evaluate:
            is_best = _evaluate(setup)
            must_save |= is_best and evaluation.patience > 0
        if must_sample:
            _sample(setup)
        if must_save or is_last or is_stopping:
            if not trained.is_finite():
                return "diverged"
            _save(setup, must_succeed=is_last or is_stopping)
        if must_evaluate or must_sample or must_save:
            meter.restart_clock()
        if is_last:
            break
        if is_stopping:
            return "stopped"
        if evaluation.patience and must_evaluate and progress.num_since_best >= evaluation.patience:
            return "early"
    return "done"


def _take_step(setup: Setup) -> tuple[Gradient, float]:
    """One optimizer step. Returns its gradient and learning rate."""
    config, progress, trained = setup.config, setup.progress, setup.trained
    rate = optimizer.learning_rate(config.optim, progress.step, setup.total_steps)
    batches = setup.order.batches(progress.step)
    gradient = setup.stepper.gradient(batches, progress, _seed(config.runtime.seed, progress.step))
    optimizer.clip(trained.parameters, gradient.norm, config.optim.grad_clip)
    optimizer.set_learning_rate(trained.optimizer, rate)
    is_finite = torch.isfinite(gradient.norm) & torch.isfinite(gradient.loss)
    optimizer.step_where(trained.optimizer, is_finite)
    progress.step += 1
    progress.num_tokens += gradient.num_tokens
    return gradient, rate


def _is_due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0


def _seed(seed: int, step: int) -> int:
    """What dropout is drawn from in a step: the same however the run came to it."""
    return int.from_bytes(hashlib.sha256(f"{seed} {step}".encode()).digest()[:8], "big")


def _evaluate(setup: Setup) -> bool:
    """Score the held-out rows. Returns whether the model has never done better."""
    progress, best = setup.progress, setup.progress.best_loss
    setup.model.eval()
    try:
        with setup.computing_alone(), setup.accelerator.autocast():
            loss = evaluate.held_out_loss(
                setup.loss,
                setup.data.examples,
                setup.data.held_out,
                progress.micro_batch,
                setup.accelerator.device,
            )
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        setup.write(Warned(message="Memory ran out in an evaluation, so it was left out.", step=progress.step))
        return False
    finally:
        setup.model.train()
    progress.evaluated[str(progress.step)] = loss
    setup.write(Evaluated(step=progress.step, loss=loss, is_best=loss < best))
    return loss < best


def _sample(setup: Setup) -> None:
    """Let the model answer a few prompts that it does not train on."""
    config, step = setup.config.evaluation, setup.progress.step
    prompts = setup.data.prompts[: config.samples or SAMPLES_ON_REQUEST]
    setup.model.eval()
    try:
        with setup.computing_alone(), setup.accelerator.autocast():
            texts = evaluate.answers(setup.model, setup.tokenizer, prompts, config.sample_tokens)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        setup.write(Warned(message="Memory ran out in a sample, so it was left out.", step=step))
        return
    finally:
        setup.model.train()
    for prompt, text in zip(prompts, texts, strict=True):
        setup.write(Sampled(step=step, prompt=prompt.shown, text=text))


def _save(setup: Setup, must_succeed: bool) -> None:
    """Write a checkpoint, then delete old ones. A full disk only warns, unless this is the last chance."""
    run, progress = setup.run, setup.progress
    folder = checkpoint.folder_of(run, progress.step)
    try:
        num_bytes = checkpoint.save(run, setup.trained, progress)
    except Exception as error:
        if not is_disk_full(error):
            raise
        kept = checkpoint.folders(run)
        rest = f"the run goes on from step {int(kept[-1].name[5:])}" if kept else "the run begins anew"
        if must_succeed:
            raise HoneError(
                f"The disk is full, so step {progress.step} could not be saved; free some and resume: {rest}."
            ) from error
        message = f"The disk is full, so step {progress.step} could not be saved; the next save tries again."
        setup.write(Warned(message=message, step=progress.step))
        return
    setup.write(Saved(step=progress.step, folder=folder.relative_to(run.folder).as_posix(), num_bytes=num_bytes))
    checkpoint.prune(run, setup.config.runtime.keep_checkpoints, progress)


def _hand_over(setup: Setup, reason: Reason) -> None:
    """Write the run's adapter, or the model of a full fine-tune: after an early stop that of the best checkpoint,
    else the weights as they are now."""
    run, progress = setup.run, setup.progress
    best = checkpoint.best_of(checkpoint.folders(run), progress) if reason == "early" else None
    if isinstance(setup.model, PreTrainedModel) and best is None:
        setup.model.to(setup.result_dtype)  # type: ignore[arg-type]
    card = model_card(run.name, setup.config, setup.trained.origin, progress)
    try:
        num_bytes = checkpoint.save_result(run, best or setup.trained, setup.tokenizer, card)
    except Exception as error:
        if not is_disk_full(error):
            raise
        raise HoneError(
            "The disk is full, so the finished adapter could not be written; free some space and resume: training "
            "itself is done and saved."
        ) from error
    step = int(best.name[5:]) if best else progress.step
    if best:
        losses = f"{progress.best_loss:.4f} against {list(progress.evaluated.values())[-1]:.4f}"
        message = f"Stopped early: the adapter is that of step {step}, the best on held-out rows ({losses})."
        setup.write(Warned(message=message, step=progress.step))
    setup.write(Saved(step=step, folder=run.adapter.name, num_bytes=num_bytes))
