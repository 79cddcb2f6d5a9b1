"""`hone rehearse`: the exact memory of a run, by its real code on tensors without content."""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

from core.cli.configs import read_config
from core.cli.output import ProgressLine, say, say_json, table
from core.config import RunConfig
from core.errors import HoneError
from core.figures import size, whole
from core.launch import worker_command, worker_environment
from core.memory.rehearsal import Living, Rehearsal

MOST_SHOWN = 12
PHASE_WORDS = {
    "load": "loading", "forward": "forward pass of the layers", "head": "head and loss",
    "backward": "backward pass", "step": "optimizer step", "evaluation": "evaluation",
}  # fmt: skip


def rehearse(options: argparse.Namespace) -> int:
    """Start the worker's job and say what it found. Ctrl+C ends it."""
    found = run_rehearsal(read_config(options), device=options.device or "")
    if options.json:
        say_json(found.model_dump(mode="json"))
    else:
        for line in in_words(found):
            say(line)
    return 0


def run_rehearsal(config: RunConfig, device: str = "") -> Rehearsal:
    """Rehearse a run in a process of its own, its progress on stderr. Raises HoneError."""
    progress, last = ProgressLine(), ""
    with tempfile.TemporaryDirectory(prefix="hone-rehearsal-") as folder:
        file, answer = Path(folder, "config.yaml"), Path(folder, "rehearsal.json")
        file.write_text(config.to_yaml(), encoding="utf-8")
        option = ["--device", device] if device else []
        with (
            answer.open("wb") as out,
            subprocess.Popen(
                worker_command("rehearse", str(file), *option), stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.PIPE, env=worker_environment(), text=True, encoding="utf-8", errors="replace",
            ) as process,
        ):  # fmt: skip
            assert process.stderr is not None
            try:
                for line in process.stderr:
                    last = line.strip() or last
                    progress.show(last)
                code = process.wait()
            except BaseException:
                process.kill()
                raise
            finally:
                progress.clear()
        if code != 0:
            raise HoneError(last or "The rehearsal ended without a word; `hone doctor` may say why.")
        try:
            return Rehearsal.model_validate_json(answer.read_bytes())
        except ValueError:
            raise HoneError("The rehearsal's answer cannot be read; update Hone as a whole.") from None


def in_words(found: Rehearsal) -> list[str]:
    """The rehearsal for people, as lines."""
    batch = f"{found.rows} {'row' if found.rows == 1 else 'rows'} of {whole(found.length)} tokens"
    lines = [
        f"{size(found.peak_bytes)} of tensors at the peak, which is the {PHASE_WORDS[found.peak_phase]}",
        f"{batch}, {found.num_layers} layers, {whole(found.num_trainable)} trained parameters on {found.device}; "
        f"rehearsed in {found.seconds:.1f} s",
        "",
        table([(PHASE_WORDS[name], size(num)) for name, num in found.phases.items() if num], ("PHASE", "MOST")),
        "",
        table([(part.replace("_", " "), size(num)) for part, num in found.parts.items() if num],
              ("ALIVE AT THE PEAK", "SIZE")),
        "",
        table([_living(one) for one in found.living[:MOST_SHOWN]], ("TENSORS", "SHAPE", "NUMBER", "TOGETHER")),
    ]  # fmt: skip
    if found.reserved_bytes:
        held, fixed = size(found.reserved_bytes), size(found.fixed_reserved_bytes)
        lines += ["", f"torch holds up to {held} of the GPU for them; {fixed} on Windows, where it cannot grow."]
    if found.paged_bytes:
        paged = size(found.paged_bytes)
        lines += [
            "",
            f"{paged} of them are optimizer states beside what torch holds; a full GPU moves them to RAM.",
        ]
    return [*lines, "", "The framework's own memory, a few hundred MiB, comes on top."]


def _living(one: Living) -> tuple[str, str, str, str]:
    name = one.part.replace("_", " ") + ("" if one.operation == one.part else f" ({one.operation})")
    return name, f"{' × '.join(map(str, one.shape)) or 'one'} {one.dtype}", str(one.count), size(one.num_bytes)
