"""Loads the tokenizer of a clean copy: no code from the model, no network, and no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoTokenizer
from transformers import PreTrainedTokenizerBase as Tokenizer

from core.errors import HoneError

TRUSTED_ONLY: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer in a clean copy. Raises HoneError (path "model.source")."""
    try:
        return AutoTokenizer.from_pretrained(folder, **TRUSTED_ONLY)
    except (ValueError, OSError, KeyError, TypeError, AttributeError, ImportError) as error:
        why = first_line(error)
        raise HoneError(f"The model's tokenizer cannot be loaded ({why}).", path="model.source") from error


def first_line(error: Exception) -> str:
    """What an exception says, short enough for a sentence."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")
