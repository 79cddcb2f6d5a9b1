"""Measures the memory of real training steps on a GPU, beside what was predicted and rehearsed for them.

`python tests/gpu/measure_memory.py NAME [--minutes 9]` on a machine with a CUDA GPU; no network, no files. Models
have real shapes and random weights, made in place on the GPU. Predictions are written before anything runs; each
run takes three steps and an evaluation in a process of its own, and is written to
tests/recorded/gpu-memory-NAME.json as soon as it is done, so that an interruption loses nothing. Rehearsals are
made on spare processor cores meanwhile. `--dry-run` writes the predictions and ends; `--device cpu --tiny` takes
three tiny runs on the processor instead. README's table of what came of it is written by
tests/gpu/accuracy_table.py.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from core.config import RunConfig  # noqa: E402
from core.hardware import Device, can_grow  # noqa: E402
from core.memory.context import cublas_bytes  # noqa: E402
from core.memory.estimate import estimate  # noqa: E402
from core.models.facts import facts_from_config  # noqa: E402

MIB = 1 << 20
STEPS = 3


def llama(hidden: int, layers: int, heads: int, kv_heads: int, mlp: int, vocab: int, tied: bool) -> dict[str, Any]:
    return {"model_type": "llama", "hidden_size": hidden, "num_hidden_layers": layers,
            "num_attention_heads": heads, "num_key_value_heads": kv_heads, "intermediate_size": mlp,
            "vocab_size": vocab, "tie_word_embeddings": tied, "max_position_embeddings": 131_072}  # fmt: skip


MODELS: dict[str, dict[str, Any]] = {
    "1B": llama(2048, 16, 32, 8, 8192, 128_256, tied=True),
    "3B": llama(3072, 28, 24, 8, 8192, 128_256, tied=True),
    "8B": llama(4096, 32, 32, 8, 14_336, 128_256, tied=False),
    "experts": {  # Qwen3-30B-A3B with a third of its layers
        "model_type": "qwen3_moe", "hidden_size": 2048, "num_hidden_layers": 16, "num_attention_heads": 32,
        "num_key_value_heads": 4, "head_dim": 128, "intermediate_size": 6144, "moe_intermediate_size": 768,
        "num_experts": 128, "num_experts_per_tok": 8, "vocab_size": 151_936, "tie_word_embeddings": False,
        "max_position_embeddings": 40_960,
    },
    "tiny": llama(256, 3, 4, 2, 512, 2000, tied=True),
}  # fmt: skip


def run(model: str, rows: int, length: int, **values: Any) -> dict[str, Any]:
    """A run: the shape of its model, and what of its config is not the default."""
    paths = {"quantization": "model", "attention": "model", "double_quantization": "model", "rank": "method",
             "targets": "method", "kind": "method", "dropout": "method", "optimizer": "optim", "loss": "memory",
             "activation_checkpointing": "memory", "adapter_dtype": "memory", "upcast": "memory",
             "accumulation": "optim"}  # fmt: skip
    config = {f"{paths[name]}.{name}": value for name, value in values.items()}
    return {"model": model, "config": {"optim.batch_size": rows, "data.max_length": length, **config}}


KEPT = {"activation_checkpointing": False}
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
RUNS = [
    run("1B", 2, 1024), run("1B", 2, 1024, accumulation=1), run("1B", 8, 512), run("1B", 1, 4096),
    run("1B", 2, 1024, **KEPT), run("1B", 2, 1024, loss="full"), run("1B", 2, 1024, attention="eager"),
    run("1B", 2, 1024, rank=128), run("1B", 2, 1024, targets=ATTENTION), run("1B", 2, 1024, dropout=0.1),
    run("1B", 2, 1024, adapter_dtype="bf16"), run("1B", 2, 1024, optimizer="adamw_8bit"),
    run("1B", 2, 1024, quantization="nf4"), run("1B", 2, 1024, quantization="nf4", **KEPT),
    run("1B", 2, 1024, quantization="nf4", upcast=True), run("1B", 8, 1024, quantization="nf4", loss="full"),
    run("1B", 2, 1024, quantization="nf4", double_quantization=False), run("1B", 2, 1024, quantization="int8"),
    run("1B", 2, 1024, quantization="int8", **KEPT), run("1B", 2, 1024, quantization="int8", accumulation=1),
    run("1B", 2, 1024, kind="full"), run("1B", 2, 1024, kind="full", optimizer="adamw_8bit"),
    run("1B", 2, 1024, kind="full", optimizer="sgd"), run("1B", 2, 512, kind="full", **KEPT),
    run("1B", 2, 1024, kind="full", loss="full"), run("3B", 2, 1024), run("3B", 4, 512, **KEPT),
    run("3B", 2, 2048, quantization="nf4"), run("3B", 2, 1024, quantization="int8"),
    run("3B", 1, 1024, loss="full"), run("3B", 1, 1024, kind="full", optimizer="adamw_8bit"),
    run("8B", 2, 1024), run("8B", 2, 1024, **KEPT),
    run("8B", 1, 512, quantization="nf4"), run("8B", 2, 2048, quantization="nf4"),
    run("8B", 1, 8192, quantization="nf4"), run("8B", 2, 1024, quantization="nf4", **KEPT),
    run("8B", 2, 1024, quantization="nf4", optimizer="adamw_8bit", rank=64),
    run("8B", 2, 1024, quantization="nf4", loss="full"), run("8B", 2, 1024, quantization="nf4", attention="eager"),
    run("8B", 2, 1024, quantization="int8"), run("experts", 2, 1024), run("experts", 2, 1024, quantization="nf4"),
    run("experts", 4, 512, quantization="nf4", **KEPT), run("experts", 2, 1024, quantization="int8"),
]  # fmt: skip
TINY_RUNS = [
    run("tiny", 2, 128), run("tiny", 2, 64, quantization="nf4", **KEPT),
    run("tiny", 2, 64, kind="full", loss="full"),
]  # fmt: skip


def config_of(one: dict[str, Any]) -> RunConfig:
    values = dict(one["config"])
    kind = values.pop("method.kind", None)
    return (RunConfig().with_value("method.kind", kind) if kind else RunConfig()).with_values(values)


def device_of(kind: str) -> Device:
    """What is here; for a dry run elsewhere, a GPU of the usual kind."""
    if kind == "cpu":
        return Device("cpu", 0, "CPU", 0, 0)
    from core.hardware import devices

    found = [device for device in devices() if device.kind == "cuda"]
    return found[0] if found else Device("cuda", 0, "no GPU", 0, 0, bf16=True, capability=(8, 0))


def predicted(one: dict[str, Any], device: Device) -> dict[str, Any]:
    found = estimate(config_of(one), facts_from_config(MODELS[one["model"]]), device, with_suggestions=False)
    return {
        "predicted_allocated_bytes": found.allocated_bytes,
        "predicted_process_bytes": found.peak_bytes,
        "predicted_at": found.moment,
    }


def rehearsed(one: dict[str, Any], device: Device) -> dict[str, Any]:
    """In a process of its own, on the processor."""
    import torch

    from core.worker.rehearse import rehearse
    from core.worker.replay import peak
    from core.worker.reserved import reserved_peak

    torch.set_num_threads(1)
    config = config_of(one)
    done = rehearse(config, MODELS[one["model"]], device)
    most = peak(done.log, 512 if device.kind == "cuda" else 1)
    found = {"rehearsed_bytes": most.num_bytes + cublas_bytes(device), "rehearsed_at": most.phase}
    if device.kind == "cuda":
        found["rehearsed_reserved_bytes"] = reserved_peak(
            done.log, compute_bytes=4 if config.method.kind == "full" else 2, is_upcast=config.memory.upcast,
            workspace_bytes=cublas_bytes(device), expandable=can_grow(),
        )  # fmt: skip
    return found


def randomise(setting: Any, seed: int = 0) -> None:
    """Random values for a run that is made of zeros, where they lie: weights as small as a model's first ones,
    norms of ones, codes and constants of quantisation that come to weights of that size, and tokens of any kind,
    so that a mixture's tokens spread over its experts as real ones do."""
    import numpy as np
    import torch

    from core.worker.hollow import tensors_of

    torch.manual_seed(seed)
    with torch.no_grad():
        for name, parameter in setting.model.named_parameters():
            if parameter.is_floating_point() and parameter.ndim > 1:
                parameter.normal_(0, 0.02)
            elif parameter.is_floating_point():
                parameter.fill_(float(name.endswith("weight")))
        for kind, tensor in tensors_of(setting.model):
            if tensor.dtype == torch.uint8:
                tensor.random_(0, 256)
            elif tensor.dtype == torch.int8:
                tensor.random_(-127, 128)
            elif kind == "constants" and tensor.numel() == 16:
                tensor.copy_(torch.linspace(-1, 1, 16))  # what the sixteen codes of 4 bits stand for
            elif kind == "constants":
                tensor.fill_(0.05)
    tokens = setting.stepper.examples.tokens
    vocab = setting.base.config.get_text_config().vocab_size
    tokens[:] = np.random.default_rng(seed).integers(0, vocab, len(tokens))


def measured(one: dict[str, Any], device: Device) -> dict[str, Any]:
    """Take the steps for real, in this process, which has done nothing else."""
    import torch

    from core.worker import load
    from core.worker.rehearse import assemble

    config, place = config_of(one), torch.device(device.id)
    compute = load.compute_dtype(config.model, device)
    setting = assemble(config, MODELS[one["model"]], compute, place, place=place)
    randomise(setting)

    def train() -> None:
        setting.update(setting.gradient())

    if device.kind == "cpu":
        train()
        return {"allocated_bytes": _profiled_on_cpu(setting, train)}
    torch.cuda.reset_peak_memory_stats()
    began = time.monotonic()
    for _ in range(STEPS):
        train()
    setting.evaluate()
    torch.cuda.synchronize()
    seconds = time.monotonic() - began
    free, total = torch.cuda.mem_get_info()
    return {
        "allocated_bytes": torch.cuda.max_memory_allocated(),
        "reserved_bytes": torch.cuda.max_memory_reserved(),
        "device_used_bytes": total - free,
        "loss": round(float(setting.gradient().loss), 4),
        "seconds": round(seconds, 2),
    }


def _profiled_on_cpu(setting: Any, train: Any) -> int:
    """Tensors that stand, and the most that a step and an evaluation add, as torch's profiler counts them."""
    from torch.profiler import ProfilerActivity, profile

    from core.worker.hollow import tensors_of

    for _, parameter in setting.parameters:
        parameter.grad = None
    states = [
        value for state in setting.made.state.values() for value in state.values() if hasattr(value, "shape")
    ]
    standing = {
        tensor.untyped_storage()._cdata: tensor.untyped_storage().nbytes()
        for tensor in [*states, *(tensor for _, tensor in tensors_of(setting.model))]
    }
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        train()
        setting.evaluate()
    now = most = 0
    for event in seen.profiler.kineto_results.events():
        if event.name() == "[memory]":
            now += event.nbytes()
            most = max(most, now)
    return sum(standing.values()) + most


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="what to call the machine in the file's name")
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--out", type=Path, default=ROOT / "tests" / "recorded")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    runs, device = TINY_RUNS if options.tiny else RUNS, device_of(options.device)
    if options.one is not None:
        sys.stdout.write(json.dumps(measured(runs[options.one], device)) + "\n")
        return 0
    began = time.monotonic()
    found = [{**one, **predicted(one, device)} for one in runs]
    file = options.out / f"gpu-memory-{options.name}.json"
    document = {"machine": machine(device), "runs": found}

    def save() -> None:
        file.with_suffix(".part").write_text(json.dumps(document, indent=1) + "\n")
        file.with_suffix(".part").replace(file)

    save()
    print(f"{len(runs)} predictions are in {file}", flush=True)
    if options.dry_run:
        return 0
    os.environ["OMP_NUM_THREADS"] = str(os.cpu_count() or 1) if device.kind == "cuda" else "1"
    with ProcessPoolExecutor(max(1, (os.cpu_count() or 1) // 2)) as pool:
        pending = {number: pool.submit(rehearsed, one, device) for number, one in enumerate(runs)}
        for number, one in enumerate(found):
            left = options.minutes * 60 - (time.monotonic() - began)
            if left < 15:
                print(f"{len(runs) - number} runs are left out: the time is over", flush=True)
                break
            one.update(_in_own_process(number, options, left))
            _collect(pending, found)
            save()
            print(_line(one), flush=True)
        while pending and time.monotonic() - began < options.minutes * 60:
            _collect(pending, found)
            time.sleep(0.2)
        for future in pending.values():
            future.cancel()
        save()
        if pending:
            pool.shutdown(wait=False, cancel_futures=True)
    print(f"everything is in {file}")
    return 0


def _in_own_process(number: int, options: argparse.Namespace, seconds: float) -> dict[str, Any]:
    command = [sys.executable, __file__, options.name, "--device", options.device, "--one", str(number)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "USE_HUB_KERNELS": "NO",
                   "PYTORCH_ALLOC_CONF": "expandable_segments:True",
                   "PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True"}  # fmt: skip
    command += ["--tiny"] if options.tiny else []
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return {"failed": "the time was over"}
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or ["it ended without a word"])[-1][:300]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def _collect(pending: dict[int, Future[dict[str, Any]]], found: list[dict[str, Any]]) -> None:
    for number in [number for number, future in pending.items() if future.done()]:
        future = pending.pop(number)
        error = future.exception()
        found[number].update({"rehearsal_failed": str(error)[:300]} if error else future.result())


def _line(one: dict[str, Any]) -> str:
    what = f"{one['model']} {one['config']}"
    if "failed" in one:
        return f"{what}: {one['failed']}"
    share = one["predicted_allocated_bytes"] / one["allocated_bytes"] - 1
    return f"{what}: {one['allocated_bytes'] / MIB:,.0f} MiB allocated, predicted {share:+.2%}"


def machine(device: Device) -> dict[str, Any]:
    """What was measured on."""
    return {
        "device": device.name,
        "device_bytes": device.total_bytes,
        "capability": device.capability,
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {
            name: importlib.metadata.version(name) for name in ("torch", "transformers", "peft", "bitsandbytes")
        },
        "measured_on": time.strftime("%Y-%m-%d"),
    }


if __name__ == "__main__":
    sys.exit(main())
