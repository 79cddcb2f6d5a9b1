"""RunConfig: every declaration is checked against the same promises, then values, YAML and errors."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from annotated_types import Ge, Gt, Le, Lt
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.config import SECTION_NAMES, RunConfig, choices, contradictions, field_at, union_members, unwise
from core.descriptions import described
from core.errors import HoneError
from core.mistakes import ConfigError
from core.sections import INT_MAX, MAPPED


def all_fields() -> list[tuple[str, str | None, Any]]:
    """(path, kind of the tagged section or None, declaration) of every field there is."""
    found = []
    for section_name in SECTION_NAMES:
        members = union_members(section_name)
        plain = RunConfig.model_fields[section_name].annotation
        for member in members or (plain,):
            kind = member.model_fields["kind"].default if members else None
            found += [(f"{section_name}.{name}", kind, info) for name, info in described(member).items()]
    return found


FIELDS = all_fields()
IDS = [f"{path}[{kind}]" if kind else path for path, kind, _ in FIELDS]
each_field = pytest.mark.parametrize(("path", "kind", "info"), FIELDS, ids=IDS)
NUMBERS = [field for field in FIELDS if field[2].annotation in (int, float)]
each_number = pytest.mark.parametrize(("path", "kind", "info"), NUMBERS, ids=[path for path, _, _ in NUMBERS])
CHOICES = [field for field in FIELDS if choices(field[2])]
each_choice = pytest.mark.parametrize(("path", "kind", "info"), CHOICES, ids=[path for path, _, _ in CHOICES])


LISTS = (tuple[str, ...], dict[str, str])


def bounds(info: Any) -> tuple[float, float]:
    low, high = -math.inf, math.inf
    for limit in info.metadata:
        match limit:
            case Ge(ge=value) | Gt(gt=value):
                low = float(value)  # type: ignore[arg-type]
            case Le(le=value) | Lt(lt=value):
                high = float(value)  # type: ignore[arg-type]
    return low, high


def with_kind(path: str, kind: str | None) -> RunConfig:
    section = path.partition(".")[0]
    if path == "runtime.sharding":
        return RunConfig().with_value("runtime.processes", 2)  # one process has nobody to split with
    return RunConfig() if kind is None else RunConfig().with_value(f"{section}.kind", kind)


def other_value(path: str, info: Any, default: Any) -> Any:
    """A legal value other than the default."""
    low, high = bounds(info)
    if options := choices(info):
        return next((option for option in options if option != default), default)
    if info.annotation is bool:
        return not default
    if info.annotation is int:
        return default + 1 if default < high else default - 1
    if info.annotation is float:
        return (default + high) / 2 if default < high else (low + high) / 2
    if info.annotation is str:
        return "elsewhere: a # name with 'quotes'"
    if info.annotation == dict[str, str]:
        return {"prompt": "{question}\n\n{context}: # 'quoted'", "completion": 'an "answer" {x}'}
    return ("user", "assistant") if path == "data.roles" else ("q_proj", "v_proj")


@each_field
def test_a_field_explains_itself_in_one_short_sentence(path, kind, info):
    words = info.description
    assert words, f"{path} has no docstring"
    assert len(words) < 90, f"{path}: {len(words)} characters"
    assert "\n" not in words and words == words.strip()
    assert words.endswith("."), f"{path} must end as a sentence"
    assert "  " not in words and ": #" not in words


@each_number
def test_a_number_has_both_bounds_and_its_default_lies_between(path, kind, info):
    low, high = bounds(info)
    assert math.isfinite(low) and math.isfinite(high), f"{path} needs both bounds"
    assert low < high
    assert low <= info.default <= high
    if info.annotation is int:
        assert low >= -INT_MAX - 1 and high <= INT_MAX, f"{path} leaves 32 bits"
        assert type(info.default) is int


@each_field
def test_a_field_has_a_type_a_form_can_draw(path, kind, info):
    assert info.annotation in (bool, int, float, str) or choices(info) or info.annotation in LISTS
    if options := choices(info):
        assert info.default in options
        assert all(isinstance(option, str) for option in options)
    if info.annotation is float and info.default and info.default < 1e-3:
        assert (info.json_schema_extra or {}).get("scale") == "log", f"{path} is too small for a linear spin box"


@each_field
def test_each_field_can_be_changed_alone_and_survives_yaml(path, kind, info):
    start = with_kind(path, kind)
    value = other_value(path, info, start.value(path))
    changed = start.with_value(path, value)
    assert changed.value(path) == value
    assert (changed != start) or path.endswith(".kind")
    assert start == with_kind(path, kind), "the old config is untouched"
    assert RunConfig.from_yaml(changed.to_yaml()) == changed
    section = path.partition(".")[0]
    for name in SECTION_NAMES:
        if name != section:
            assert getattr(changed, name) == getattr(start, name)


@each_number
def test_values_at_the_bounds_are_accepted_and_beyond_are_refused(path, kind, info):
    config = with_kind(path, kind)
    low, high = bounds(info)
    strictly_above = any(isinstance(limit, Gt) for limit in info.metadata)
    step = 1 if info.annotation is int else (high - low) * 1e-6
    for inside in (low + step if strictly_above else low, high):
        assert config.with_value(path, info.annotation(inside)).value(path) == info.annotation(inside)
    for outside in (low if strictly_above else low - step, high + step):
        with pytest.raises(ConfigError) as caught:
            config.with_value(path, info.annotation(outside))
        assert caught.value.path == path
        assert "out of range" in caught.value.message
    for nonsense in (math.nan, math.inf, "many", None, [], {}):
        with pytest.raises(ConfigError) as caught:
            config.with_value(path, nonsense)
        assert caught.value.path == path


@each_choice
def test_a_wrong_choice_names_the_allowed_ones(path, kind, info):
    with pytest.raises(ConfigError) as caught:
        with_kind(path, kind).with_value(path, "nonsense")
    assert caught.value.path == path
    for option in choices(info):
        assert str(option) in caught.value.message


@each_field
def test_field_at_finds_the_declaration_for_the_kind_now_chosen(path, kind, info):
    assert field_at(with_kind(path, kind), path) is info


PATHS_LEANT_ON = {
    "model": ("source", "revision", "dtype", "quantization", "double_quantization", "attention"),
    "data": ("source", "max_length", "packing", "train_on"),
    "method": ("kind", "rank", "alpha", "dropout", "targets"),
    "objective": ("kind",),
    "optim": (
        "optimizer",
        "learning_rate",
        "schedule",
        "warmup_ratio",
        "weight_decay",
        "grad_clip",
        "batch_size",
        "accumulation",
        "epochs",
        "max_steps",
    ),
    "memory": ("activation_checkpointing", "loss", "adapter_dtype", "upcast"),
    "evaluation": ("every_steps",),
    "runtime": ("device", "seed", "threads", "deterministic"),
}


def test_the_paths_that_all_else_leans_on_exist():
    config = RunConfig()
    for section, names in PATHS_LEANT_ON.items():
        for name in names:
            config.value(f"{section}.{name}")


def test_a_config_cannot_be_changed_in_place():
    with pytest.raises(Exception, match="frozen"):
        RunConfig().optim.learning_rate = 1.0


def test_changing_the_kind_keeps_what_both_kinds_know_and_drops_the_rest():
    full = RunConfig().with_value("method.rank", 64).with_value("method.kind", "full")
    assert full.method.model_dump() == {"kind": "full"}
    assert full.with_value("method.kind", "lora").value("method.rank") == 16


def test_several_values_are_judged_together():
    with pytest.raises(ConfigError) as caught:
        RunConfig().with_value("model.quantization", "nf4").with_value("method.kind", "full")
    assert caught.value.path == "model.quantization"
    both = RunConfig().with_values({"model.quantization": "nf4", "method.kind": "lora"})
    assert not contradictions(both)


def test_every_mistake_is_listed_with_its_path():
    with pytest.raises(ConfigError) as caught:
        RunConfig.from_yaml("optim:\n  learning_rate: 7\n  epochs: 0\nmethod:\n  kind: lora\n  rank: big\n")
    assert [mistake.path for mistake in caught.value.mistakes] == [
        "method.rank",
        "optim.learning_rate",
        "optim.epochs",
    ]
    assert caught.value.path == "method.rank"


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        ("optim:\n  learning_rte: 1e-4", "optim.learning_rte", "Did you mean learning_rate?"),
        ("optm: {}", "optm", "Did you mean optim?"),
        ("method: {kind: lora, rnk: 8}", "method.rnk", "Did you mean rank?"),
        ("method: {kind: full, rank: 8}", "method.rank", "Unknown setting."),
        ("method: {kind: lorra}", "method.kind", "lora"),
        ("method: {rank: 8}", "method.kind", "lora"),
        ("objective: {kind: sftt}", "objective.kind", "sft"),
        ("model: 3", "model", "model"),
        ("optim: null", "optim", "optim"),
        ("method: [1, 2]", "method", "method"),
        ("version: 9", "version", "version"),
        ("- just\n- a list", "", "mapping"),
        ("just words", "", "mapping"),
        ("optim:\n\tepochs: 3", "", "line 2"),
        ("{{{{", "", "YAML"),
        ("\x00", "", "YAML"),
        ("optim: {learning_rate: .nan}", "optim.learning_rate", "nan"),
        ("method: {kind: lora, targets: []}", "method.targets", "at least 1"),
        ("[" * 5000, "", "YAML"),
        ("data: {max_length: 2000000}", "data.max_length", "at most 1,048,576"),
        ("data: {holdout: 0.6}", "data.holdout", "at most 0.5"),
        ("optim: {epochs: 2.5}", "optim.epochs", "2.5"),
        ("model: {source: 2020-01-01}", "model.source", "2020-01-01"),
    ],
)
def test_a_mistake_is_one_plain_sentence_in_the_right_place(text, path, words):
    with pytest.raises(ConfigError) as caught:
        RunConfig.from_yaml(text)
    assert caught.value.path == path
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).rstrip().endswith((".", "?"))


def test_an_alias_bomb_is_refused_at_once():
    """Nine levels of ten aliases are a kilobyte of YAML and a billion words when written out."""
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    began = time.monotonic()
    for text in ("\n".join(lines), "\n".join([*lines, "model: {source: *a9}", "optim: {epochs: *a9}"])):
        with pytest.raises(ConfigError):
            RunConfig.from_yaml(text)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("piece", ["[", "{a: ", "- ", "-\t", "? ", "a:\n ", "&a [", "!!map {"])
@pytest.mark.parametrize("times", [900, 4_000, 200_000])
def test_deep_nesting_is_refused_and_never_crashes(piece, times):
    with pytest.raises(ConfigError):
        RunConfig.from_yaml(piece * times)


def test_deep_indentation_is_refused_and_never_crashes():
    with pytest.raises(ConfigError):
        RunConfig.from_yaml("".join(f"{' ' * depth}a:\n" for depth in range(600)))


def test_yaml_that_asks_for_a_python_object_is_refused(tmp_path):
    planted = tmp_path / "planted"
    with pytest.raises(ConfigError):
        RunConfig.from_yaml(f"model: !!python/object/apply:os.mkdir [{str(planted)!r}]")
    assert not planted.exists()


def test_empty_yaml_is_the_default():
    assert RunConfig.from_yaml("") == RunConfig()
    assert RunConfig.from_yaml("optim: {}\n# only a comment") == RunConfig()


def test_plain_scientific_notation_is_a_number():
    assert RunConfig.from_yaml("optim:\n  learning_rate: 1e-4").optim.learning_rate == 1e-4


def test_the_yaml_explains_every_setting():
    text = RunConfig().to_yaml()
    for path, kind, info in FIELDS:
        if kind in (None, "lora", "sft"):
            (line,) = [ln for ln in text.splitlines() if ln.startswith(f"  {path.partition('.')[2]}:")
                       and ln.endswith(f"# {info.description}")]  # fmt: skip
            assert len(line) < 140
    assert yaml.safe_load(text)["optim"]["learning_rate"] == 2e-4


def test_one_column_of_a_mapping_is_changed_alone_and_taken_out_again():
    config = RunConfig().with_values(
        {"data.mapping.prompt": "{question}\n{context}", "data.mapping.completion": "a"}
    )
    assert config.value("data.mapping.prompt") == "{question}\n{context}"
    assert RunConfig.from_yaml(config.to_yaml()) == config
    assert config.with_value("data.mapping.prompt", "").data.mapping == {"completion": "a"}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("prompt: [", "Write it as {prompt: question"),
        ("promt: x", "Did you mean prompt?"),
        ({"prompt": " "}, "names no column"),
        ({"prompt": 3}, "valid string"),
        ("{" * 9000, "nested too deeply"),
    ],
)
def test_a_mapping_that_cannot_be_is_told(value, words):
    with pytest.raises(ConfigError) as caught:
        RunConfig().with_value("data.mapping", value)
    assert caught.value.path.startswith("data.mapping")
    assert words in caught.value.message


def test_mappings_and_lists_can_be_typed():
    typed = RunConfig().with_values(
        {"data.mapping": "prompt: question, completion: a", "data.roles": "user, tool"}
    )
    assert typed.data.mapping == {"prompt": "question", "completion": "a"}
    assert typed.data.roles == ("user", "tool")
    with pytest.raises(ConfigError, match="Known ones: system, user, assistant, tool"):
        RunConfig().with_value("data.roles", ["bot"])


def test_files_from_before_the_newer_settings_still_read():
    text = "version: 1\ndata:\n  source: sample:poems\n  max_length: 64\n  train_on: all\n  holdout: 0.1\n"
    data = RunConfig.from_yaml(text).data
    assert (data.more, data.mapping, data.template, data.on_long) == ((), {}, "auto", "cut")


mappings = st.dictionaries(st.sampled_from(MAPPED), st.text(min_size=1).filter(str.strip), max_size=4)


@settings(max_examples=150, deadline=None)
@given(mapping=mappings)
def test_any_mapping_survives_yaml(mapping):
    config = RunConfig().with_value("data.mapping", mapping)
    assert RunConfig.from_yaml(config.to_yaml()) == config


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


@settings(max_examples=150, deadline=None)
@example(source="a folder with spaces/" * 12, revision="yes", targets=["null", "1e3", "x: # y"])
@given(source=texts, revision=texts, targets=st.lists(texts, min_size=1, max_size=4))
def test_any_text_survives_yaml(source, revision, targets):
    config = RunConfig().with_values(
        {"model.source": source, "data.source": revision, "model.revision": revision, "method.targets": targets}
    )
    assert RunConfig.from_yaml(config.to_yaml()) == config


@settings(max_examples=200, deadline=None)
@given(rate=st.floats(1e-300, 1), alpha=st.floats(1e-9, 4096), epochs=st.integers(1, 1000))
def test_any_number_survives_yaml_to_the_bit(rate, alpha, epochs):
    config = RunConfig().with_values({"optim.learning_rate": rate, "method.alpha": alpha, "optim.epochs": epochs})
    assert RunConfig.from_yaml(config.to_yaml()) == config


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(
    [path for path, _, _ in FIELDS] + list(SECTION_NAMES) + ["version", "nope", "model.nope.x"]
)


@settings(max_examples=300, deadline=None)
@given(path=names, value=json_values)
def test_any_value_at_any_path_is_a_config_or_a_config_error(path, value):
    try:
        changed = RunConfig().with_value(path, value)
    except ConfigError as error:
        assert error.mistakes and "\n" not in error.message
    else:
        assert RunConfig.from_yaml(changed.to_yaml()) == changed


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=200))
def test_any_text_is_a_config_or_a_config_error(text):
    try:
        RunConfig.from_yaml(text)
    except ConfigError as error:
        assert error.message


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path):
    missing, binary, broken = tmp_path / "missing.yaml", tmp_path / "binary.yaml", tmp_path / "broken.yaml"
    binary.write_bytes(b"\xff\xfe\x00model")
    broken.write_text("optim:\n  epochs: 0\n")
    for path, words in ((missing, "does not exist"), (tmp_path, "is a folder"), (binary, "not a text file"),
                        (broken, "optim.epochs")):  # fmt: skip
        with pytest.raises(HoneError) as caught:
            RunConfig.load(path)
        assert str(path) in caught.value.message and words in caught.value.message


def test_a_file_reads_back(tmp_path: Path):
    config = RunConfig().with_value("optim.epochs", 7)
    (tmp_path / "config.yaml").write_text(config.to_yaml(), encoding="utf-8")
    assert RunConfig.load(tmp_path / "config.yaml") == config


def test_warnings_name_an_existing_field_and_never_stop_a_run():
    odd = RunConfig().with_values({"method.alpha": 4096, "evaluation.patience": 3, "data.holdout": 0})
    warned = unwise(odd)
    assert {warning.path for warning in warned} == {"method.alpha", "evaluation.patience"}
    full = RunConfig().with_values({"method.kind": "full", "optim.learning_rate": 1e-3})
    assert [warning.path for warning in unwise(full)] == ["optim.learning_rate"]
    for warning in (*warned, *unwise(full)):
        assert warning.message.endswith(".")
    assert unwise(RunConfig()) == []
