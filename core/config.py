"""RunConfig: the one description of a run. Forms, tooltips, YAML, the CLI and the estimate derive from it."""

from __future__ import annotations

import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Self, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from core.descriptions import described
from core.errors import HoneError
from core.mistakes import ConfigError, Mistake, nearest, shown
from core.sections import (
    PAGED,
    DataSection,
    EvaluationSection,
    Full,
    Lora,
    MemorySection,
    Method,
    ModelSection,
    Objective,
    OptimSection,
    RuntimeSection,
    Section,
    Sft,
)
from core.yaml_text import as_text, read_yaml


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
        try:
            tree = read_yaml(text)
        except ValueError as error:
            raise ConfigError([Mistake("", f"The config is not valid YAML{error}.")]) from None
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
            for name, info in described(type(section)).items():
                value = getattr(section, name)
                lines.append(f"  {name}: {as_text(value)}  # {info.description}")
        return "\n".join(lines) + "\n"


SECTION_NAMES = tuple(name for name in RunConfig.model_fields if name != "version")


def contradictions(config: RunConfig) -> list[Mistake]:
    """Settings that are each allowed and cannot work together."""
    if isinstance(config.method, Full) and config.model.quantization != "none":
        return [Mistake("model.quantization", "Full fine-tuning needs unquantised weights: choose none, or LoRA.")]
    if config.optim.optimizer in PAGED and config.runtime.device in ("cpu", "mps"):
        plain = config.optim.optimizer.removeprefix("paged_")
        return [Mistake("optim.optimizer", f"Paged states need an NVIDIA GPU; choose {plain}.")]
    if config.runtime.sharding != "none" and isinstance(config.method, Full):
        told = "Full fine-tuning has no frozen layers to split: choose LoRA, or set runtime.sharding to none."
        return [Mistake("method.kind", told)]
    if config.runtime.sharding != "none" and config.runtime.processes == 1:
        told = "Layers are split between 2 processes or more: raise it, or set runtime.sharding to none."
        return [Mistake("runtime.processes", told)]
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
    batches, processes = config.optim.accumulation, config.runtime.processes
    if batches % processes:
        shared = f"{batches} batch{'es' if batches > 1 else ''}"
        told = f"{processes} processes share {shared} a step, so some wait; take a multiple of {processes}."
        found.append(Mistake("optim.accumulation", told))
    if config.data.train_on == "roles" and not config.data.roles:
        found.append(Mistake("data.roles", "Nobody's messages are learnt: name a role, such as assistant."))
    if config.data.holdout_source and config.data.split_column:
        found.append(Mistake("data.split_column", "Has no effect beside data.holdout_source."))
    return found


def fields(section: Section | type[Section]) -> Iterator[tuple[str, FieldInfo]]:
    """The name and declaration of each field of a section, in order."""
    yield from described(section if isinstance(section, type) else type(section)).items()


def field_at(config: RunConfig, path: str) -> FieldInfo:
    """The declaration of the field at a dotted path, for the method and objective now chosen."""
    described(type(config.value(path.rpartition(".")[0])))
    return declared_at(config, path)


def declared_at(config: RunConfig, path: str) -> FieldInfo:
    """The same for who does not show its description, which is read only when it is asked for."""
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
        raise ConfigError([Mistake(path, f"Unknown setting.{nearest(section_name, SECTION_NAMES)}")])
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
        return Mistake(".".join(place), f"Unknown setting.{nearest(place[-1], _names_beside(place, detail))}")
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        place.append("kind")
        wanted = " or ".join(f"'{member.model_fields['kind'].default}'" for member in union_members(place[0]))
        found = f"{shown(limits['tag'])} is not one of" if "tag" in limits else "Say which kind:"
        return Mistake(".".join(place), f"{found} {wanted}.")
    if kind == "literal_error":
        return Mistake(".".join(place), f"{shown(detail['input'])} is not one of {limits['expected']}.")
    if kind in ("greater_than_equal", "greater_than", "less_than_equal", "less_than"):
        (limit,) = limits.values()
        limit = f"{limit:,}" if isinstance(limit, int) else f"{limit:g}"
        bound = {"greater_than_equal": "at least", "greater_than": "more than", "less_than_equal": "at most"}
        return Mistake(".".join(place), f"{shown(detail['input'])} is out of range; it must be "
                       f"{bound.get(kind, 'less than')} {limit}.")  # fmt: skip
    if kind == "value_error":
        return Mistake(".".join(place), str(limits["error"]))
    return Mistake(".".join(place), f"{shown(detail['input'])} does not fit: {_lower(detail['msg'])}.")


def _names_beside(place: list[str], detail: Any) -> tuple[str, ...]:
    if len(place) == 1:
        return ("version", *SECTION_NAMES)
    members = union_members(place[0])
    tag = str(detail["loc"][1]) if members else ""
    section = (_member(place[0], tag) if members else None) or RunConfig.model_fields[place[0]].annotation
    return tuple(getattr(section, "model_fields", {}))


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:].rstrip(".")
