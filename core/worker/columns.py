"""The columns of a comparison as they stand in memory: loads them and proves that their weights are in effect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event as Flag

import psutil
import torch
from torch import Tensor

from core.chat import Ask, Load
from core.columns import Column, check_together
from core.errors import HoneError
from core.events import Event, Progress, Ready, Warned
from core.hardware import choose_device, cpu_cores
from core.models.quarantine import clean_copy
from core.models.source import find_model
from core.sections import ModelSection
from core.worker.answer import Voice, answer
from core.worker.engine import Engine
from core.worker.load import compute_dtype, load_model
from core.worker.stacked import BASE
from core.worker.template import ChatTemplate, ensure_template
from core.worker.tokenizer import load_tokenizer

PROBE = "Tell me a short story about a fox who lost her hat."
TEMPLATE_FILE = "chat_template.jinja"
MAX_TEMPLATE_BYTES = 1 << 20


class Columns:
    """Everything the chat worker holds. One base is loaded once, whatever the number of adapters on it."""

    def __init__(self, say: Callable[[Event], None]) -> None:
        self._say = say
        self._engines: dict[ModelSection, Engine] = {}
        self._voices: list[Voice] = []
        self._proved: dict[tuple[Engine, str], float] = {}
        self._wanted_device = ""

    def load(self, command: Load) -> Ready:
        """Bring exactly these columns into memory. After an error nothing is loaded. Raises HoneError."""
        columns = list(command.columns)
        check_together(columns)
        torch.set_num_threads(command.threads or cpu_cores())
        if command.device != self._wanted_device:
            self._engines, self._wanted_device = {}, command.device
        self._voices = []
        try:
            self._voices = self._place(columns)
            differences = self._differences(columns[0].model)
        except BaseException:
            self._engines, self._voices, self._proved = {}, [], {}
            raise
        self._warn_of_precision(columns)
        return Ready(
            columns=[column.name for column in columns],
            logit_differences=differences,
            memory_bytes=_memory_bytes(),
        )

    def answer(self, ask: Ask, stopped: Flag) -> Iterator[Event]:
        """Tokens as they come, and one Replied for each column asked. Raises HoneError."""
        return answer(self._voices, ask, stopped)

    def _place(self, columns: list[Column]) -> list[Voice]:
        """Adapters on one base; the whole model of a full fine-tune is a base of its own."""
        base = columns[0].model
        models = [_whole(column) if column.kind == "model" else base for column in columns]
        self._engines = {model: engine for model, engine in self._engines.items() if model in (base, *models)}
        adapters = [column.folder for column in columns if column.kind == "adapter"]
        if adapters:
            self._say(Progress(label=f"Loading {len(adapters)} adapter{'s' * (len(adapters) > 1)}", done=0))
        names = dict(zip(adapters, self._engine(base).set_adapters(adapters), strict=True))
        return [
            Voice(
                column.name,
                self._engine(model, base),
                names.get(column.folder, BASE),
                self._template(model, column),
            )
            for column, model in zip(columns, models, strict=True)
        ]

    def _engine(self, model: ModelSection, base: ModelSection | None = None) -> Engine:
        """A model in memory; one that was saved without its tokenizer, as in a checkpoint, takes its base's."""
        if model not in self._engines:
            found, device = find_model(model.source, model.revision), choose_device(self._wanted_device)
            self._say(Progress(label=f"Loading {found.name}", done=0))
            folder = clean_copy(found.path)
            is_bare = base is not None and not (folder / "tokenizer.json").is_file()
            tokenizer = self._engine(base).tokenizer if base and is_bare else load_tokenizer(folder)
            ensure_template(tokenizer)
            loaded = load_model(model, folder, device, compute=compute_dtype(model, device))
            self._engines[model] = Engine(loaded, tokenizer)
        return self._engines[model]

    def _template(self, model: ModelSection, column: Column) -> ChatTemplate:
        """The template saved beside an adapter, else the one of its base."""
        tokenizer = self._engine(model).tokenizer
        saved = Path(column.folder) / TEMPLATE_FILE
        if column.kind != "adapter" or not saved.is_file():
            return ChatTemplate(tokenizer)
        if saved.stat().st_size > MAX_TEMPLATE_BYTES:
            raise HoneError(f"{saved} is too long to be a chat template; remove it to use the base's.")
        held = tokenizer.chat_template
        try:
            tokenizer.chat_template = saved.read_text(encoding="utf-8", errors="replace")
            return ChatTemplate(tokenizer)
        finally:
            tokenizer.chat_template = held

    def _differences(self, base: ModelSection) -> list[float]:
        """The largest absolute logit difference of each column to the base, over the tokens of a probe prompt."""
        self._say(Progress(label="Proving that each column's weights are in effect", done=0))
        engine = self._engine(base)
        wanted = {(voice.engine, voice.adapter) for voice in self._voices}
        proved = {key: self._proved[key] for key in wanted & self._proved.keys()} | {(engine, BASE): 0.0}
        if new := sorted(wanted - proved.keys(), key=lambda key: key[1]):
            ids = engine.tokenizer(PROBE, verbose=False).input_ids
            mine = [adapter for owner, adapter in new if owner is engine]
            truth, *scores = engine.logits(ids, [BASE, *mine])
            proved |= {(engine, name): _distance(score, truth) for name, score in zip(mine, scores, strict=True)}
            for other in (owner for owner, _ in new if owner is not engine):
                proved[other, BASE] = _distance(other.logits(ids, [BASE])[0], truth)
        self._proved = proved
        if all(voice.engine is not engine for voice in self._voices):
            del self._engines[base]  # it was needed for the proof only
        return [proved[voice.engine, voice.adapter] for voice in self._voices]

    def _warn_of_precision(self, columns: list[Column]) -> None:
        held = columns[0].model.quantization
        for column in columns:
            if column.kind == "adapter" and column.model.quantization != held:
                trained, here = _precision(column.model.quantization), _precision(held)
                self._say(
                    Warned(
                        message=f"{column.name} was trained over {trained} weights and answers over {here} ones."
                    )
                )


def _distance(scores: Tensor, truth: Tensor) -> float:
    """The largest absolute difference over the vocabulary that two models share."""
    width = min(scores.shape[-1], truth.shape[-1])
    return float((scores[:, :width] - truth[:, :width]).abs().max())


def _whole(column: Column) -> ModelSection:
    """A full fine-tune as a model of its own, in the number format of its base."""
    return ModelSection(source=column.folder, dtype=column.model.dtype, attention=column.model.attention)


def _precision(quantization: str) -> str:
    return "unquantised" if quantization == "none" else quantization


def _memory_bytes() -> int:
    """What this process holds now: on the GPU where there is one in use, else in RAM."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        return torch.cuda.memory_allocated()
    return psutil.Process().memory_info().rss
