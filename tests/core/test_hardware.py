"""The machine's devices and memory, as this machine has them and as control groups limit them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from core import hardware
from core.errors import HoneError
from core.hardware import Device, choose_device, devices

GIB = 1 << 30
SMALL = Device("cuda", 0, "small", 8 * GIB, 7 * GIB)
LARGE = Device("cuda", 1, "large", 24 * GIB, 20 * GIB)
CPU = Device("cpu", 0, "cpu", 32 * GIB, 30 * GIB)


def test_the_cpu_is_always_there_and_its_memory_adds_up() -> None:
    cpu = devices()[-1]
    assert cpu.kind == cpu.id == "cpu"
    assert cpu.name
    assert cpu.total_bytes == cpu.free_bytes + cpu.used_by_us_bytes + cpu.others_bytes
    assert 0 < cpu.free_bytes < cpu.total_bytes <= psutil.virtual_memory().total
    assert cpu.used_by_us_bytes > 5 << 20


def test_memory_of_a_named_process_counts_as_ours() -> None:
    parent = os.getppid()
    assert devices([parent])[-1].used_by_us_bytes > devices()[-1].used_by_us_bytes
    assert devices([2**22 + 1])[-1].used_by_us_bytes > 0  # a process that is gone is no error


def test_auto_takes_the_gpu_with_most_free_memory() -> None:
    assert choose_device("auto", [SMALL, LARGE, CPU]) is LARGE
    assert choose_device("auto", [CPU]) is CPU
    assert choose_device("cpu", [SMALL, CPU]) is CPU


@pytest.mark.parametrize("wanted", ["cuda", "mps", "tpu"])
def test_a_device_that_is_not_here_is_one_sentence_beside_its_field(wanted: str) -> None:
    with pytest.raises(HoneError, match=r"set runtime\.device to auto") as caught:
        choose_device(wanted, [CPU])
    assert caught.value.path == "runtime.device"


def test_cores_and_disk() -> None:
    assert 1 <= hardware.cpu_cores() <= (os.cpu_count() or 1)
    assert hardware.disk_free(Path.cwd() / "not" / "there" / "yet") > 0


def write_group(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def test_the_tightest_control_group_counts_and_file_cache_is_free(tmp_path: Path) -> None:
    groups = tmp_path / "groups"
    groups.write_text("0::/user/job\n")
    root = tmp_path / "fs"
    write_group(root, memory__max="max", memory__current="1", memory__stat="inactive_file 0\n")
    write_group(root / "user", memory__max="8000", memory__current="7000", memory__stat="inactive_file 500\n")
    write_group(root / "user" / "job", memory__max="9000", memory__current="1000", memory__stat="anon 3\n")
    assert hardware._container_limit(root, groups) == (8000, 6500)


def test_version_one_control_groups_and_no_limit_at_all(tmp_path: Path) -> None:
    groups = tmp_path / "groups"
    groups.write_text("9:cpu:/\n4:memory:/job\n0::/\n")
    root = tmp_path / "fs"
    limit = {"memory__limit_in_bytes": "5000", "memory__usage_in_bytes": "1500"}
    write_group(root / "memory" / "job", **limit, memory__stat="total_inactive_file 100\n")
    assert hardware._container_limit(root, groups) == (5000, 1400)
    write_group(root / "memory" / "job", memory__limit_in_bytes=str(2**63 - 4096))
    assert hardware._container_limit(root, groups) is None
    assert hardware._container_limit(root, tmp_path / "absent") is None


def test_memory_of_the_processes_that_a_run_started_counts_as_ours() -> None:
    child = "import time; held = b'1' * (64 << 20); print(len(held), flush=True); time.sleep(60)"
    leader = (
        "import subprocess, sys; "
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}]); sys.stdin.read(); child.kill()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", leader], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        assert process.stdout.readline()
        assert devices([process.pid])[-1].used_by_us_bytes > devices()[-1].used_by_us_bytes + (64 << 20)
        process.stdin.close()
