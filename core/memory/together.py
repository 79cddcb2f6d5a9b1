"""What each of several processes needs because it is not alone."""

from __future__ import annotations

from core.hardware import Device

CONNECTIONS, CHANNELS = 2, 32
CHANNEL_BYTES = 10 << 20
"""NCCL allocates 10 MiB for each connection and channel, of which H100s had 32 (NVIDIA/nccl issue 1685); a ring
has two connections whatever the number of GPUs (issue 986). Without NVLink there are fewer channels, so this is an
upper bound. Not measured by us."""


def together_bytes(device: Device, processes: int) -> int:
    """NCCL's own buffers on each GPU; none for a process alone. Gradients are added up where they lie."""
    return CONNECTIONS * CHANNELS * CHANNEL_BYTES if device.kind == "cuda" and processes > 1 else 0


def share_of(free_bytes: int, device: Device, processes: int) -> int:
    """What one process may take of what is free: a GPU has one to itself, and a CPU's memory is everyone's."""
    return free_bytes // processes if device.kind == "cpu" else free_bytes
