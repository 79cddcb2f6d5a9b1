"""What belongs to a quantised parameter. Imports no quantiser: a run without one needs none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn


def constants_of(parameter: nn.Parameter) -> Iterator[Tensor]:
    """The tensors beside a parameter's own without which its numbers mean nothing; none for an unquantised one."""
    state: Any = getattr(parameter, "quant_state", None)
    found = [getattr(parameter, "SCB", None)]
    found += list(getattr(state, "constants", {}).values())  # of packed experts
    while hasattr(state, "absmax"):
        found += [state.absmax, state.code, getattr(state, "offset", None)]
        state = getattr(state, "state2", None)
    yield from (constant for constant in found if isinstance(constant, Tensor))
