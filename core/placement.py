"""Where a run takes place, and what cannot work there."""

from __future__ import annotations

from core.config import RunConfig
from core.errors import HoneError
from core.hardware import Device, can_page, choose_device, devices
from core.sections import PAGED


def place(config: RunConfig, found: list[Device] | None = None) -> Device:
    """The device a run will use. `found` are this machine's devices. Raises HoneError when it is not here, or the
    optimizer does not work there."""
    found = devices() if found is None else found
    first = choose_device(config.runtime.device, found)
    if config.optim.optimizer in PAGED and not (first.kind == "cuda" and can_page()):
        raise HoneError(
            f"{config.optim.optimizer} needs an NVIDIA GPU under Linux, whose driver can move memory out; choose "
            f"{config.optim.optimizer.removeprefix('paged_')}.",
            path="optim.optimizer",
        )
    return first
