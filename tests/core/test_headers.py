"""safetensors headers: exact on whole files, one sentence on damaged ones."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from core.errors import HoneError
from core.models.headers import parse_header, read_header, read_headers, weight_files

ONE = {"a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}


def write(path: Path, header: object, data: bytes = bytes(24), length: int | None = None) -> Path:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw) if length is None else length) + raw + data)
    return path


def test_names_shapes_and_bytes_are_exact(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"b": np.zeros((3, 5), np.float16), "a": np.zeros(7, np.int8), "none": np.zeros((0, 4))}, path,
              metadata={"format": "pt"})  # fmt: skip
    found = {tensor.name: tensor for tensor in read_header(path)}
    assert found["b"].shape == (3, 5)
    assert (found["b"].dtype, found["b"].num_bytes, found["b"].num_elements) == ("F16", 30, 15)
    assert found["a"].num_bytes == 7
    assert found["none"].num_bytes == 0
    assert read_headers(tmp_path) == read_header(path)


DAMAGED = {
    "a lie about its length": ({"header": ONE, "length": 10**12}, "announces a header"),
    "longer than the file": ({"header": ONE, "length": 5000}, "ends inside its header"),
    "no JSON": ({"header": b"\xff{{"}, "not JSON"),
    "no table": ({"header": [1]}, "not a table"),
    "nested": ({"header": b"[" * 100_000}, "not JSON"),
    "torn data": ({"header": ONE, "data": bytes(20)}, "holds 20"),
    "data too much": ({"header": ONE, "data": bytes(25)}, "holds 25"),
    "negative": ({"header": {"a": {**ONE["a"], "shape": [-2, -3]}}}, "impossible shape"),
    "a float shape": ({"header": {"a": {**ONE["a"], "shape": [2.0, 3]}}}, "impossible shape"),
    "a wrong size": ({"header": {"a": {**ONE["a"], "shape": [2, 2]}}}, "does not fit its shape"),
    "an unknown format": ({"header": {"a": {**ONE["a"], "dtype": "Q7"}}}, "unknown number format"),
    "a missing key": ({"header": {"a": {"dtype": "F32"}}}, "cannot be read"),
    "overlap": ({"header": {**ONE, "b": ONE["a"]}}, "overlap"),
    "no tensor entry": ({"header": {"a": 3}}, "cannot be read"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_one_sentence(tmp_path: Path, name: str) -> None:
    arguments, words = DAMAGED[name]
    path = write(tmp_path / "model.safetensors", **arguments)
    with pytest.raises(HoneError, match=words) as caught:
        read_header(path)
    assert caught.value.path == "model.source"
    assert "download the model again" in caught.value.message


def test_an_empty_and_an_absent_file(tmp_path: Path) -> None:
    (tmp_path / "empty.safetensors").touch()
    with pytest.raises(HoneError, match="too short"):
        read_header(tmp_path / "empty.safetensors")
    with pytest.raises(HoneError, match="cannot be read"):
        read_header(tmp_path / "absent.safetensors")


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_a_sentence(raw: bytes) -> None:
    try:
        parse_header(raw, 0, Path("x"))
    except HoneError as error:
        assert "\n" not in error.message


def test_an_index_decides_and_its_lies_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "one.safetensors", ONE)
    write(tmp_path / "two.safetensors", {"c": ONE["a"]})
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "one.safetensors"}}))
    assert weight_files(tmp_path) == [tmp_path / "one.safetensors"]
    for text, words in (
        ('{"weight_map": {"a": "one.safetensors", "b": "three.safetensors"}}', "lacks three.safetensors"),
        ('{"weight_map": {"a": "../one.safetensors"}}', "outside its folder"),
        ('{"weight_map": 5}', "damaged"),
        ("nothing", "damaged"),
    ):
        index.write_text(text)
        with pytest.raises(HoneError, match=words):
            weight_files(tmp_path)
