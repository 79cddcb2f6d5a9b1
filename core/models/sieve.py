"""Reads JSON that others wrote, and lets through only listed keys with harmless values."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.models import allowed
from core.models.source import wrong

MAX_JSON_BYTES = 20_000_000  # the largest tokenizer_config.json in the wild is near 1.5 MB
MAX_TEMPLATE_BYTES = 1_000_000
MAX_DEPTH = 8
PLAIN_WORD = re.compile(r"[\w.+*| -]{0,200}")  # no slash: a word can name neither a path nor a repository
CLASS_NAME = re.compile(r"[A-Za-z]\w{0,79}")

Keep = Callable[[Any], Any]


class _Nothing:
    """What a rule answers for a value that is left out."""


NOTHING = _Nothing()


def read_object(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file; None when there is no such file. Raises HoneError naming the file."""
    if not path.is_file():
        return None
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise wrong(f"{path} is over {MAX_JSON_BYTES // 10**6} MB, more than any model needs; copy it again.")
        tree = json.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise wrong(f"{path} cannot be read ({error.strerror}); check its permissions.") from None
    except (ValueError, RecursionError):
        raise wrong(f"{path} is not valid JSON; copy the model again.") from None
    if not isinstance(tree, dict) or _depth(tree) > MAX_DEPTH:
        raise wrong(f"{path} is not a JSON object of settings; copy the model again.")
    return tree


def _depth(tree: Any) -> int:
    depth, level = 0, [tree]
    while level:
        depth += 1
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return depth - 1


def pick(tree: dict[str, Any], keys: frozenset[str], keep: Keep) -> dict[str, Any]:
    """The listed keys of a tree, each with what the rule makes of its value."""
    kept = {key: keep(tree[key]) for key in sorted(keys & tree.keys())}
    return {key: value for key, value in kept.items() if value is not NOTHING}


def plain(value: Any) -> Any:
    """A number, a switch, a plain word, or lists of these."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return value if PLAIN_WORD.fullmatch(value) else NOTHING
    if isinstance(value, list):
        kept = [plain(item) for item in value]
        return NOTHING if any(item is NOTHING for item in kept) else kept
    if isinstance(value, dict) and set(value) == {"__float__"}:  # how transformers writes infinity
        return value if value["__float__"] in ("Infinity", "-Infinity", "NaN") else NOTHING
    return NOTHING


def class_names(value: Any) -> Any:
    """The name of a class, or a list of such names."""
    names = value if isinstance(value, list) else [value]
    return value if all(isinstance(name, str) and CLASS_NAME.fullmatch(name) for name in names) else NOTHING


def token(value: Any) -> Any:
    """A token as text, a token with its settings, a list of tokens, or tokens by name."""
    if value is None or isinstance(value, str):
        return value if value is None or len(value) < 1000 else NOTHING
    if isinstance(value, list):
        kept = [token(item) for item in value]
        return [item for item in kept if item is not NOTHING]
    if not isinstance(value, dict):
        return NOTHING
    if isinstance(value.get("content"), str):
        kept = pick(value, allowed.TOKEN_SETTINGS - {"content", "__type"}, lambda v: bool(v))
        kind = {"__type": "AddedToken"} if value.get("__type") == "AddedToken" else {}
        return kept | kind | {"content": value["content"][:1000]}
    return {name: token for name, token in value.items() if isinstance(token, str) and name.isidentifier()}


def limited(template: str) -> str:
    if len(template) > MAX_TEMPLATE_BYTES:
        raise wrong(f"The model's chat template is over {MAX_TEMPLATE_BYTES // 1000} kB; copy the model again.")
    return template


def dump(tree: Any) -> bytes:
    return json.dumps(tree, indent=1).encode()
