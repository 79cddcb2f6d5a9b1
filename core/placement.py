"""Where a run takes place: the device of each of its processes, and what cannot work there."""

from __future__ import annotations

from collections.abc import Sequence

from core.config import RunConfig
from core.errors import HoneError
from core.hardware import Device, can_page, choose_device, devices
from core.sections import PAGED


def place(config: RunConfig, found: list[Device] | None = None) -> list[Device]:
    """The device of each process, by rank: the chosen one for one process; the first GPUs for several, or, to try
    it out, the CPU for all of them. `found` are this machine's devices.

    Raises HoneError when there are fewer GPUs than processes, or the optimizer does not work there.
    """
    found = devices() if found is None else found
    first = choose_device(config.runtime.device, found)
    if config.optim.optimizer in PAGED and not (first.kind == "cuda" and can_page()):
        raise HoneError(
            f"{config.optim.optimizer} needs an NVIDIA GPU under Linux, whose driver can move memory out; choose "
            f"{config.optim.optimizer.removeprefix('paged_')}.",
            path="optim.optimizer",
        )
    wanted = config.runtime.processes
    if wanted == 1:
        return [first]
    if first.kind == "cpu":
        return [first] * wanted
    of_kind = sorted((device for device in found if device.kind == first.kind), key=lambda device: device.index)
    if len(of_kind) < wanted:
        have = f"are {len(of_kind)}" if len(of_kind) > 1 else "is one"
        raise HoneError(
            f"{wanted} processes need as many GPUs, and there {have}; lower runtime.processes.",
            path="runtime.processes",
        )
    return of_kind[:wanted]


def num_gpus(found: Sequence[Device]) -> int:
    """GPUs of these devices that could train together."""
    return sum(device.kind == "cuda" for device in found)


def alike(device: Device) -> list[Device]:
    """All devices of its kind on this machine."""
    return [found for found in devices() if found.kind == device.kind]


def tightest(places: list[Device]) -> Device:
    """The device with least room, by which a run is judged."""
    return min(places, key=lambda device: device.free_bytes)
