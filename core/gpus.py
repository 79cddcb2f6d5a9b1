"""The GPU table: cards by name with what a plan needs of them, so that one can plan for a card one does not own.

Memory is what the driver reports of a card, error correction taken off; bandwidth and formats are the makers'.
"""

from __future__ import annotations

import csv
import difflib
import functools
import re
from dataclasses import dataclass
from typing import Literal

from core import places
from core.errors import HoneError
from core.hardware import Device

DRIVER_BYTES, DRIVER_SHARE = round(0.4 * 2**30), 0.006
"""What the driver keeps of a card, fixed and by its memory. What is left is at most the capacity that torch states
when it runs out on such a card; the least of many reports: 5.60 GiB of 6, 7.60 of 8, 14.56 of a T4's 15, 23.52 of
a 4090's 23.99, 79.14 of an A100's 80, 139.72 of an H200's 140.4."""
SCREEN_BYTES = {"consumer": 2**29, "laptop": 2**29, "workstation": 2**29, "datacentre": 0}
"""What a desktop takes."""
UNIFIED_SHARE = 0.75
"""Share of the memory that Apple's GPU shares which it may take."""
MAKERS = re.compile(r"\b(nvidia|geforce|tesla|gpu|graphics)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Gpu:
    """A card as it is sold."""

    name: str
    kind: Literal["cuda", "mps"]
    use: Literal["consumer", "laptop", "workstation", "datacentre", "unified"]
    memory_bytes: int
    bandwidth_gbs: int
    """Of its memory, in 10⁹ bytes a second."""
    capability: tuple[int, int] | None
    """CUDA compute capability."""
    bf16: bool
    fp8: bool
    year: int

    @property
    def device(self) -> Device:
        """The card as a place to train, with nothing else on it."""
        free = self._free_bytes()
        total = free if self.kind == "mps" else self.memory_bytes
        return Device(self.kind, 0, self.name, total, free, total - free, 0, self.bf16, self.capability)

    def _free_bytes(self) -> int:
        if self.use == "unified":
            return round(UNIFIED_SHARE * self.memory_bytes)
        driver = DRIVER_BYTES + round(DRIVER_SHARE * self.memory_bytes)
        return self.memory_bytes - driver - SCREEN_BYTES[self.use]


@functools.cache
def gpus() -> tuple[Gpu, ...]:
    """Every card of the table, in its order: by use, then the newest and largest first."""
    with (places.RESOURCES / "gpus.csv").open(encoding="utf-8", newline="") as file:
        return tuple(_gpu(row) for row in csv.DictReader(file))


def find_gpu(name: str) -> Gpu:
    """The card of that name; makers' names, case and blanks do not matter. Raises HoneError, naming near ones."""
    wanted = _plain(name)
    found = {_plain(gpu.name): gpu for gpu in gpus()}
    if wanted in found:
        return found[wanted]
    begin = [gpu for plain, gpu in found.items() if wanted and plain.startswith(wanted)]
    if len(begin) == 1:
        return begin[0]
    close = difflib.get_close_matches(wanted, found, 3, 0.5)
    near = [gpu.name for gpu in begin[:4]] or [found[plain].name for plain in close]
    hint = f"did you mean {', '.join(near)}?" if near else "give its memory instead, as --budget 24GiB."
    raise HoneError(f"{name[:60]} is no card that Hone knows; {hint}")


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", MAKERS.sub("", name)).lower()


def _gpu(row: dict[str, str]) -> Gpu:
    major, _, minor = row["capability"].partition(".")
    return Gpu(
        name=row["name"],
        kind="mps" if row["kind"] == "mps" else "cuda",
        use=row["use"],  # type: ignore[arg-type]
        memory_bytes=round(float(row["memory_gib"]) * 2**30),
        bandwidth_gbs=int(row["bandwidth_gbs"]),
        capability=(int(major), int(minor)) if major else None,
        bf16=row["bf16"] == "yes",
        fp8=row["fp8"] == "yes",
        year=int(row["year"]),
    )
