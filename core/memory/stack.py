"""How a run computes, resolved from its config and device: number formats, attention, loss, lengths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from core.config import RunConfig
from core.hardware import Device
from core.memory.modes import Mode
from core.memory.symbols import values
from core.memory.targets import traced_targets
from core.models.facts import ModelFacts
from core.models.families import FAMILIES
from core.sections import BITSANDBYTES, Lora, Optimizer

CHUNK_SCORES = 2**24
"""Scores (tokens × vocabulary) that the chunked loss holds at once."""


@dataclass(frozen=True)
class Stack:
    """Everything about the computation that decides bytes, and nothing that does not."""

    device: Literal["cpu", "cuda", "mps"]
    compute_bytes: Literal[2, 4]
    """Bytes of an activation."""
    weight_bytes: Literal[2, 4]
    """Bytes of an unquantised weight: full fine-tuning holds fp32 weights whatever it computes in."""
    adapter_bytes: Literal[2, 4]
    """Bytes of a trained weight, its gradient and each of its 32-bit optimizer states."""
    quantization: Literal["none", "int8", "nf4", "fp4"]
    double_quantization: bool
    upcast: bool
    attention: Literal["sdpa", "eager"]
    checkpointing: bool
    loss: Literal["chunked", "full"]
    is_full: bool
    """Whether every weight is trained."""
    rank: int
    dropout: float
    targets: tuple[str, ...]
    optimizer: Optimizer
    rows: int
    """Sequences computed at once."""
    length: int
    """Tokens of the longest of them."""
    accumulates: bool
    """Whether a batch finds gradients in place: of the step's earlier ones, or the buffer of several processes."""
    packed: bool = False
    """Whether a row may hold several examples."""
    is_mixed: bool = False
    """Whether adapters are in bf16 and the rest is computed in fp16, so that each copies what it is given."""
    loop: Literal["hone", "trainer", "plain"] = "hone"
    """Whose training loop it is: ours, that of transformers' Trainer, or a plain one without autocast."""
    held_score_bytes: Literal[0, 2, 4] = 0
    """Bytes of each score that the Trainer's loop holds in its outputs until the step is done."""

    @property
    def needs_bitsandbytes(self) -> bool:
        return self.quantization != "none" or self.optimizer in BITSANDBYTES

    def mode(self, facts: ModelFacts) -> Mode:
        """The way of training whose activations this stack keeps."""
        is_thin = self.adapter_bytes == 2 and not self.is_mixed
        return Mode(
            device="cpu" if self.device == "cpu" else "cuda",
            bits=32 if self.compute_bytes == 4 else 16,
            base="nf4" if self.quantization == "fp4" else self.quantization,
            method="full" if self.is_full else "lora16" if is_thin else "lora32",
            checkpointing=self.checkpointing,
            attention=self.attention,
            targets="all" if self.is_full else traced_targets(facts, self.targets)[0],
            dropout=self.dropout > 0,
            drops=facts.drops_hidden or (facts.drops_scores and not self._is_fused),
            upcast=self.upcast and self.compute_bytes == 2,
            tied=self.is_full and facts.tied,
            windowed=0 < facts.sliding_window <= self.length,
            packed=self.packed,
            aligned=self.compute_bytes == 4 and _is_aligned(facts, self.length),
            plain=self.loop == "plain",
        )

    @property
    def _is_fused(self) -> bool:
        """Whether attention draws again in the backward pass what it dropped, so nothing is kept for that."""
        return self.device == "cuda" and self.attention == "sdpa"

    def chunk(self, facts: ModelFacts) -> int:
        """Tokens that go through the head together when the loss is chunked."""
        return max(1, CHUNK_SCORES // facts.vocab)

    def units(self, facts: ModelFacts) -> dict[str, int]:
        """What every product of dimensions is for the largest batch. All tokens but the first of a row may be
        trained ones."""
        trained = max(1, self.rows * (self.length - 1))
        return values(
            facts, rows=self.rows, length=self.length, trained=trained, chunk=self.chunk(facts), rank=self.rank
        )


def resolve(config: RunConfig, facts: ModelFacts, device: Device, longest_row: int = 0) -> Stack:
    """The stack that a config means on a device. `longest_row` is the longest row of the data in tokens, when it
    is known: no batch is longer than it."""
    method, model, memory = config.method, config.model, config.memory
    lora = method if isinstance(method, Lora) else None
    compute = compute_bytes(config, device)
    length = config.data.max_length
    if longest_row and not config.data.packing:
        length = min(length, longest_row)
    attention = facts.attention if model.attention == "auto" else model.attention
    return Stack(
        device=device.kind,
        compute_bytes=compute,
        weight_bytes=4 if lora is None else compute,
        adapter_bytes=2 if lora and memory.adapter_dtype == "bf16" else 4,
        quantization=model.quantization,
        double_quantization=model.double_quantization,
        upcast=memory.upcast and model.quantization != "none",
        attention="eager" if attention == "eager" else "sdpa",
        checkpointing=memory.activation_checkpointing,
        loss=memory.loss,
        is_full=lora is None,
        rank=lora.rank if lora else 0,
        dropout=lora.dropout if lora else 0.0,
        targets=lora.targets if lora else (),
        optimizer=config.optim.optimizer,
        rows=config.optim.batch_size,
        length=length,
        accumulates=config.optim.accumulation > 1 or config.runtime.processes > 1,
        packed=config.data.packing,
        is_mixed=lora is not None and memory.adapter_dtype == "bf16" and is_fp16(config, device),
    )


def _is_aligned(facts: ModelFacts, length: int) -> bool:
    """Whether rows are whole chunks of a delta rule."""
    has_delta = facts.is_modelled and FAMILIES[facts.family].mixer.startswith("delta")
    return has_delta and facts.mixer is not None and length % facts.mixer.chunk == 0


def compute_bytes(config: RunConfig, device: Device) -> Literal[2, 4]:
    """Bytes of a number in what the model computes in: auto is 16-bit on a GPU and fp32 on the CPU."""
    if config.model.dtype == "auto":
        return 4 if device.kind == "cpu" else 2
    return 4 if config.model.dtype == "fp32" else 2


def is_fp16(config: RunConfig, device: Device) -> bool:
    """Whether a model computes in fp16: auto takes it on a GPU without bf16."""
    if config.model.dtype == "auto":
        return device.kind != "cpu" and not device.bf16
    return config.model.dtype == "fp16"
