"""The estimate: the peak of a run in named parts, its moment, its band, the verdict, and what to change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from core.config import RunConfig
from core.figures import count
from core.hardware import Device, can_grow, can_page
from core.memory.calibration import PastPeak, adjusted, calibrate
from core.memory.context import context_bytes, cublas_bytes, slack_bytes
from core.memory.hybrids import Hybrid, find_hybrid
from core.memory.moments import MOMENTS, Moment
from core.memory.paging import Movable, movable
from core.memory.rows import Found, Loss
from core.memory.sampling import sampling_bytes
from core.memory.stack import Stack, resolve
from core.memory.suggestions import Suggestion, suggest
from core.memory.targets import WORDS, traced_targets
from core.memory.together import Split, each_of, share_of, split, together_bytes
from core.memory.training import num_trainable, optimizer_bytes, step_bytes
from core.memory.weights import load_bytes, weights
from core.models.facts import ModelFacts
from core.placement import num_gpus, place, tightest

PART_NAMES = (
    "weights", "constants", "adapter", "gradients", "optimizer", "activations", "recompute", "head_and_loss",
    "workspace", "context", "margin",
)  # fmt: skip
Verdict = Literal["fits", "tight", "does not fit"]
NOTHING = Movable()
BAND = 0.10
"""Half-width of the band as a share of the peak, until runs on this machine have been measured."""


@dataclass(frozen=True)
class Estimate:
    """Memory of a run on one device, in bytes; of several processes, that of each."""

    peak_bytes: int
    """What the worker's process takes on the device at the worst moment."""
    parts: dict[str, int]
    """The peak by PART_NAMES, in that order; they add up to it exactly. What is not alive at that moment is 0."""
    margin_bytes: int
    """The band: the true peak is expected within peak_bytes ± margin_bytes."""
    moment: str
    """When the peak is reached, in words: "the backward pass of a layer"."""
    moments: dict[str, int]
    """The peak of each moment, by its words."""
    verdict: Verdict
    free_bytes: int
    """What the device has free for it now; of a CPU's, one process's share."""
    total_bytes: int
    others_bytes: int
    """What other processes use on the device now."""
    suggestions: list[Suggestion] = field(default_factory=list)
    notes: tuple[str, ...] = ()
    """What to know about the estimate, one sentence each; most say why it is less sure than usual."""
    is_sure: bool = True
    """Whether nothing is known that makes it less sure than usual."""
    cublas_bytes: int = 0
    """What of the context torch's allocator holds."""
    each_of: str = ""
    """Whose figures these are when several processes train: "each of 2 GPUs with split layers"; empty for one."""
    can_page: bool = False
    """Whether an optimizer's states could be moved out to RAM there."""
    evidence: str = ""
    """What past runs on this machine changed in it, in words; empty while there are too few."""

    @property
    def tensor_bytes(self) -> int:
        """The peak of tensors alone."""
        return self.peak_bytes - self.parts["context"] - self.parts["margin"]

    @property
    def allocated_bytes(self) -> int:
        """The peak as torch's max_memory_allocated counts it: tensors, and cuBLAS' workspaces."""
        return self.tensor_bytes + self.cublas_bytes


def estimate(
    config: RunConfig,
    facts: ModelFacts,
    device: Device,
    *,
    longest_row: int = 0,
    past: Sequence[PastPeak] = (),
    alike: Sequence[Device] = (),
    with_suggestions: bool = True,
) -> Estimate:
    """What a run of `config` on this model and device will take.

    `longest_row` is the longest row of the data in tokens, when it is known; without it, rows as long as
    data.max_length are expected. `past` are peaks of earlier runs, which correct it where enough of them are like
    this one; `alike` are all devices of its kind here, over which it may be suggested to split the run. Raises
    nothing: any valid config has an estimate.
    """
    stack = resolve(config, facts, device, longest_row)
    result = estimate_stack(stack, config, facts, device)
    if result.peak_bytes + result.margin_bytes > result.free_bytes and (out := movable(facts, stack)).num_bytes:
        result = estimate_stack(stack, config, facts, device, out)
    result = calibrated(result, config, device, past)
    if with_suggestions:

        def again(changed: RunConfig) -> Estimate:
            is_elsewhere = changed.runtime.processes != config.runtime.processes
            where = tightest(place(changed, list(alike))) if is_elsewhere else device
            return estimate(changed, facts, where, longest_row=longest_row, past=past, with_suggestions=False)

        result.suggestions.extend(suggest(config, facts, result, again, num_gpus=num_gpus(alike)))
    return result


def estimate_stack(
    stack: Stack, config: RunConfig, facts: ModelFacts, device: Device, out: Movable = NOTHING
) -> Estimate:
    """The same for a stack that need not be ours; of `config` only the evaluation counts. Without suggestions.

    `out` are optimizer states that wait in RAM. The driver moves them there only as far as the GPU is full, so
    they count as long as there is room for all.
    """
    rows = find_hybrid(facts, stack.mode(facts), _loss(facts, stack))
    processes = config.runtime.processes
    is_split = config.runtime.sharding == "layers" and stack.loop == "hone" and not stack.is_full
    layers = split(facts, stack, processes) if is_split else None
    found = _moments(config, facts, stack, rows, out, layers)
    context = context_bytes(device, stack.needs_bitsandbytes) + together_bytes(device, processes)
    free = share_of(device.free_bytes, device, processes)
    fixed = {"context": context, "margin": slack_bytes(device, found, stack, facts, can_grow=can_grow())}
    worst = max(found, key=lambda moment: moment.num_bytes)
    parts = {name: worst.parts.get(name, 0) + fixed.get(name, 0) for name in PART_NAMES}
    peak = sum(parts.values())
    margin = round(BAND * peak)
    notes = _notes(facts, stack, rows)
    return Estimate(
        peak_bytes=peak,
        parts=parts,
        margin_bytes=margin,
        moment=worst.words,
        moments={moment.words: moment.num_bytes + sum(fixed.values()) for moment in found},
        verdict=_verdict(peak, margin, free, is_sure=not notes),
        is_sure=not notes,
        can_page=device.kind == "cuda" and can_page(),
        free_bytes=free,
        total_bytes=device.total_bytes,
        others_bytes=device.others_bytes,
        notes=(*notes, *([layers.sentence(device)] if layers else ()), *_remarks(facts, stack, rows, out)),
        cublas_bytes=cublas_bytes(device),
        each_of=each_of(device, processes, is_split),
    )


def calibrated(found: Estimate, config: RunConfig, device: Device, past: Sequence[PastPeak]) -> Estimate:
    """The estimate as past runs correct it; as it is, where too few are like it."""
    known = calibrate(
        past,
        device=device.name,
        method=config.method.kind,
        quantization=config.model.quantization,
        predicted_bytes=found.peak_bytes,
    )
    if known is None:
        return found
    parts = adjusted(found.parts, known.ratio)
    peak = sum(parts.values())
    margin = round(known.band * peak)
    return replace(
        found,
        peak_bytes=peak,
        parts=parts,
        margin_bytes=margin,
        moments={words: round(known.ratio * num_bytes) for words, num_bytes in found.moments.items()},
        verdict=_verdict(peak, margin, found.free_bytes, is_sure=found.is_sure),
        evidence=known.sentence,
    )


def _moments(
    config: RunConfig, facts: ModelFacts, stack: Stack, rows: Found | Hybrid, out: Movable, layers: Split | None
) -> list[Moment]:
    base = weights(facts, stack)
    gradients = num_trainable(facts, stack) * stack.adapter_bytes
    standing = {
        "weights": base.num_bytes + (layers.gathered_bytes - layers.elsewhere_bytes if layers else 0),
        "constants": base.constants_bytes - (layers.constants_elsewhere_bytes if layers else 0),
        "adapter": 0 if stack.is_full else gradients,
        "optimizer": optimizer_bytes(facts, stack) - out.num_bytes,
    }
    units, count = stack.units(facts), facts.num_layers
    step = "again" if stack.accumulates else "once"
    traced = {
        "loss": rows.parts(step, "loss", units, count),
        "layer": rows.parts(step, "layer", units, count),
        "evaluation": max(
            rows.parts("evaluation", "loss", units, count),
            rows.parts("evaluation", "layer", units, count),
            key=lambda parts: sum(parts.values()),
        ),
    }
    workspace = base.largest_linear * stack.compute_bytes
    loading = load_bytes(facts, stack)
    if layers:
        loading += layers.loading_bytes(standing["weights"], is_mapped=stack.device == "cpu" and not loading)
    other = {
        "load": {"optimizer": 0, "workspace": loading},
        "step": {"gradients": gradients, "workspace": step_bytes(facts, stack) + out.largest},
        "sampling": {
            "gradients": gradients,
            "activations": sampling_bytes(config, facts, stack),
            "workspace": workspace,
        },
    }
    moments = []
    for name, words in MOMENTS.items():
        if name == "sampling" and stack.loop != "hone":
            continue
        parts = {**standing, **(traced.get(name) or other[name])}
        if name in ("loss", "layer"):
            parts["head_and_loss"] = parts.get("head_and_loss", 0) + stack.held_score_bytes * units["TV"]
        # Rows were traced with adapters on every layer of their kind; fewer targets have fewer gradients.
        parts["gradients"] = min(parts.get("gradients", 0), gradients)
        moments.append(Moment(words, parts))
    return moments


def _loss(facts: ModelFacts, stack: Stack) -> Loss:
    """The form of the loss."""
    if stack.loop != "hone":
        return "stock"
    if stack.loss == "full":
        return "full"
    chunks = -(-stack.rows * (stack.length - 1) // stack.chunk(facts))
    return "single" if chunks <= 1 else "double" if chunks == 2 else "chunked"


def _verdict(peak: int, margin: int, free: int, is_sure: bool) -> Verdict:
    if peak > free:
        return "does not fit"
    return "fits" if is_sure and peak + margin <= free else "tight"


def _notes(facts: ModelFacts, stack: Stack, rows: Found | Hybrid) -> tuple[str, ...]:
    notes = []
    if not facts.is_modelled:
        notes.append(
            f"Hone does not know how {facts.family or 'this model'} computes, so activations are a guess."
        )
    elif not rows.is_own_family:
        notes.append(
            f"What {facts.family} keeps for its backward pass was not traced; that of another family stands in."
        )
    elif _has_other_mlps(facts):
        notes.append("Not all of its MLPs are as wide as its experts; what the others keep was not traced.")
    elif facts.mixer and not rows.is_own_mode:
        notes.append(f"What {facts.family} keeps was not traced for these settings; that of others stands in.")
    if stack.is_mixed:
        notes.append(
            "Adapters in bf16 beside fp16 were not traced; counted is what those in fp32 keep, which take about "
            "as much."
        )
    if "attention" in rows.lacks:
        notes.append("Eager attention was not traced for this mode; its length × length scores are not counted.")
    if "device" in rows.lacks:
        notes.append("Eager attention in fp32 was not traced on a GPU, where it needs more than is said.")
    if "drops" in rows.lacks:
        notes.append(
            f"{facts.family} drops some of what it computes while it learns, and what it keeps for that is not "
            "counted."
        )
    if facts.num_expert and stack.quantization != "none" and stack.loop != "hone":
        notes.append("There the experts stay unquantised: bitsandbytes does not reach them.")
    if facts.quantized_on_disk:
        notes.append("Its files are stored quantised, which is not counted: only model.quantization is.")
    if facts.num_on_disk and not _is_alike(facts):
        notes.append(
            f"Its config.json describes {count(facts.num_parameters)} parameters and its files hold "
            f"{count(facts.num_on_disk)}; one of the two is of another model."
        )
    return tuple(notes)


def _has_other_mlps(facts: ModelFacts) -> bool:
    """Whether a mixture has MLPs of a width that was not traced beside experts."""
    return facts.num_experts > 0 and any(
        one.name == "gate_proj"
        and one.num_out != facts.mlp
        and not (one.num_out == facts.shared_mlp and one.count == facts.num_layers)
        for one in facts.linears
    )


def _remarks(facts: ModelFacts, stack: Stack, rows: Found | Hybrid, out: Movable) -> Iterator[str]:
    """What to know of an estimate that makes it no less sure."""
    if facts.mixer and facts.mixer.chunk:
        yield (
            "Layers without attention run in transformers' own code; kernels made for them, which Hone does not "
            "bring, would take less."
        )
    traced, is_exact = traced_targets(facts, stack.targets)
    if not stack.is_full and (not is_exact or "targets" in rows.lacks):
        known = WORDS["all" if "targets" in rows.lacks else traced]
        yield (
            "Adapters on these layers alone were not traced; counted is what those on "
            f"{known} keep, which is more."
        )
    if out.num_bytes:
        yield out.sentence


def _is_alike(facts: ModelFacts) -> bool:
    """Whether the files hold what config.json describes. They may hold a tied head again, or masks."""
    most = 1.25 * (facts.num_parameters + facts.num_embedding)
    return 0.97 * facts.num_parameters <= facts.num_on_disk <= most
