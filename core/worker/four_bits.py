"""Mends how bitsandbytes unpacks 4-bit weights on a processor.

WORKAROUND: the kernel of bitsandbytes 0.50 takes wrong constants in rows whose width 64 does not divide, so that
such layers compute nonsense without a word. The same weights taken as rows of one block each come out right.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence
from math import prod
from typing import Any

import bitsandbytes  # noqa: F401  registers the operator
import torch

OPERATOR = "bitsandbytes::dequantize_4bit"


@functools.cache
def mend_unpacking() -> torch.library.Library:
    """Let every 4-bit layer of this process unpack block by block. The result must be kept alive, and is."""
    kernel = torch.library.get_kernel(OPERATOR, "CPU")

    def unpack(
        keys: Any,
        packed: torch.Tensor,
        constants: torch.Tensor,
        blocksize: int,
        quant_type: str,
        shape: Sequence[int],
        dtype: torch.dtype,
    ) -> torch.Tensor:
        count = prod(shape)
        rows = [count // blocksize, blocksize] if count % blocksize == 0 else list(shape)
        return kernel.call_boxed(keys, packed, constants, blocksize, quant_type, rows, dtype).view(*shape)

    library = torch.library.Library("bitsandbytes", "IMPL")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that an earlier kernel is overridden is what is wanted
        library.impl("dequantize_4bit", unpack, "CPU", with_keyset=True, allow_override=True)
    return library
