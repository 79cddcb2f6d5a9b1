"""The ways of training that keep different tensors, and their names in the files of activation rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True)
class Mode:
    """What decides which tensors a layer keeps. The name of a mode lists what is not usual after the rest."""

    device: Literal["cuda", "cpu"] = "cuda"
    bits: Literal[16, 32] = 16
    """Of what is computed in."""
    base: Literal["none", "nf4", "int8"] = "none"
    method: Literal["lora32", "lora16", "full"] = "lora32"
    checkpointing: bool = True
    attention: Literal["sdpa", "eager"] = "sdpa"
    targets: Literal["all", "attention"] = "all"
    dropout: bool = False
    upcast: bool = False
    tied: bool = False
    """Whether embedding and head are one; said of full fine-tuning only."""
    windowed: bool = False
    """Whether rows are longer than a layer looks back."""
    packed: bool = False
    """Whether a row may hold several examples, which must not see each other."""
    plain: bool = False
    """A loop that is not ours: without autocast, and holding a batch's outputs until the next has its own."""

    @property
    def name(self) -> str:
        """Such as "cuda16 nf4 lora32 checkpointed sdpa"."""
        words = [f"{self.device}{self.bits}", self.base, self.method]
        words += ["checkpointed" if self.checkpointing else "kept", self.attention]
        words += ["attention-only"] if self.targets == "attention" else []
        words += [
            word for word in ("dropout", "upcast", "tied", "windowed", "packed", "plain") if getattr(self, word)
        ]
        return " ".join(words)

    @property
    def head(self) -> str:
        """The name of what decides the head and the loss, such as "cuda16 full checkpointed tied"."""
        words = [f"{self.device}{self.bits}", "full" if self.method == "full" else "frozen"]
        words += ["checkpointed" if self.checkpointing else "kept"]
        words += [word for word in ("upcast", "tied", "plain") if getattr(self, word)]
        return " ".join(words)

    def stand_ins(self) -> Iterator[Mode]:
        """This mode, then ever less like modes that need about as much memory or more."""
        mode = self
        yield mode
        for change in (
            {"plain": False},
            {"targets": "all"},
            {"method": "lora32" if self.method == "lora16" else self.method},
            {"dropout": False},
            {"windowed": False},
            {"upcast": False},
            {"tied": False},
            {"device": "cpu" if self.bits == 32 else "cuda"},
            {"base": "nf4" if self.base == "int8" else self.base},
            {"base": "none"},
            {"attention": "sdpa"},
        ):
            changed = replace(mode, **change)  # type: ignore[arg-type]
            if changed != mode:
                mode = changed
                yield mode


def worth_tracing(default: Literal["sdpa", "eager"], is_windowed: bool) -> list[Mode]:
    """The modes that are traced for a family whose usual attention is `default`."""
    found: list[Mode] = []
    for checkpointing in (True, False):
        usual = Mode(checkpointing=checkpointing, attention=default)
        on_cpu = replace(usual, device="cpu", bits=32)
        for mode in (usual, on_cpu):
            found += [mode, replace(mode, base="nf4"), replace(mode, base="int8")]
            found += [replace(mode, method="full"), replace(mode, method="full", tied=True)]
            narrow, thin = replace(mode, targets="attention"), replace(mode, method="lora16")
            found += [narrow, thin, replace(narrow, method="lora16")]
            found += [replace(one, dropout=True) for one in (mode, narrow, thin, replace(narrow, method="lora16"))]
            found.append(replace(mode, packed=True))
            if default != "eager":
                found += [replace(mode, attention="eager"), replace(mode, attention="eager", packed=True)]
            if is_windowed:
                found += [replace(mode, windowed=True), replace(mode, windowed=True, packed=True)]
        for base in ("nf4", "int8"):
            found += [replace(usual, base=base, method="lora16"), replace(usual, base=base, targets="attention")]
        raised = replace(usual, base="nf4", upcast=True)
        found += [raised, replace(raised, method="lora16"), replace(raised, targets="attention")]
        found += [replace(raised, base="int8"), replace(raised, attention="eager")]
    return found


def hybrid_modes() -> list[Mode]:
    """The modes that are traced for a hybrid, whose kinds of layers share no other setting."""
    found: list[Mode] = []
    for mode in (Mode(), Mode(checkpointing=False)):
        for one in (mode, replace(mode, device="cpu", bits=32)):
            found += [one, replace(one, base="nf4"), replace(one, base="int8"), replace(one, method="full")]
    return found
