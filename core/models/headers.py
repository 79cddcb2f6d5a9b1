"""safetensors headers: the exact name, number format and shape of every tensor, without reading a weight."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import HoneError

MAX_HEADER_BYTES = 100_000_000  # the limit of the format's reference reader
MAX_TENSORS = 1_000_000
MAX_INDEX_BYTES = 100_000_000

BITS_PER_ELEMENT = {
    "F64": 64, "I64": 64, "U64": 64, "C64": 64, "F32": 32, "I32": 32, "U32": 32, "F16": 16, "BF16": 16,
    "I16": 16, "U16": 16, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "I8": 8, "U8": 8, "BOOL": 8, "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4,
}  # fmt: skip


@dataclass(frozen=True)
class Tensor:
    """One tensor of a file: its name, its safetensors number format ("BF16"), its shape and its bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    num_bytes: int

    @property
    def num_elements(self) -> int:
        return math.prod(self.shape)


def read_header(path: Path) -> list[Tensor]:
    """The tensors of one safetensors file.

    Raises HoneError (path "model.source") when the file is no whole safetensors file: a header that lies about
    its length, overlapping or missing data, shapes that do not fit their bytes, an unknown number format.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            start = file.read(8)
            if len(start) < 8:
                raise _torn(path, "is too short to be a safetensors file")
            (length,) = struct.unpack("<Q", start)
            if length > MAX_HEADER_BYTES:
                raise _torn(path, f"announces a header of {length:,} bytes, which no real file has")
            if 8 + length > size:
                raise _torn(path, "ends inside its header")
            raw = file.read(length)
    except OSError as error:
        raise HoneError(f"{path} cannot be read ({error.strerror}); check it and its permissions.",
                        path="model.source") from None  # fmt: skip
    return parse_header(raw, data_bytes=size - 8 - length, path=path)


def parse_header(raw: bytes, data_bytes: int, path: Path) -> list[Tensor]:
    """The tensors that a header names; `data_bytes` is the length of the data that follows it."""
    try:
        entries = json.loads(raw)
    except (ValueError, RecursionError):
        raise _torn(path, "has a header that is not JSON") from None
    if not isinstance(entries, dict) or len(entries) > MAX_TENSORS:
        raise _torn(path, "has a header that is not a table of tensors")
    tensors, spans = [], []
    for name, entry in entries.items():
        if name == "__metadata__":
            continue
        tensor, begin = _tensor(name, entry, path)
        tensors.append(tensor)
        spans.append((begin, begin + tensor.num_bytes))
    end = 0
    for begin, stop in sorted(spans):
        if begin != end:
            raise _torn(path, "has tensors that overlap or leave gaps")
        end = stop
    if end != data_bytes:
        raise _torn(path, f"should hold {end:,} bytes of weights and holds {data_bytes:,}")
    return tensors


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model folder that hold its weights; empty when there are none.

    An index decides; without one, model.safetensors alone, or else every safetensors file. Raises HoneError for
    an index that cannot be read or names files that are missing.
    """
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        single = folder / "model.safetensors"
        return [single] if single.is_file() else sorted(folder.glob("*.safetensors"))
    try:
        if index.stat().st_size > MAX_INDEX_BYTES:
            raise ValueError
        shards = set(json.loads(index.read_bytes())["weight_map"].values())
        names = sorted(str(name) for name in shards)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise HoneError(f"{index} is damaged; download the model again.", path="model.source") from None
    if any(Path(name).name != name for name in names):
        raise HoneError(f"{index} names files outside its folder; use another copy of the model.",
                        path="model.source")  # fmt: skip
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise HoneError(f"{folder} lacks {missing[0]} ({len(missing)} of {len(names)} weight files are missing); "
                        "download the model again.", path="model.source")  # fmt: skip
    return [folder / name for name in names]


def read_headers(folder: Path) -> list[Tensor]:
    """Every tensor of a model folder; empty when it has no safetensors weights. Raises HoneError."""
    return [tensor for path in weight_files(folder) for tensor in read_header(path)]


def _tensor(name: str, entry: Any, path: Path) -> tuple[Tensor, int]:
    try:
        dtype, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        whole = all(type(number) is int and 0 <= number < 2**63 for number in (*shape, begin, end))
    except (TypeError, KeyError, ValueError):
        raise _torn(path, f"describes {_short(name)} in a way that cannot be read") from None
    if not whole or not isinstance(dtype, str):
        raise _torn(path, f"gives {_short(name)} an impossible shape")
    if dtype not in BITS_PER_ELEMENT:
        raise _torn(path, f"stores {_short(name)} in the unknown number format {_short(dtype)}")
    tensor = Tensor(name, dtype, tuple(shape), end - begin)
    if tensor.num_elements * BITS_PER_ELEMENT[dtype] != tensor.num_bytes * 8:
        raise _torn(path, f"gives {_short(name)} a size that does not fit its shape")
    return tensor, begin


def _torn(path: Path, what: str) -> HoneError:
    return HoneError(f"{path} {what}; download the model again.", path="model.source")


def _short(name: str) -> str:
    return name if len(name) <= 60 else name[:59] + "…"
