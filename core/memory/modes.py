"""The ways of training that keep different tensors, and their names in the files of activation rows."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Literal

Targets = Literal["all", "attention", "values", "mlp", "elsewhere"]
"""The matrices with adapters: all, those of attention, of these only what makes queries and values (PEFT's choice
where nothing is said), those of the MLP, or none in this kind of a hybrid's layers."""


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
    targets: Targets = "all"
    dropout: bool = False
    """Whether adapters drop some of what they are given."""
    drops: bool = False
    """Whether the model itself drops some of what it computes, as its family's published models do."""
    upcast: bool = False
    tied: bool = False
    """Whether embedding and head are one; said of full fine-tuning only."""
    windowed: bool = False
    """Whether rows are longer than a layer looks back."""
    packed: bool = False
    """Whether a row may hold several examples, which must not see each other."""
    aligned: bool = False
    """Whether rows are whole chunks of the delta rule, which then keeps copies; said of 32 bits only. It cannot be
    traced: toys whose rows are whole chunks are as long as each other."""
    plain: bool = False
    """A loop that is not ours: without autocast, and holding a batch's outputs until the next has its own."""

    @property
    def name(self) -> str:
        """Such as "cuda16 nf4 lora32 checkpointed sdpa"."""
        words = [f"{self.device}{self.bits}", self.base, self.method]
        words += ["checkpointed" if self.checkpointing else "kept", self.attention]
        words += [f"{self.targets}-only"] if self.targets != "all" else []
        words += [
            word
            for word in ("dropout", "drops", "upcast", "tied", "windowed", "packed", "aligned", "plain")
            if getattr(self, word)
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
            {"drops": False},
            {"targets": "all"},
            {"method": "lora32" if self.method == "lora16" else self.method},
            {"dropout": False},
            {"windowed": False},
            {"aligned": False},
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


def worth_tracing(
    default: Literal["sdpa", "eager"], is_windowed: bool, *, drops: bool = False, is_mixture: bool = False
) -> list[Mode]:
    """The modes that are traced for a family whose usual attention is `default`. The experts of a mixture get no
    adapters, so there are none on its MLP alone."""
    found: list[Mode] = []
    choices: list[Targets] = ["values"] if is_mixture else ["values", "mlp"]
    for checkpointing in (True, False):
        usual = Mode(checkpointing=checkpointing, attention=default)
        on_cpu = replace(usual, device="cpu", bits=32)
        in_bf16 = replace(on_cpu, bits=16)  # where autocast leaves norms in 16 bits, and a GPU's does not
        for mode in (usual, on_cpu, in_bf16):
            found += [*_settings(mode), replace(mode, base="nf4"), replace(mode, base="int8")]
            found += [replace(mode, method="full"), replace(mode, method="full", tied=True)]
            for targets in choices:
                few = replace(mode, targets=targets)
                found += [*_settings(few), replace(few, base="nf4"), *_settings(replace(few, base="int8"))]
        for mode in (usual, on_cpu):
            found += _settings(replace(mode, targets="attention"))
            found.append(replace(mode, packed=True))
            if drops:
                found += [replace(mode, base=base, drops=True) for base in ("none", "nf4", "int8")]
                found += [replace(mode, method="full", tied=tied, drops=True) for tied in (False, True)]
            if default != "eager":
                found += [replace(mode, attention="eager"), replace(mode, attention="eager", packed=True)]
            if is_windowed:
                found += [replace(mode, windowed=True), replace(mode, windowed=True, packed=True)]
        for base in ("nf4", "int8"):  # whose products differ with each of an adapter's settings
            upcast = replace(usual, base=base, upcast=True)
            for mode in (replace(usual, base=base), upcast):
                found += [*_settings(mode), *_settings(replace(mode, targets="attention"))]
            found.append(replace(on_cpu, base=base, targets="attention", method="lora16"))
        found.append(replace(usual, base="nf4", targets="values", dropout=True))
        for targets in choices:
            found += _settings(replace(usual, base="nf4", upcast=True, targets=targets))[::2]
        found.append(replace(usual, base="nf4", upcast=True, attention="eager"))
        found.append(replace(in_bf16, base="nf4", upcast=True))
        if drops and default != "eager":  # which may keep what it dropped too, or nothing of it
            for mode in (usual, on_cpu, in_bf16):
                eager = replace(mode, attention="eager", drops=True)
                found += [eager, *(replace(eager, method="full", tied=tied) for tied in (False, True))]
    return list(dict.fromkeys(found))


def hybrid_modes(choices: Collection[Targets], *, is_linear: bool) -> list[Mode]:
    """The modes that are traced for a kind of a hybrid's layers, those without attention or those with it, where
    adapters may be on `choices` alone."""
    found: list[Mode] = []
    for checkpointing in (True, False):
        usual = Mode(checkpointing=checkpointing)
        on_cpu = replace(usual, device="cpu", bits=32)
        in_bf16 = replace(on_cpu, bits=16)
        for mode in (usual, on_cpu, in_bf16):
            for base in ("none", "nf4", "int8"):
                one = replace(mode, base=base)
                found += _settings(one)
                found += [replace(one, targets="elsewhere")] if is_linear else []
                for targets in choices:
                    found += _settings(replace(one, targets=targets))
            full = replace(mode, method="full")
            found += [full, replace(full, tied=True)]
        for base in ("nf4", "int8"):
            found += _settings(replace(usual, base=base, upcast=True))[:3]
        found.append(replace(in_bf16, base="nf4", upcast=True))
        if is_linear:
            found.append(replace(usual, base="nf4", upcast=True, targets="elsewhere"))
        else:
            for one in (usual, replace(usual, base="nf4"), on_cpu):
                found += [replace(one, attention="eager"), replace(one, packed=True)]
    return list(dict.fromkeys(found))


def _settings(mode: Mode) -> list[Mode]:
    """The mode, and it with dropout, with adapters in 16 bits, and both."""
    thin = replace(mode, method="lora16")
    return [mode, replace(mode, dropout=True), thin, replace(thin, dropout=True)]
