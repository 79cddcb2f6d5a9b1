"""RunConfig: the one description of a run. Forms, tooltips, YAML, the CLI and the estimate derive from it."""

from __future__ import annotations

import datetime
import difflib
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo

from core.errors import HoneError

SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast where PyYAML was built with it
MAX_YAML, MAX_NESTING = 200_000, 5_000  # libyaml has no limit of its own and overruns the stack
INT_MAX = 2**31 - 1  # Qt's spin boxes hold signed 32-bit integers
MAPPED = ("system", "prompt", "completion", "text", "messages", "chosen", "rejected", "label")
"""What a column can be for."""
SPEAKERS = ("system", "user", "assistant", "tool")
LOG_SCALE: JsonDict = {"scale": "log"}  # steps 1, 2, 5, 10, ...
DOUBLING: JsonDict = {"scale": "double"}  # steps 8, 16, 32, ...


class Section(BaseModel):
    """A frozen group of settings; an unknown key is an error."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True, allow_inf_nan=False
    )


class ModelSection(Section):
    source: str = "starter:storyteller"
    """A bundled model (starter:NAME), a folder, or a Hugging Face name."""
    revision: str = ""
    """Branch, tag or commit on the Hub; empty takes the main branch."""
    dtype: Literal["auto", "bf16", "fp16", "fp32"] = "auto"
    """Number format of unquantised weights; auto takes bf16 on GPUs that have it, fp32 on CPU."""
    quantization: Literal["none", "int8", "nf4", "fp4"] = "none"
    """Store the frozen base in 8 or 4 bits; nf4 with LoRA is QLoRA."""
    double_quantization: bool = True
    """Quantise the 4-bit block constants too; saves about 0.37 bits per weight."""
    attention: Literal["auto", "sdpa", "eager"] = "auto"
    """How attention is computed; sdpa never stores the length × length matrix, eager does."""


class DataSection(Section):
    source: str = "sample:poems"
    """A bundled sample (sample:NAME), a data file, or a folder or archive of them."""
    more: tuple[str, ...] = ()
    """Further datasets mixed in, each SOURCE or WEIGHT*SOURCE."""
    mapping: dict[str, str] = {}
    """What each column is for, such as {prompt: question}; empty finds it out."""
    template: str = "auto"
    """The model's own chat template (auto), one by name such as chatml, or a file."""
    max_length: int = Field(default=512, ge=8, le=1_048_576, json_schema_extra={"unit": "tokens", **DOUBLING})
    """Longest row in tokens; longer rows are cut at the end."""
    packing: bool = False
    """Put several short rows into one sequence; they cannot see each other."""
    train_on: Literal["answers", "last_answer", "all", "roles"] = "answers"
    """Which tokens the model learns to write."""
    roles: tuple[str, ...] = ("assistant",)
    """Whose messages are learnt when train_on is roles: system, user, assistant, tool."""
    holdout: float = Field(default=0.05, ge=0, le=0.5)
    """Share of rows kept aside to evaluate on."""
    holdout_source: str = ""
    """Data to evaluate on in place of a share of the rows; empty takes the share."""
    split_column: str = ""
    """Column that says which rows are held out, by words such as test or validation."""
    stratify_by: str = ""
    """Column whose values keep their shares on both sides of the split."""
    group_by: str = ""
    """Column whose equal values stay on one side of the split."""
    on_invalid: Literal["skip", "stop"] = "skip"
    """What to do with a row that cannot be used."""
    on_long: Literal["cut", "skip", "stop"] = "cut"
    """What to do with a row longer than the limit."""
    on_duplicate: Literal["keep", "skip", "stop"] = "keep"
    """What to do with a row that repeats an earlier one."""
    on_leak: Literal["keep", "skip", "stop"] = "keep"
    """What to do with a held-out row whose prompt is trained on too."""

    @field_validator("mapping", mode="before")
    @classmethod
    def _read_mapping(cls, value: Any) -> Any:
        """A mapping may be written as text, as it stands in YAML, with or without its braces."""
        return mapping_from(value) if isinstance(value, str) else value

    @field_validator("more", "roles", mode="before")
    @classmethod
    def _read_list(cls, value: Any) -> Any:
        """A list may be written as text, with commas between."""
        return (
            tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
        )

    @field_validator("mapping")
    @classmethod
    def _know_roles(cls, value: dict[str, str]) -> dict[str, str]:
        for role, column in value.items():
            if role not in MAPPED:
                raise ValueError(f"{_shown(role)} is no role.{_nearest(role, MAPPED)}")
            if not column.strip():
                raise ValueError(f"{role} names no column; leave it out, or give it one.")
        return value

    @field_validator("roles")
    @classmethod
    def _know_speakers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for role in value:
            if role not in SPEAKERS:
                raise ValueError(f"{_shown(role)} is no role.{_nearest(role, SPEAKERS)}")
        return value


class Lora(Section):
    kind: Literal["lora"] = "lora"
    """LoRA learns a small low-rank change beside frozen weights."""
    rank: int = Field(default=16, ge=1, le=1024, json_schema_extra=DOUBLING)
    """Width of the learnt change; more can learn more and costs more."""
    alpha: float = Field(default=32, gt=0, le=4096, json_schema_extra=DOUBLING)
    """Strength of the change; it is scaled by alpha / rank."""
    dropout: float = Field(default=0.0, ge=0, le=0.9)
    """Share of adapter inputs dropped at random while training."""
    targets: tuple[str, ...] = Field(default=("all-linear",), min_length=1)
    """Layers that get an adapter: all-linear, or names such as q_proj."""


class Full(Section):
    kind: Literal["full"] = "full"
    """Full fine-tuning changes every weight of the model."""


class Sft(Section):
    kind: Literal["sft"] = "sft"
    """Learn to give the answers in the data."""


class Pretrain(Section):
    kind: Literal["pretrain"] = "pretrain"
    """Learn to continue raw text; every token is trained."""


class OptimSection(Section):
    optimizer: Literal["adamw", "adamw_8bit", "sgd"] = "adamw"
    """Rule that turns gradients into changes; adamw_8bit keeps its state in 8 bits."""
    learning_rate: float = Field(default=2e-4, gt=0, le=1, json_schema_extra=LOG_SCALE)
    """Peak size of a step, after warm-up."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """How the learning rate falls after warm-up."""
    warmup_ratio: float = Field(default=0.05, ge=0, le=1)
    """Share of all steps in which the learning rate rises from zero."""
    weight_decay: float = Field(default=0.0, ge=0, le=1)
    """Pull of trained weights towards zero."""
    grad_clip: float = Field(default=1.0, ge=0, le=1000)
    """Largest gradient norm; longer gradients are shortened. 0 turns it off."""
    batch_size: int = Field(default=4, ge=1, le=4096, json_schema_extra={"unit": "rows", **DOUBLING})
    """Rows computed at once; memory grows with it."""
    accumulation: int = Field(default=4, ge=1, le=4096, json_schema_extra=DOUBLING)
    """Batches added up before each step; costs time, not memory."""
    epochs: int = Field(default=3, ge=1, le=1000)
    """How often every row is seen."""
    max_steps: int = Field(default=0, ge=0, le=INT_MAX)
    """End after this many steps; 0 leaves it to the epochs."""


class MemorySection(Section):
    activation_checkpointing: bool = True
    """Recompute each layer in the backward pass: far less memory, about a fifth slower."""
    loss: Literal["chunked", "full"] = "chunked"
    """chunked scores trained tokens a slice at a time; full holds all scores at once."""
    adapter_dtype: Literal["auto", "fp32", "bf16"] = "auto"
    """Number format of adapter weights; auto takes fp32."""
    upcast: bool = False
    """Hold norms, embeddings and head in fp32 over a quantised base; safer, costs memory."""


class EvaluationSection(Section):
    every_steps: int = Field(default=25, ge=0, le=INT_MAX, json_schema_extra={"unit": "steps"})
    """Score the held-out rows this often; 0 only at the end."""
    samples: int = Field(default=2, ge=0, le=16)
    """Held-out prompts answered at each evaluation, to read along."""
    sample_tokens: int = Field(default=96, ge=1, le=4096, json_schema_extra={"unit": "tokens"})
    """Longest sample."""
    patience: int = Field(default=0, ge=0, le=1000)
    """Stop after this many evaluations without a new best; 0 never stops early."""


class RuntimeSection(Section):
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to train; auto takes a GPU where there is one."""
    seed: int = Field(default=0, ge=0, le=INT_MAX)
    """Fixes order, split, dropout and first adapter weights."""
    threads: int = Field(default=0, ge=0, le=1024)
    """CPU threads; 0 takes one per core."""
    deterministic: bool = False
    """Only repeatable GPU kernels: slower, and equal to the bit from run to run."""
    save_every_steps: int = Field(default=50, ge=1, le=INT_MAX, json_schema_extra={"unit": "steps"})
    """Write a checkpoint this often."""
    keep_checkpoints: int = Field(default=2, ge=1, le=1000)
    """Newest checkpoints kept beside the best one."""


Method = Annotated[Lora | Full, Field(discriminator="kind")]
Objective = Annotated[Sft | Pretrain, Field(discriminator="kind")]


class RunConfig(Section):
    """Everything that changes the result of a run, and nothing else."""

    version: Literal[1] = 1
    """Version of this file's layout."""
    model: ModelSection = ModelSection()
    data: DataSection = DataSection()
    method: Method = Lora()
    objective: Objective = Sft()
    optim: OptimSection = OptimSection()
    memory: MemorySection = MemorySection()
    evaluation: EvaluationSection = EvaluationSection()
    runtime: RuntimeSection = RuntimeSection()

    def value(self, path: str) -> Any:
        """The value at a dotted path such as "optim.learning_rate" or "data.mapping.prompt"."""
        found: Any = self
        for name in path.split("."):
            found = found[name] if isinstance(found, dict) else getattr(found, name)
        return found

    def with_value(self, path: str, value: Any) -> Self:
        """A new, validated config with one value changed. Raises ConfigError."""
        return self.with_values({path: value})

    def with_values(self, values: dict[str, Any]) -> Self:
        """A new, validated config with several values changed together. Raises ConfigError."""
        tree = self.model_dump()
        for path, value in values.items():
            _put(tree, path, value)
        return type(self).from_tree(tree)

    @classmethod
    def from_tree(cls, tree: Any) -> Self:
        """A config from nested dicts. Raises ConfigError that lists every mistake with its path."""
        if not isinstance(tree, dict):
            raise ConfigError([Mistake("", "A config must be a mapping of sections.")])
        try:
            config = cls.model_validate(tree)
        except ValidationError as error:
            raise ConfigError([_mistake(detail) for detail in error.errors()]) from None
        if wrong := contradictions(config):
            raise ConfigError(wrong)
        return config

    @classmethod
    def from_yaml(cls, text: str) -> Self:
        """A config from YAML text. Raises ConfigError."""
        if len(text) > MAX_YAML or sum(map(text.count, "[{-?")) > MAX_NESTING:
            raise ConfigError([Mistake("", "The config is not valid YAML: it is too long or nested too deeply.")])
        try:
            tree = yaml.load(text, Loader=SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            line = f" on line {mark.line + 1}" if mark else ""
            raise ConfigError([Mistake("", f"The config is not valid YAML{line}: {error.problem}.")]) from None
        except (yaml.YAMLError, RecursionError, ValueError) as error:
            reason = str(error).splitlines()[0].rstrip(".")
            raise ConfigError([Mistake("", f"The config is not valid YAML: {reason}.")]) from None
        return cls.from_tree({} if tree is None else tree)

    @classmethod
    def load(cls, path: Path) -> Self:
        """A config from a YAML file. Raises HoneError naming the file."""
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise HoneError(f"{path} does not exist; give the path of a config file.") from None
        except IsADirectoryError:
            raise HoneError(f"{path} is a folder; give the path of a config file.") from None
        except UnicodeDecodeError:
            raise HoneError(f"{path} is not a text file; a config is YAML in UTF-8.") from None
        except OSError as error:
            raise HoneError(f"{path} cannot be read ({error.strerror}); check its permissions.") from None
        try:
            return cls.from_yaml(text)
        except ConfigError as error:
            raise ConfigError(error.mistakes, where=str(path)) from None

    def to_yaml(self) -> str:
        """YAML text with each field's docstring as a comment; reads back to an equal config."""
        lines = [f"version: {self.version}"]
        for section_name in SECTION_NAMES:
            section = getattr(self, section_name)
            lines.append(f"\n{section_name}:")
            for name, info in type(section).model_fields.items():
                value = getattr(section, name)
                lines.append(f"  {name}: {as_text(value)}  # {info.description}")
        return "\n".join(lines) + "\n"


def as_text(value: Any) -> str:
    """A value as it stands in YAML, on one line."""
    plain = list(value) if isinstance(value, tuple) else value
    style = '"' if isinstance(value, dict) and value else None  # templates over columns hold colons and line ends
    shown = yaml.safe_dump(plain, default_flow_style=True, default_style=style, width=float("inf"))
    return shown.removesuffix("\n").removesuffix("\n...")


def mapping_from(text: str) -> Any:
    """What a text such as "prompt: question, completion: answer" stands for. Raises ValueError."""
    text = text.strip()
    if len(text) > MAX_YAML or sum(map(text.count, "[{-?")) > MAX_NESTING:
        raise ValueError("It is too long, or nested too deeply.")
    try:
        found = yaml.load(text if text.startswith("{") else f"{{{text}}}", Loader=SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError):
        raise ValueError("Write it as {prompt: question, completion: answer}.") from None
    return found


SECTION_NAMES = tuple(name for name in RunConfig.model_fields if name != "version")


@dataclass(frozen=True)
class Mistake:
    """One thing wrong with a config: the dotted path it belongs to and a sentence."""

    path: str
    message: str


class ConfigError(HoneError):
    """A config that cannot be used; `mistakes` has one entry per wrong value."""

    def __init__(self, mistakes: list[Mistake], where: str = "") -> None:
        text = " ".join(f"{m.path}: {m.message}" if m.path else m.message for m in mistakes)
        text = " ".join(text.split())  # an unknown key may hold anything
        super().__init__(f"{where}: {text}" if where else text, path=mistakes[0].path)
        self.mistakes = mistakes


def contradictions(config: RunConfig) -> list[Mistake]:
    """Settings that are each allowed and cannot work together."""
    if isinstance(config.method, Full) and config.model.quantization != "none":
        return [Mistake("model.quantization", "Full fine-tuning needs unquantised weights: choose none, or LoRA.")]
    return []


def unwise(config: RunConfig) -> list[Mistake]:
    """What will run and is likely not what the user wants: sentences for the form, never errors."""
    found: list[Mistake] = []
    method = config.method
    if isinstance(method, Full) and config.optim.learning_rate > 1e-4:
        found.append(Mistake("optim.learning_rate", "High for full fine-tuning; 1e-5 to 5e-5 is usual."))
    if isinstance(method, Lora) and method.alpha > 4 * method.rank:
        found.append(Mistake("method.alpha", "Over four times the rank; learning may become unstable."))
    if config.evaluation.patience and not config.data.holdout:
        found.append(Mistake("evaluation.patience", "Has no effect without held-out rows: raise data.holdout."))
    if config.data.train_on == "roles" and not config.data.roles:
        found.append(Mistake("data.roles", "Nobody's messages are learnt: name a role, such as assistant."))
    if config.data.holdout_source and config.data.split_column:
        found.append(Mistake("data.split_column", "Has no effect beside data.holdout_source."))
    return found


def fields(section: Section | type[Section]) -> Iterator[tuple[str, FieldInfo]]:
    """The name and declaration of each field of a section, in order."""
    yield from (section if isinstance(section, type) else type(section)).model_fields.items()


def field_at(config: RunConfig, path: str) -> FieldInfo:
    """The declaration of the field at a dotted path, for the method and objective now chosen."""
    section, _, name = path.rpartition(".")
    return type(config.value(section)).model_fields[name]


def choices(info: FieldInfo) -> tuple[Any, ...]:
    """The allowed values of a field with a fixed set of them; empty for any other field."""
    return get_args(info.annotation) if get_origin(info.annotation) is Literal else ()


def union_members(section_name: str) -> tuple[type[Section], ...]:
    """The classes a tagged section ("method", "objective") can be; empty for a plain section."""
    annotation = RunConfig.model_fields[section_name].annotation
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else ()


def _member(section_name: str, kind: Any) -> type[Section] | None:
    return next((m for m in union_members(section_name) if m.model_fields["kind"].default == kind), None)


def _put(tree: dict[str, Any], path: str, value: Any) -> None:
    section_name, _, name = path.partition(".")
    if section_name not in SECTION_NAMES:
        raise ConfigError([Mistake(path, f"Unknown setting.{_nearest(section_name, SECTION_NAMES)}")])
    if not name:
        tree[section_name] = value
    elif name == "kind" and (member := _member(section_name, value)):
        kept = {key: old for key, old in tree[section_name].items() if key in member.model_fields}
        tree[section_name] = {**kept, "kind": value}
    elif (place := name.partition("."))[1] and isinstance(held := tree[section_name].get(place[0]), dict):
        kept = {key: old for key, old in held.items() if key != place[2]}
        tree[section_name] = {**tree[section_name], place[0]: {**kept, place[2]: value} if value else kept}
    else:
        tree[section_name] = {**tree[section_name], name: value}


def _mistake(detail: Any) -> Mistake:
    """A pydantic error as a path and a plain sentence."""
    place = [str(part) for part in detail["loc"]]
    if len(place) > 1 and union_members(place[0]):  # drop the tag that pydantic puts into the path of a union
        del place[1]
    kind, limits = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return Mistake(".".join(place), f"Unknown setting.{_nearest(place[-1], _names_beside(place, detail))}")
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        place.append("kind")
        wanted = " or ".join(f"'{member.model_fields['kind'].default}'" for member in union_members(place[0]))
        found = f"{_shown(limits['tag'])} is not one of" if "tag" in limits else "Say which kind:"
        return Mistake(".".join(place), f"{found} {wanted}.")
    if kind == "literal_error":
        return Mistake(".".join(place), f"{_shown(detail['input'])} is not one of {limits['expected']}.")
    if kind in ("greater_than_equal", "greater_than", "less_than_equal", "less_than"):
        (limit,) = limits.values()
        limit = f"{limit:,}" if isinstance(limit, int) else f"{limit:g}"
        bound = {"greater_than_equal": "at least", "greater_than": "more than", "less_than_equal": "at most"}
        return Mistake(".".join(place), f"{_shown(detail['input'])} is out of range; it must be "
                       f"{bound.get(kind, 'less than')} {limit}.")  # fmt: skip
    if kind == "value_error":
        return Mistake(".".join(place), str(limits["error"]))
    return Mistake(".".join(place), f"{_shown(detail['input'])} does not fit: {_lower(detail['msg'])}.")


def _names_beside(place: list[str], detail: Any) -> tuple[str, ...]:
    if len(place) == 1:
        return ("version", *SECTION_NAMES)
    members = union_members(place[0])
    tag = str(detail["loc"][1]) if members else ""
    section = (_member(place[0], tag) if members else None) or RunConfig.model_fields[place[0]].annotation
    return tuple(getattr(section, "model_fields", {}))


def _nearest(name: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f" Did you mean {close[0]}?" if close else f" Known ones: {', '.join(known)}."


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        value = value.get("kind")
    # A few aliased lines of YAML can nest into a billion words: only scalars are ever written out.
    text = " ".join(str(value).split()) if isinstance(value, (str, int, float, datetime.date)) else "This"
    return text if len(text) <= 40 else text[:39] + "…"


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:].rstrip(".")
