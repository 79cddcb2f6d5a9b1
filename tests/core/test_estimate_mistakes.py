"""Bad input never becomes a number shown with confidence: it is a sentence, or the estimate says it is unsure."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from core.cli import main
from core.config import RunConfig
from core.errors import HoneError
from core.hardware import Device
from core.memory.estimate import PART_NAMES, estimate
from core.memory.stock import stock_estimate
from core.models.catalogue import catalogue
from core.models.dimensions import NEVER_NULL, SWITCHES
from core.models.facts import facts_from_config, read_facts
from core.models.families import FAMILIES

GIB = 2**30
GPU = Device("cuda", 0, "a card", 24 * GIB, 23 * GIB, bf16=True, capability=(8, 9))
CPU = Device("cpu", 0, "a processor", 64 * GIB, 60 * GIB)
LLAMA = next(model.config for model in catalogue() if model.name == "meta-llama/Llama-3.2-1B")


def write_model(folder: Path, config: dict, num_parameters: int) -> Path:
    """A folder with a config and one tensor of so many parameters, as a hole in the file."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    entry = {"dtype": "BF16", "shape": [num_parameters], "data_offsets": [0, 2 * num_parameters]}
    header = json.dumps({"model.weight": entry}).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + 2 * num_parameters)
    return folder


def test_files_that_belong_to_another_model_are_noticed(tmp_path: Path) -> None:
    right = facts_from_config(LLAMA).num_parameters
    for held, is_sure in ((right, True), (right + LLAMA["vocab_size"] * LLAMA["hidden_size"], True),
                          (right // 2, False), (right * 3, False)):  # fmt: skip
        facts = read_facts(write_model(tmp_path / "model", LLAMA, held))
        found = estimate(RunConfig(), facts, GPU)
        assert (not any("of another model" in note for note in found.notes)) == is_sure, held
        assert is_sure or found.verdict != "fits"


def test_weights_that_are_stored_quantised_are_no_sure_thing(tmp_path: Path) -> None:
    config = LLAMA | {"quantization_config": {"load_in_4bit": True}}
    found = estimate(RunConfig(), read_facts(write_model(tmp_path / "model", config, 1000)), GPU)
    assert any("stored quantised" in note for note in found.notes)
    assert found.verdict != "fits"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"hidden_size": None}, "does not give hidden_size"),
        ({"num_hidden_layers": -16}, "num_hidden_layers as -16"),
        ({"vocab_size": 10**11}, "vocab_size as 100000000000"),
        ({"intermediate_size": "many"}, "intermediate_size as many"),
        ({"quantization_config": {"quant_method": "magic"}}, "stored quantised with magic"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("verb", ["estimate", "fit"])
def test_the_command_line_says_it_in_one_sentence(
    verb: str, change: dict, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_model(tmp_path / "model", LLAMA | change, 1000)
    assert main([verb, "--set", f"model.source={folder}", "--json"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert told in said.err
    assert said.err.count("\n") == 1


def test_a_header_that_lies_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_model(tmp_path / "model", LLAMA, 1000)
    for length in (2**63, 2**40, 5000, 3):
        with (folder / "model.safetensors").open("r+b") as file:
            file.write(struct.pack("<Q", length))
        assert main(["estimate", "--set", f"model.source={folder}"]) == 1
        assert capsys.readouterr().err.count("\n") == 1


DEFAULTED = {family: known.defaults for family, known in FAMILIES.items() if known.defaults}
ABSURD = (0, -1, 2.5, float("inf"), float("nan"), True, "12", "many", [], [7, 8], {}, 10**12, 1e30)
DIMENSIONS = ("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim",
              "intermediate_size", "vocab_size")  # fmt: skip


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_no_family_takes_an_absurd_dimension_or_a_word_for_a_switch(family: str) -> None:
    """Whatever it makes of the rest, none of these becomes a number."""
    changes: list[dict] = [{key: value} for key in DIMENSIONS for value in ABSURD]
    changes += [{key: value} for key in SWITCHES for value in ("false", "no", 0, 7, [])]
    changes += [{key: None} for key in ("hidden_size", "num_hidden_layers")]
    changes += [{"quantization_config": value} for value in ("x", {}, [], {"quant_method": ["a"]}, {"bits": 4})]
    if FAMILIES[family].experts:
        may_have_none = FAMILIES[family].experts == "granite"
        changes += [{"num_experts": value} for value in ABSURD[may_have_none:]]
    changes += [{key: None} for key in NEVER_NULL if key in DEFAULTED.get(family, {})]
    for change in changes:
        if family == "falcon" and "num_key_value_heads" in change:
            continue  # its older kind has no such number
        with pytest.raises(HoneError) as caught:
            facts_from_config({**LLAMA, "model_type": family, **change}, "m")
        assert "\n" not in caught.value.message and len(caught.value.message) < 200, change


KEYS = ("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim", "vocab_size",
        "intermediate_size", "sliding_window", "num_experts", "num_experts_per_tok",
        "moe_intermediate_size")  # fmt: skip
numbers = some.one_of(
    some.integers(-2, 300), some.sampled_from([2**k for k in range(8, 34)]), some.floats(), some.none(),
    some.booleans(), some.text(max_size=3), some.lists(some.integers(0, 9), max_size=2),
)  # fmt: skip
settings_ = some.fixed_dictionaries({}, optional={
    "model.quantization": some.sampled_from(["none", "nf4", "fp4", "int8"]),
    "model.double_quantization": some.booleans(),
    "model.attention": some.sampled_from(["auto", "sdpa", "eager"]),
    "data.max_length": some.sampled_from([8, 512, 1_048_576]),
    "method.rank": some.sampled_from([1, 16, 256]),
    "method.dropout": some.sampled_from([0.0, 0.1]),
    "optim.batch_size": some.sampled_from([1, 3, 4096]),
    "optim.optimizer": some.sampled_from(["adamw", "adamw_8bit", "sgd"]),
    "memory.activation_checkpointing": some.booleans(),
    "memory.loss": some.sampled_from(["chunked", "full"]),
    "memory.adapter_dtype": some.sampled_from(["fp32", "bf16"]),
    "memory.upcast": some.booleans(),
})  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(some.sampled_from(sorted(FAMILIES)), some.dictionaries(some.sampled_from(KEYS), numbers), settings_,
       some.sampled_from([GPU, CPU]))  # fmt: skip
def test_whatever_is_accepted_has_an_estimate_that_adds_up(
    family: str, change: dict, values: dict, device: Device
) -> None:
    try:
        facts = facts_from_config({**LLAMA, "model_type": family, **change}, "m")
    except HoneError as error:
        assert "\n" not in error.message
        return
    config = RunConfig().with_values(values)
    for found in (estimate(config, facts, device), stock_estimate(config, facts, device)):
        assert tuple(found.parts) == PART_NAMES
        assert all(type(num) is int and num >= 0 for num in found.parts.values())
        assert sum(found.parts.values()) == found.peak_bytes > 0
        assert found.verdict in ("fits", "tight", "does not fit")
        assert found.verdict != "fits" or (
            found.peak_bytes + found.margin_bytes <= device.free_bytes and found.is_sure
        )
        for one in found.suggestions:
            assert one.saved_bytes == found.peak_bytes - one.peak_bytes
