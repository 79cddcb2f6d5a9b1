"""Makes the private copy of a model or adapter that a worker loads: listed settings, and links to the weights.

Downloaded JSON can name code, other repositories and regular expressions. Nothing of it reaches a library unless
`core.models.allowed` lists it. Not a copy of the weights: those are linked.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import uuid
from pathlib import Path
from typing import Any

from core import places
from core.errors import HoneError
from core.models import allowed
from core.models.headers import read_header
from core.models.sieve import (
    MAX_TEMPLATE_BYTES,
    NOTHING,
    PLAIN_WORD,
    class_names,
    dump,
    limited,
    pick,
    plain,
    read_object,
    token,
)
from core.models.source import INDEX, check_weights, wrong

ADAPTER_WEIGHTS = "adapter_model.safetensors"
MODULE_NAME = re.compile(r"\w[\w.]{0,199}")
TEMPLATES = "additional_chat_templates"

Files = dict[str, bytes]


def clean_copy(folder: Path) -> Path:
    """A private folder with the model's listed settings, its tokenizer, and links to its safetensors files.

    Made once per content and reused. Raises HoneError(path="model.source") for a family that Hone does not load,
    settings that are no JSON, and weights that are missing, damaged or pickled.
    """
    weights = check_weights(folder, _shown(folder))
    files: Files = {"config.json": dump(_model_config(folder))}
    if (tree := read_object(folder / "generation_config.json")) is not None:
        files["generation_config.json"] = dump(pick(tree, allowed.GENERATION_SETTINGS, plain))
    if (tree := read_object(folder / "tokenizer_config.json")) is not None:
        files["tokenizer_config.json"] = dump(_tokenizer_config(tree))
    if (tree := read_object(folder / "special_tokens_map.json")) is not None:
        files["special_tokens_map.json"] = dump(pick(tree, allowed.SPECIAL_TOKENS, token))
    if (tree := read_object(folder / "added_tokens.json")) is not None:
        files["added_tokens.json"] = dump({k: v for k, v in tree.items() if type(v) is int and len(k) < 1000})
    if (tree := read_object(folder / INDEX)) is not None:
        files[INDEX] = dump({"metadata": {}, "weight_map": tree["weight_map"]})
    files |= _templates(folder)
    tokenizer = [folder / name for name in allowed.TOKENIZER_FILES if (folder / name).is_file()]
    return _make("models", files, [*weights, *tokenizer])


def clean_adapter(folder: Path) -> Path:
    """A private folder with a LoRA adapter's listed settings and a link to its weights.

    Raises HoneError for another kind of adapter, pickled or damaged weights, and names that are patterns.
    """
    tree = read_object(folder / "adapter_config.json")
    if tree is None:
        raise HoneError(f"{folder} is no adapter: it has no adapter_config.json; give the folder that holds one.")
    weights = folder / ADAPTER_WEIGHTS
    if not weights.is_file():
        if (folder / "adapter_model.bin").is_file():
            raise HoneError(
                f"{folder} holds its adapter as a pickle (adapter_model.bin), which can run hidden code when "
                "opened; save it again as safetensors where you trust it."
            )
        raise HoneError(f"{folder} is incomplete: {ADAPTER_WEIGHTS} is missing; copy the whole adapter there.")
    read_header(weights)
    return _make("adapters", {"adapter_config.json": dump(_adapter_config(tree, folder))}, [weights])


def _model_config(folder: Path) -> dict[str, Any]:
    tree = read_object(folder / "config.json") or {}
    family = str(tree.get("model_type"))
    if family not in allowed.FAMILIES:
        kind = f"of the family {family[:40]!r}" if "model_type" in tree else "of no stated family"
        raise wrong(f"{_shown(folder)} is {kind}, which Hone cannot load; choose a text model such as Qwen3.")
    return _part(tree, folder) | {"model_type": family}


def _part(tree: dict[str, Any], folder: Path, depth: int = 0) -> dict[str, Any]:
    """The listed settings of a model or of one of its parts."""
    kept = pick(tree, allowed.SETTINGS, plain)
    for name in allowed.ROPE_KEYS:
        if name in tree:
            kept[name] = _rope(tree[name])
    for name in ("dtype", "torch_dtype"):
        if str(tree.get(name)) in allowed.DTYPES:
            kept[name] = tree[name]
    kept |= pick(tree, allowed.CLASSES, class_names)
    if (quantization := tree.get("quantization_config")) is not None:
        kept["quantization_config"] = _quantization(quantization, folder)
    for name in sorted(allowed.PARTS & tree.keys()):
        if isinstance(part := tree[name], dict) and depth == 0:
            kept[name] = _part(part, folder, 1) | pick(part, allowed.PART_KINDS, plain)
    return kept


def _quantization(tree: Any, folder: Path) -> dict[str, Any]:
    tree = tree if isinstance(tree, dict) else {}
    method = str(tree.get("quant_method"))
    if "quant_method" not in tree and (tree.get("load_in_4bit") or tree.get("load_in_8bit")):
        method = "bitsandbytes"  # older transformers named no method
    if method not in allowed.QUANTIZATIONS:
        raise wrong(
            f"{_shown(folder)} is stored quantised with {method[:40]}, which cannot be trained; take the "
            "unquantised model and choose model.quantization instead."
        )
    return pick(tree, allowed.QUANTIZATION_SETTINGS, plain) | {"quant_method": method}


def _rope(value: Any) -> Any:
    """Rotary settings: one set of them, or one set per kind of layer."""
    if not isinstance(value, dict):
        return None
    nested = {
        key: pick(inner, allowed.ROPE_SETTINGS, plain) for key, inner in value.items() if type(inner) is dict
    }
    return pick(value, allowed.ROPE_SETTINGS, plain) | pick(nested, allowed.ROPE_SETTINGS, lambda kept: kept)


def _tokenizer_config(tree: dict[str, Any]) -> dict[str, Any]:
    kept = pick(tree, allowed.TOKENIZER_SETTINGS, plain)
    kept |= pick(tree, allowed.CLASSES, class_names)
    kept |= pick(tree, allowed.SPECIAL_TOKENS, token)
    if isinstance(added := tree.get("added_tokens_decoder"), dict):
        ids = frozenset(key for key in added if key.isdecimal() and len(key) < 10)
        kept["added_tokens_decoder"] = pick(added, ids, token)
    template = tree.get("chat_template")
    if isinstance(template, str):
        kept["chat_template"] = limited(template)
    elif isinstance(template, list):
        kept["chat_template"] = [
            {"name": entry["name"], "template": limited(entry["template"])}
            for entry in template
            if isinstance(entry, dict) and isinstance(entry.get("template"), str)
            if isinstance(entry.get("name"), str) and PLAIN_WORD.fullmatch(entry["name"])
        ]
    return kept


def _templates(folder: Path) -> Files:
    """Chat templates that stand in files of their own."""
    files: Files = {}
    for path in [folder / "chat_template.jinja", *sorted((folder / TEMPLATES).glob("*.jinja"))]:
        if path.is_file() and PLAIN_WORD.fullmatch(path.name):
            try:
                text = path.read_text(encoding="utf-8") if path.stat().st_size <= MAX_TEMPLATE_BYTES else None
            except (OSError, UnicodeDecodeError):
                text = None
            if text is None:
                raise wrong(
                    f"{path} is no chat template of at most {MAX_TEMPLATE_BYTES // 1000} kB of UTF-8 text."
                )
            files[path.relative_to(folder).as_posix()] = text.encode()
    tree = read_object(folder / "chat_template.json") or {}
    if isinstance(template := tree.get("chat_template"), str):
        files["chat_template.json"] = dump({"chat_template": limited(template)})
    return files


def _adapter_config(tree: dict[str, Any], folder: Path) -> dict[str, Any]:
    if tree.get("peft_type") != "LORA":
        raise HoneError(f"{folder} is a {str(tree.get('peft_type'))[:40]} adapter; Hone loads LoRA adapters.")
    for key in ("layer_replication", "use_bdlora", "kasa_config", "velora_config", "monteclora_config"):
        if tree.get(key):
            raise HoneError(f"{folder} uses {key}, a variant of LoRA that Hone does not load.")
    start = tree.get("init_lora_weights", True)
    if start == "eva":  # changes only the first adapter weights, which the saved ones replace
        tree = tree | {"init_lora_weights": True}
    elif not isinstance(start, (bool, str)) or start not in allowed.ADAPTER_STARTS:
        raise HoneError(
            f"{folder} was initialised by {str(start)[:40]}, which changes the base model too; save it converted "
            "to plain LoRA."
        )
    for key in ("target_modules", "exclude_modules", "modules_to_save", "layers_pattern", "target_parameters"):
        value = tree.get(key)
        names = value if isinstance(value, list) else [] if value in (None, "all-linear") else [value]
        _require_plain(names, key, folder)
    kept = pick(tree, allowed.ADAPTER_SETTINGS, plain)
    for key in ("rank_pattern", "alpha_pattern", "trainable_token_indices"):
        if isinstance(tree.get(key), dict):
            _require_plain([*tree[key]], key, folder)
            kept[key] = {name: value for name, value in tree[key].items() if plain(value) is not NOTHING}
    return kept


def _shown(folder: Path) -> str:
    """What the user calls a folder: for one in the Hub's cache, the name on the Hub."""
    if folder.parent.name == "snapshots":
        return folder.parent.parent.name.removeprefix("models--").replace("--", "/")
    return str(folder)


def _require_plain(names: list[Any], key: str, folder: Path) -> None:
    for name in names:
        if not isinstance(name, str) or not MODULE_NAME.fullmatch(name):
            raise HoneError(
                f"{folder / 'adapter_config.json'}: {key} has {str(name)[:60]!r}; list plain layer names such as "
                "q_proj, since a pattern there can hang the program."
            )


def _make(kind: str, files: Files, linked: list[Path]) -> Path:
    """The folder with these files and links, made in one step unless it is there already."""
    identities = [(path.name, str(path.resolve()), *_identity(path)) for path in linked]
    contents = [(name, hashlib.sha256(content).hexdigest()) for name, content in files.items()]
    key = hashlib.sha256(json.dumps([sorted(contents), sorted(identities)]).encode()).hexdigest()[:32]
    target = places.cache_folder() / kind / key
    if target.is_dir() and all((target / path.name).is_file() for path in linked):
        return target
    staged = target.with_name(f".{key}-{uuid.uuid4().hex}")
    try:
        for name, content in files.items():
            (staged / name).parent.mkdir(parents=True, exist_ok=True)
            (staged / name).write_bytes(content)
        for path in linked:
            _link(path.resolve(), staged / path.name)
        shutil.rmtree(target, ignore_errors=True)
        staged.rename(target)
    except OSError as error:
        shutil.rmtree(staged, ignore_errors=True)
        if not target.is_dir():  # else another process was quicker, and its folder has the same content
            raise HoneError(f"{target.parent} cannot be written ({error.strerror}); free space there.") from None
    return target


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _link(source: Path, target: Path) -> None:
    """A symbolic link; where the system forbids those, a hard link; across disks, a copy."""
    for make in (os.symlink, os.link):
        try:
            return make(source, target)
        except OSError:
            continue
    shutil.copyfile(source, target)
    return None
