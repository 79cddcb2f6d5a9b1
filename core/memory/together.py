"""What each of several processes needs because it is not alone, and what it need not hold."""

from __future__ import annotations

from dataclasses import dataclass

from core import figures
from core.hardware import Device
from core.memory.stack import Stack
from core.memory.weights import layer_pieces
from core.models.facts import ModelFacts

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


def each_of(device: Device, processes: int, is_split: bool) -> str:
    """Whose figures those of one process are: "each of 2 GPUs with split layers"; empty for one alone."""
    if processes == 1:
        return ""
    return (
        f"each of {processes} {'processes' if device.kind == 'cpu' else 'GPUs'}{' with split layers' * is_split}"
    )


@dataclass(frozen=True)
class Split:
    """The layers of a base that are split between processes, in bytes; constants of quantisation included."""

    layers_bytes: int
    """Of all layers together."""
    constants_bytes: int
    """What of them are constants."""
    gathered_bytes: int
    """Of the largest layer, for which each process has room beside its part."""
    processes: int

    @property
    def elsewhere_bytes(self) -> int:
        """What of the layers' own numbers one process does not hold."""
        return (self.layers_bytes - self.constants_bytes) * (self.processes - 1) // self.processes

    @property
    def constants_elsewhere_bytes(self) -> int:
        """What of their constants it does not hold."""
        return self.constants_bytes * (self.processes - 1) // self.processes

    def loading_bytes(self, held_bytes: int, *, is_mapped: bool) -> int:
        """What splitting needs beside the finished model, of which one process holds so much: the layer that is
        whole for a moment; or, when it is split straight out of mapped files, what of these has been read, while
        the room for a gathered layer is untouched."""
        return held_bytes - 2 * self.gathered_bytes if is_mapped else self.gathered_bytes

    def sentence(self, device: Device) -> str:
        """What is done, for whoever reads the estimate."""
        who = "process" if device.kind == "cpu" else "GPU"
        part = self.layers_bytes - self.elsewhere_bytes - self.constants_elsewhere_bytes
        return (
            f"Of the layers' {figures.size(self.layers_bytes)} each {who} keeps {figures.size(part)}, with room "
            f"for one gathered layer, {figures.size(self.gathered_bytes)}; embeddings and head stay whole."
        )


def split(facts: ModelFacts, stack: Stack, processes: int) -> Split:
    """How a base is split. Where layers are of several kinds, one of each that may stand together is gathered."""
    pieces = list(layer_pieces(facts, stack))
    alike: dict[int, int] = {}
    for num_bytes, constants, count in pieces:
        alike[count] = alike.get(count, 0) + num_bytes + constants
    rest = {count: facts.num_layers - count for count in alike}
    gathered = sum(
        max(num_bytes, alike.get(rest[count], 0))  # what stands in the other layers is never there with it
        for count, num_bytes in alike.items()
        if rest[count] not in alike or count >= rest[count]
    )
    return Split(
        layers_bytes=sum((num_bytes + constants) * count for num_bytes, constants, count in pieces),
        constants_bytes=sum(constants * count for _, constants, count in pieces),
        gathered_bytes=gathered,
        processes=processes,
    )
