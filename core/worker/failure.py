"""Turns an exception into the one Failed event that a person reads; the traceback goes to the log."""

from __future__ import annotations

import errno
import sys
import traceback

from core.errors import HoneError
from core.events import Failed

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


def failed(error: BaseException) -> Failed:
    """The event for an exception that ends a job. What the user cannot mend leaves its traceback on stderr."""
    if isinstance(error, HoneError):
        return Failed(message=error.message, path=error.path)
    traceback.print_exception(error, file=sys.stderr)
    if is_out_of_memory(error):
        return Failed(
            message="Memory ran out; close other programs, quantise the base (model.quantization), or take a "
            "smaller model."
        )
    if is_disk_full(error):
        return Failed(message="The disk is full; free some space and resume, the last checkpoint is kept.")
    if isinstance(error, OSError) and error.errno in FORBIDDEN:
        return Failed(message=f"{error.filename} cannot be written ({error.strerror}); check its permissions.")
    if isinstance(error, ImportError):
        return Failed(message=f"A library is missing or broken ({error}); run `hone doctor`.")
    if "deterministic" in str(error) and "does not have" in str(error):
        return Failed(
            message="The model uses an operation that has no repeatable form on this device; turn it off.",
            path="runtime.deterministic",
        )
    reason = (str(error).strip().splitlines() or [""])[0][:200].rstrip(". ")
    told = f"{type(error).__name__}: {reason}" if reason else type(error).__name__
    return Failed(message=f"Something unforeseen went wrong ({told}); the details are in worker.log.")


def is_disk_full(error: BaseException) -> bool:
    """Whether a write failed for lack of space. safetensors reports it as text only."""
    if isinstance(error, OSError):
        return error.errno in FULL
    text = str(error)
    return any(f"os error {code}" in text for code in FULL) or "No space left on device" in text


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed, on a GPU or in RAM."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    # torch's CPU and MPS allocators raise plain RuntimeErrors.
    words = ("DefaultCPUAllocator: ", "not enough memory", "MPS backend out of memory", "CUDA out of memory")
    return isinstance(error, RuntimeError) and any(word in str(error) for word in words)
