"""The words for what has become of a run and for what it is: state, model, method, events."""

from __future__ import annotations

from app.widgets.words import in_labels
from core import figures
from core.config import RunConfig
from core.events import Evaluated, Event, Failed, Finished, Loaded, Sampled, Saved, Started, Warned
from core.runs import State
from core.sections import Lora

STATES: dict[State, tuple[str, str]] = {
    "new": ("not started", "secondary"),
    "live": ("learning", "accent"),
    "done": ("done", "fits"),
    "early": ("done early", "fits"),
    "stopped": ("stopped", "secondary"),
    "interrupted": ("interrupted", "tight"),
    "failed": ("failed", "no"),
    "diverged": ("diverged", "no"),
}
_QUANTISED = {"int8": "8-bit LoRA", "nf4": "QLoRA", "fp4": "QLoRA"}
_KINDS = {"lora": "LoRA", "full": "Full"}


def state_word(state: State) -> str:
    """The state as a person says it: "learning" for live."""
    return STATES[state][0]


def state_tone(state: State) -> str:
    """The tone of the state's colour: accent, fits, tight, no or secondary."""
    return STATES[state][1]


def model_name(config: RunConfig) -> str:
    """The short name of the base: "storyteller", "Llama-3.1-8B"."""
    return _last_part(config.model.source)


def data_name(config: RunConfig) -> str:
    """The short name of the data: "poems", "tickets.jsonl"."""
    return _last_part(config.data.source)


def method_name(config: RunConfig) -> str:
    """The method with its rank: "LoRA r16", "QLoRA r16", "Full"."""
    method = config.method
    name = _KINDS.get(method.kind, method.kind)
    if isinstance(method, Lora):
        name = _QUANTISED.get(config.model.quantization, name)
    rank = getattr(method, "rank", None)
    return f"{name} r{rank}" if rank else name


def told(event: Event) -> tuple[str, str]:
    """An event as a sentence, and the tone it is said in."""
    match event:
        case Started() if event.resumed_from:
            return f"Went on from step {figures.whole(event.resumed_from)} on {event.device}", "accent"
        case Started():
            skipped = f", {figures.whole(event.num_skipped_rows)} skipped" if event.num_skipped_rows else ""
            return (
                f"Started on {event.device}: {figures.whole(event.num_rows)} rows{skipped}, "
                f"{figures.whole(event.num_eval_rows)} held out, {figures.whole(event.total_steps)} steps"
            ), "accent"
        case Loaded():
            return (
                f"Loaded in {event.seconds:.1f} s: {figures.count(event.num_trainable)} of "
                f"{figures.count(event.num_parameters)} parameters learn"
            ), "secondary"
        case Evaluated():
            return f"Step {figures.whole(event.step)}: held-out loss {event.loss:.3f}", "secondary"
        case Sampled():
            return f"Step {figures.whole(event.step)}: {' '.join(event.text.split())}", "secondary"
        case Saved():
            return f"Saved {event.folder}, {figures.size(event.num_bytes)}", "secondary"
        case Warned():
            return in_labels(event.message), "tight"
        case Failed():
            return in_labels(event.message), "no"
        case Finished():
            word, tone = STATES[event.reason]
            after = f" after {figures.duration(event.seconds)}" if event.seconds else ""
            return f"{word.capitalize()} at step {figures.whole(event.step)}{after}", tone
    return event.type, "secondary"


def _last_part(source: str) -> str:
    """What follows the last slash or colon; a whole source where nothing does."""
    part = source.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return part.rpartition(":")[2] or source
