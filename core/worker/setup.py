"""Everything a training run needs, made once from its folder: data, order, model, optimizer, last checkpoint."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass

import torch
from accelerate import Accelerator
from peft import PeftModel
from transformers import PreTrainedModel
from transformers import PreTrainedTokenizerBase as Tokenizer

from core.config import DataSection, RunConfig
from core.data.fingerprint import fingerprint, fingerprints
from core.data.pace import now_and_then
from core.data.rows import Rows, require_objective
from core.data.run_rows import RunRows
from core.errors import HoneError
from core.events import Event, Loaded, Started, Warned
from core.events import Progress as Working
from core.hardware import Device, cpu_cores
from core.memory.calibration import Prediction
from core.memory.estimate import calibrated, estimate
from core.memory.past import read_past
from core.models.facts import read_facts
from core.models.quarantine import clean_copy
from core.models.source import ModelFolder, find_model
from core.placement import place
from core.runs import Checkpoint, Run
from core.sections import Full
from core.worker import adapters, checkpoint, load, optimizer
from core.worker.batches import Order
from core.worker.ceiling import Ceiling
from core.worker.checkpoint import Origin, Progress, Trained
from core.worker.dataset import Dataset, make_dataset
from core.worker.environment import settle, write_environment
from core.worker.examples import encoder_for
from core.worker.flat_gradients import FlatGradients
from core.worker.gauge import Gauge
from core.worker.group import PASS, Group
from core.worker.losses import TokenLoss
from core.worker.shards import Shards
from core.worker.shared_step import ShardedStepper, SharedStepper
from core.worker.step import START_SCALE, Stepper
from core.worker.template import ChatTemplate, TrainOn, ensure_template
from core.worker.token_cache import cached_tokens, key_of
from core.worker.tokens import Tokens

Write = Callable[[Event], None]
PRECISIONS = {torch.float32: "no", torch.bfloat16: "bf16", torch.float16: "fp16"}


@dataclass(frozen=True)
class Setup:
    """The parts of a run, ready for the first or the next step."""

    run: Run
    config: RunConfig
    write: Write
    accelerator: Accelerator
    gauge: Gauge
    ceiling: Ceiling
    tokenizer: Tokenizer
    data: Dataset
    order: Order
    total_steps: int
    model: PeftModel | PreTrainedModel
    loss: TokenLoss
    stepper: Stepper
    trained: Trained
    progress: Progress
    result_dtype: torch.dtype
    """The number format of the base's own files, in which a full fine-tune is handed over."""
    group: Group | None = None
    """The processes that train together; None for one alone."""
    shards: Shards | None = None
    """The layers that are split between them; None when every process holds them whole."""

    def computing_alone(self) -> AbstractContextManager[None]:
        """Inside it the leader alone computes, and no step is taken."""
        if self.shards is None or self.group is None:
            return nullcontext()
        group, gauge = self.group, self.gauge
        return self.shards.leading(lambda: group.call(gauge, PASS))


def set_up(run: Run, warn: Write, group: Group | None = None) -> Setup:
    """Read, tokenise and load everything, and put the newest whole checkpoint back.

    Writes Started and Loaded; of a group of processes only the leader does, and the others no more than that
    memory ran out. Raises HoneError for whatever in the config cannot be had here.
    """
    config = run.config
    leads = group is None or group.leads
    write = warn if leads else _keep_quiet
    device = place(config)[group.rank if group else 0]
    threads = config.runtime.threads or max(1, cpu_cores() // config.runtime.processes)
    where = settle(device, threads, config.runtime.deterministic)
    gauge = Gauge(where)
    compute = load.compute_dtype(config.model, device)
    base = find_model(config.model.source, config.model.revision)
    if group and not leads:
        last, progress = _heard(run, group, where)
    else:
        last = run.latest_checkpoint()
        progress = checkpoint.read_progress(last) if last else _first_progress(config, compute)

    tokenizer = load.load_tokenizer(clean_copy(base.path))
    needed_template = ensure_template(tokenizer, config.data.template)
    data = _read_data(config, tokenizer, progress.date, write)
    if group and leads:  # only now: the others find the tokens in the cache
        group.join(where)
        group.say({"step": last.step if last else 0, "progress": asdict(progress)})
    order = _order(config, data, config.data.packing)
    total_steps = _total_steps(config, order)
    data_sha256 = _hash_of(config.data)
    if leads:
        write_environment(run, device, base, data_sha256, data.in_figures())
    predicted = _predict(run, base, device, data)
    write(_started(device, order, total_steps, progress, data, predicted))
    sources_sha256 = _hashes_of(config.data)
    is_changed = last is not None and progress.data_sha256 != data_sha256
    changed = [_changed(progress.sources_sha256, sources_sha256)] if is_changed else []
    for sentence in changed if last else _warnings(data, needed_template):
        write(Warned(message=sentence, step=progress.step))
    progress.data_sha256, progress.sources_sha256 = data_sha256, sources_sha256

    began = time.monotonic()
    write(Working(label=f"Loading {base.name}", done=0))
    shards = Shards(group, where) if group and config.runtime.sharding == "layers" else None
    loaded = _load_base(config, base, last, device, compute, shards)
    _check_reach(loaded, data)
    adapters.prepare(loaded, config.model, config.memory)
    model = adapters.attach(loaded, config.method, config.memory, config.runtime.seed)
    if shards:
        shards.watch(is_recomputing=config.memory.activation_checkpointing)
    parameters = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    trained = Trained(model, parameters, optimizer.make_optimizer(parameters, config.optim), _origin(base))
    if last:
        checkpoint.restore(last, trained)
    if group:
        group.copy_first(parameter for _, parameter in parameters)
    accelerator = Accelerator(cpu=device.kind == "cpu", mixed_precision=PRECISIONS[compute])
    loss = TokenLoss(loaded, config.memory.loss == "chunked")
    with accelerator.autocast():
        loss.prove(where)
    if config.memory.loss == "chunked" and not loss.is_chunked:
        write(Warned(message="This family of models scores tokens in a way of its own, so the full loss is used."))
    if config.data.packing:
        with accelerator.autocast():
            is_apart = loss.keeps_rows_apart(where)
        if not is_apart:
            order = _order(config, data, False)
            total_steps = _total_steps(config, order)
            write(
                Warned(
                    message="In this family of models packed rows would see each other, so they are not packed."
                )
            )
            write(_started(device, order, total_steps, progress, data, predicted))
    gauge.measure_context()
    num_added = 0 if isinstance(config.method, Full) else sum(p.numel() for _, p in parameters)
    write(
        Loaded(
            num_parameters=sum(_count(parameter) for parameter in loaded.parameters()) - num_added,
            num_trainable=sum(parameter.numel() for _, parameter in parameters),
            seconds=time.monotonic() - began,
            memory_bytes=gauge.now,
        )
    )
    shared = {"group": group, "flat": FlatGradients(parameters, where)} if group else {}
    if shards:
        shared["shards"] = shards
    return Setup(
        run=run,
        config=config,
        write=write,
        group=group,
        shards=shards,
        accelerator=accelerator,
        gauge=gauge,
        ceiling=Ceiling(where, gauge.resident, predicted.planned_bytes),
        tokenizer=tokenizer,
        data=data,
        order=order,
        total_steps=total_steps,
        model=model,
        loss=loss,
        stepper=(ShardedStepper if shards else SharedStepper if group else Stepper)(
            loss=loss,
            examples=data.examples,
            parameters=parameters,
            device=where,
            autocast=lambda: accelerator.autocast(),
            is_scaled=compute is torch.float16,
            warn=lambda message: warn(Warned(message=message, step=progress.step)),
            **shared,  # type: ignore[arg-type]
        ),
        trained=trained,
        progress=progress,
        result_dtype=load.stored_dtype(base.path),
    )


def _keep_quiet(event: Event) -> None:
    """The leader says it."""


def _heard(run: Run, group: Group, where: torch.device) -> tuple[Checkpoint | None, Progress]:
    """Where the leader goes on from."""
    group.join(where)
    word = group.hear()
    step = word["step"]
    return Checkpoint(checkpoint.folder_of(run, step), step) if step else None, Progress(**word["progress"])


def _hash_of(data: DataSection) -> str:
    """The hash of all data of a run, what it is evaluated on included."""
    found = fingerprint(data.source, data.more)
    if not data.holdout_source:
        return found
    return hashlib.sha256(f"{found} {fingerprint(data.holdout_source)}".encode()).hexdigest()


def _hashes_of(data: DataSection) -> dict[str, str]:
    """The hash of each source by itself."""
    apart = fingerprints(data.holdout_source) if data.holdout_source else {}
    return {**fingerprints(data.source, data.more), **apart}


def _changed(before: dict[str, str], now: dict[str, str]) -> str:
    """What is to be known of data that is not what the run began with."""
    changed = [source for source, sha256 in now.items() if before.get(source, sha256) != sha256]
    named = f" ({', '.join(changed)})" if changed else ""
    return (
        f"The data has changed since the run began{named}: it goes on with the rows as they are now, in a new "
        "order. To go on with the old ones, stop it, put the data back and resume."
    )


def _order(config: RunConfig, data: Dataset, packing: bool) -> Order:
    return Order(
        data.train,
        data.examples.lengths,
        batch_size=config.optim.batch_size,
        accumulation=config.optim.accumulation,
        seed=config.runtime.seed,
        max_length=config.data.max_length,
        packing=packing,
    )


def _total_steps(config: RunConfig, order: Order) -> int:
    steps = order.steps_per_epoch * config.optim.epochs
    return min(steps, config.optim.max_steps or steps)


def _started(
    device: Device, order: Order, total_steps: int, progress: Progress, data: Dataset, predicted: Prediction
) -> Started:
    account = data.account
    return Started(
        pid=os.getpid(),
        device=device.id,
        total_steps=total_steps,
        resumed_from=progress.step,
        num_rows=data.num_rows,
        num_eval_rows=data.num_eval_rows,
        num_skipped_rows=data.num_skipped_rows,
        num_read_rows=account.num_read,
        skipped=account.skipped,
        found=account.found,
        actions=dict(account.actions),
        num_cut_rows=account.num_cut,
        num_lost_tokens=account.num_lost_tokens,
        num_sequences=order.num_sequences,
        padding_share=order.padding_share(),
        predicted_peak_bytes=predicted.raw_bytes,
        planned_peak_bytes=predicted.planned_bytes,
        evidence=predicted.evidence,
    )


def _first_progress(config: RunConfig, compute: torch.dtype) -> Progress:
    scale = START_SCALE if compute is torch.float16 else 1.0
    return Progress(micro_batch=config.optim.batch_size, loss_scale=scale, date=time.strftime("%d %b %Y"))


def _read_data(config: RunConfig, tokenizer: Tokenizer, date: str, write: Write) -> Dataset:
    def read(rows: Rows, sha256: str, label: str) -> Tokens:
        require_objective(rows, config.objective.kind)
        key = key_of(sha256, tokenizer, template, train_on, data, config.runtime.seed)
        return cached_tokens(
            key, rows, encoder, lambda done: write(Working(label=label, done=done, total=len(rows), unit="rows"))
        )

    def told(what: str, done: int, total: int) -> None:
        write(Working(label=f"{what} the data", done=done, total=total))

    data = config.data
    rows = RunRows.of(data, config.runtime.seed, now_and_then(told))
    template = ChatTemplate(tokenizer, date)
    is_pretraining = config.objective.kind == "pretrain"
    train_on: TrainOn = "all" if is_pretraining else data.train_on
    encoder = encoder_for(data, tokenizer, template, train_on)
    made = read(rows.data, fingerprint(data.source, data.more), "Tokenising")
    if rows.apart is not None:
        made = made.and_held_out(read(rows.apart, fingerprint(data.holdout_source), "Tokenising held-out rows"))
    in_pieces = is_pretraining or rows.data.format == "text"
    return make_dataset(made, rows, template, data, seed=config.runtime.seed, in_pieces=in_pieces)


def _load_base(
    config: RunConfig,
    base: ModelFolder,
    last: Checkpoint | None,
    device: Device,
    compute: torch.dtype,
    shards: Shards | None,
) -> PreTrainedModel:
    """The model to train: the base, or for a full fine-tune under way the model of its last checkpoint."""
    if not isinstance(config.method, Full):
        return load.load_model(config.model, clean_copy(base.path), device, compute=compute, shards=shards)
    folder = clean_copy(last.folder if last else base.path)
    return load.load_model(config.model, folder, device, compute=compute, weights=torch.float32)


def _check_reach(model: PreTrainedModel, data: Dataset) -> None:
    """Raise HoneError when the data has tokens or lengths that the model cannot take."""
    num_known = model.get_input_embeddings().weight.shape[0]  # pyright: ignore[reportIndexIssue]
    if data.examples.tokens.max() >= num_known:
        raise HoneError(
            f"The tokenizer has tokens beyond the {num_known:,} of the model; the two do not belong together.",
            path="model.source",
        )
    longest = data.examples.lengths.max()
    reach = getattr(model.config.get_text_config(), "max_position_embeddings", None) or longest
    if longest > reach:
        raise HoneError(
            f"The model reads at most {reach:,} tokens and the longest row has {longest:,}; lower the limit.",
            path="data.max_length",
        )


def _origin(base: ModelFolder) -> Origin:
    """A Hub name where there is one, else the folder."""
    return Origin(base.source, base.commit) if base.commit else Origin(str(base.path))


def _predict(run: Run, base: ModelFolder, device: Device, data: Dataset) -> Prediction:
    """The estimated peak, with and without what past runs say; 0 when the model's shape is beyond the estimate,
    which is no reason not to train."""
    try:
        facts = read_facts(base.path)
    except HoneError:
        return Prediction()
    longest = int(data.examples.lengths.max())
    raw = estimate(run.config, facts, device, longest_row=longest, with_suggestions=False)
    planned = calibrated(raw, run.config, device, read_past(run.folder.parent))
    return Prediction(raw.peak_bytes, planned.peak_bytes, planned.evidence)


def _warnings(data: Dataset, needed_template: bool) -> list[str]:
    if needed_template:
        return [
            *data.warnings,
            "The model has no chat template, so a plain one is used and saved with the adapter.",
        ]
    return data.warnings


def _count(parameter: torch.nn.Parameter) -> int:
    """Weights in a parameter; 4-bit ones are packed two to a byte."""
    shape = getattr(getattr(parameter, "quant_state", None), "shape", None)
    return shape.numel() if shape is not None else parameter.numel()
