"""What this machine has: GPUs, memory, disk and cores. Reads NVML and the system; never loads torch."""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil

from core.errors import HoneError

Kind = Literal["cpu", "cuda", "mps"]
# The files of a control group: its limit, what it uses, and the line of memory.stat with its inactive file cache.
VERSION_2 = ("memory.max", "memory.current", "inactive_file")
VERSION_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
UNLIMITED = 1 << 60  # cgroup v1 writes a huge number for "no limit"


@dataclass(frozen=True)
class Device:
    """A place to train, with its memory in bytes as it is now.

    total = free + used by us + used by others. On the CPU, memory that the system would give up at once
    (file caches) counts as free; inside a container its limit is the total.
    """

    kind: Kind
    index: int
    name: str
    total_bytes: int
    free_bytes: int
    others_bytes: int = 0
    used_by_us_bytes: int = 0
    bf16: bool = False
    """Whether the device computes in bf16 natively."""
    capability: tuple[int, int] | None = None
    """CUDA compute capability, such as (8, 9)."""

    @property
    def id(self) -> str:
        """The name torch gives it: "cpu", "mps", "cuda:0"."""
        return f"cuda:{self.index}" if self.kind == "cuda" else self.kind


def devices(ours: Iterable[int] = ()) -> list[Device]:
    """Every device here, GPUs first and the CPU last. `ours` are process ids whose memory counts as used by us,
    beside this process, with that of the processes they started. Cheap enough to be asked once a second."""
    pids = frozenset((os.getpid(), *_and_children(ours)))
    return [*_nvidia_devices(pids), *_apple_devices(pids), _cpu(pids)]


def _and_children(pids: Iterable[int]) -> Iterator[int]:
    """A run that trains on several GPUs has a process for each, started by its first."""
    for pid in pids:
        yield pid
        with contextlib.suppress(psutil.Error):
            yield from (child.pid for child in psutil.Process(pid).children())


def choose_device(wanted: str = "auto", found: list[Device] | None = None) -> Device:
    """The device a run will use: for auto the GPU with most free memory, else the CPU.

    Raises HoneError (path "runtime.device") when the wanted kind is not here.
    """
    found = devices() if found is None else found
    if wanted == "auto":
        wanted = next(kind for kind in ("cuda", "mps", "cpu") if any(d.kind == kind for d in found))
    of_kind = [device for device in found if device.kind == wanted]
    if not of_kind:
        raise HoneError(_why_missing(wanted), path="runtime.device")
    return max(of_kind, key=lambda device: (device.free_bytes, -device.index))


@functools.cache
def can_page() -> bool:
    """Whether the driver moves unified memory out to RAM while a GPU is full. On Windows, and so under its Linux,
    unified memory never exceeds the GPU's (CUDA C++ Programming Guide, "Unified Memory on Windows or Devices with
    compute capability 5.x")."""
    return sys.platform == "linux" and "microsoft" not in platform.release().lower()


def can_grow() -> bool:
    """Whether segments of torch's allocator grow, for which it maps memory itself: not on Windows, nor under its
    Linux."""
    return can_page()


def cpu_cores() -> int:
    """The cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


def disk_free(path: Path) -> int:
    """Free bytes on the disk that holds the path, or would hold it once made."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return shutil.disk_usage(path).free


def torch_has_cuda() -> bool:
    """Whether the installed torch was built for NVIDIA GPUs, told from its version without loading it."""
    return sys.platform != "darwin" and not _torch_version().endswith("+cpu")


@functools.cache
def _torch_version() -> str:
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return "+cpu"


def _why_missing(wanted: str) -> str:
    if wanted == "mps":
        return "There is no Apple GPU here; set runtime.device to auto or cpu."
    if wanted != "cuda":
        return f"{wanted} is no kind of device; set runtime.device to auto, cpu, cuda or mps."
    if not torch_has_cuda() and sys.platform != "darwin" and _nvml() is not None:
        return ("There is an NVIDIA GPU, but the installed torch is its CPU-only build; install the CUDA build, "
                "or set runtime.device to cpu.")  # fmt: skip
    return "No NVIDIA GPU was found; set runtime.device to auto or cpu, or check the driver with nvidia-smi."


# NVIDIA


@functools.cache
def _nvml() -> Any:
    """The NVML module, started once; None where there is no NVIDIA driver."""
    if sys.platform == "darwin":
        return None
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # a missing library, a driver that is being updated, a sandbox: all mean "no GPU"
        return None
    return pynvml


def _nvidia_devices(ours: frozenset[int]) -> list[Device]:
    if not torch_has_cuda() or (nvml := _nvml()) is None:
        return []
    found = []
    for index, handle in enumerate(_visible_handles(nvml)):
        try:
            memory = nvml.nvmlDeviceGetMemoryInfo(handle)
            name, capability = _describe(nvml, handle)
        except nvml.NVMLError:
            continue  # a GPU that fell off the bus is no place to train
        used_by_us = min(_used_by(nvml, handle, ours), memory.used)
        found.append(
            Device(
                kind="cuda",
                index=index,
                name=name,
                total_bytes=memory.total,
                free_bytes=memory.free,
                others_bytes=memory.total - memory.free - used_by_us,
                used_by_us_bytes=used_by_us,
                bf16=capability is not None and capability >= (8, 0),
                capability=capability,
            )
        )
    return found


def _visible_handles(nvml: Any) -> list[Any]:
    """Handles in the order torch numbers them: CUDA_VISIBLE_DEVICES picks by index or UUID and ends at the
    first entry that does not exist."""
    try:
        handles = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
    except nvml.NVMLError:
        return []
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return handles
    visible = []
    for entry in filter(None, (part.strip() for part in chosen.split(","))):
        if re.fullmatch(r"\d+", entry):
            if int(entry) >= len(handles):
                break
            visible.append(handles[int(entry)])
            continue
        match = [h for h in handles if _text(nvml.nvmlDeviceGetUUID(h)).startswith(entry)]
        if len(match) != 1:
            break
        visible += match
    return visible


def _describe(nvml: Any, handle: Any) -> tuple[str, tuple[int, int] | None]:
    name = _text(nvml.nvmlDeviceGetName(handle))
    try:
        return name, tuple(nvml.nvmlDeviceGetCudaComputeCapability(handle))
    except nvml.NVMLError:
        return name, None


def _used_by(nvml: Any, handle: Any, pids: frozenset[int]) -> int:
    """Bytes that these processes hold; 0 where the driver does not say (Windows, containers)."""
    try:
        processes = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
    except nvml.NVMLError:
        return 0
    return sum(process.usedGpuMemory or 0 for process in processes if process.pid in pids)


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


# Apple


def _apple_devices(ours: frozenset[int]) -> list[Device]:
    """The GPU of an Apple chip: it shares the machine's memory and may take about three quarters of it."""
    if sys.platform != "darwin" or platform.machine() != "arm64":
        return []
    memory = psutil.virtual_memory()
    limit = memory.total * 3 // 4
    used_by_us = min(_resident(ours), limit)
    free = max(0, min(limit - used_by_us, memory.available))
    bf16 = int(platform.mac_ver()[0].partition(".")[0] or 0) >= 14
    return [Device("mps", 0, _cpu_name(), limit, free, limit - free - used_by_us, used_by_us, bf16)]


# CPU and memory


def _cpu(ours: frozenset[int]) -> Device:
    memory = psutil.virtual_memory()
    total, free = memory.total, memory.available
    if (limit := _container_limit()) is not None and limit[0] < total:
        total, free = limit[0], min(free, limit[0] - limit[1])
    free = max(0, free)
    used_by_us = min(_resident(ours), total - free)
    return Device("cpu", 0, _cpu_name(), total, free, total - free - used_by_us, used_by_us, _cpu_has_bf16())


def _resident(pids: Iterable[int]) -> int:
    total = 0
    for pid in pids:
        try:
            total += psutil.Process(pid).memory_info().rss
        except psutil.Error:
            continue  # it has ended, or is not ours to look at
    return total


def _container_limit(
    root: Path = Path("/sys/fs/cgroup"), groups: Path = Path("/proc/self/cgroup")
) -> tuple[int, int] | None:
    """(limit, used) bytes of the tightest control group above this process; None without one.

    Inactive file cache is not counted as used, because the kernel gives it up first.
    """
    if sys.platform != "linux":
        return None
    tightest = None
    for folder, limit_file, used_file, cache_key in _group_folders(root, groups):
        try:
            limit = int((folder / limit_file).read_text())
            used = int((folder / used_file).read_text())
            cache = re.search(rf"^{cache_key} (\d+)$", (folder / "memory.stat").read_text(), re.MULTILINE)
        except (OSError, ValueError):  # absent, unreadable, or "max"
            continue
        used -= int(cache[1]) if cache else 0
        if limit < UNLIMITED and (tightest is None or limit - used < tightest[0] - tightest[1]):
            tightest = (limit, max(0, used))
    return tightest


def _group_folders(root: Path, groups: Path) -> list[tuple[Path, str, str, str]]:
    """The folders of this process's memory groups and of all groups above them, version 2 and version 1."""
    try:
        lines = groups.read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base, files = root, VERSION_2
        elif "memory" in controllers.split(","):
            base, files = (
                root / "memory",
                ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
            )
        else:
            continue
        folder = base / path.strip("/")
        found += [(place, *files) for place in (folder, *folder.parents) if place.is_relative_to(base)]
    return found


@functools.cache
def _cpu_flags() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""
    return text.partition("\n\n")[0]


@functools.cache
def _cpu_has_bf16() -> bool:
    return any(flag in _cpu_flags() for flag in ("amx_bf16", "avx512_bf16"))


@functools.cache
def _cpu_name() -> str:
    if match := re.search(r"^model name\s*:\s*(.+)$", _cpu_flags(), re.MULTILINE):
        return re.sub(r"\s+", " ", match[1])
    if sys.platform == "darwin":
        told = subprocess.run(["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True)
        return told.stdout.strip() or "Apple"
    return platform.processor() or platform.machine() or "CPU"
