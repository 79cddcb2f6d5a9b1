"""Finds a base model on this machine: a bundled one, a folder, or a Hub name already in the Hugging Face cache."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from core import places
from core.errors import HoneError
from core.models.headers import read_header, weight_files

STARTER = "starter:"
INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack")
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?")


@dataclass(frozen=True)
class ModelFolder:
    """A model on disk. `source` finds it again; `commit` is its Hub commit, empty for any other folder."""

    path: Path
    name: str
    source: str
    commit: str = ""


def find_model(source: str, revision: str = "") -> ModelFolder:
    """The model that `source` names, with its weights checked to be whole safetensors.

    `source` is starter:NAME, a folder, or a Hub name in the cache; `revision` a Hub branch, tag or commit.
    Raises HoneError(path="model.source").
    """
    found = locate_model(source, revision)
    check_weights(found.path, found.name if found.commit else source)
    return found


def locate_model(source: str, revision: str = "") -> ModelFolder:
    """The folder that `source` names, without a look at its weights. Raises HoneError(path="model.source")."""
    source = source.strip()
    if not source:
        raise wrong("No model is chosen; give starter:storyteller, a folder, or a Hugging Face name.")
    if source.startswith(STARTER):
        return _starter(source)
    folder = Path(source).expanduser()
    if folder.is_dir():
        resolved = folder.resolve()
        return ModelFolder(resolved, resolved.name, source)
    if folder.is_file():
        raise wrong(f"{source} is a file; give the folder that holds the model's config.json.")
    if looks_like_path(source):
        raise wrong(f"{source} does not exist; give the folder that holds the model's config.json.")
    if HUB_NAME.fullmatch(source) and ".." not in source:
        return _in_hub_cache(source, revision)
    raise wrong(f"{source[:80]!r} is neither a folder nor a Hugging Face name such as Qwen/Qwen3-0.6B.")


def check_weights(folder: Path, shown: str) -> list[Path]:
    """A model folder's safetensors files, each checked to be whole. Raises HoneError(path="model.source").

    `shown` is what the user calls the folder.
    """
    if not (folder / "config.json").is_file():
        if (folder / "adapter_config.json").is_file():
            raise wrong(f"{shown} is an adapter, not a base model; choose the model that it was trained on.")
        raise wrong(f"{shown} is no model: it has no config.json; give the folder of a whole model.")
    files = [file for file in weight_files(folder) if file.is_file()]
    if not files or not all(file.name.endswith(".safetensors") for file in files):
        raise wrong(_no_weights(folder, shown))
    if not (folder / INDEX).is_file() and files[0].name != SINGLE:
        raise wrong(f"{shown} has {files[0].name} and neither {SINGLE} nor {INDEX}; copy it whole.")
    for file in files:
        read_header(file)
    return files


def check_revision(revision: str) -> None:
    """Raise HoneError(path="model.revision") for what is no branch, tag or commit; empty is the main branch."""
    if revision and (not re.fullmatch(r"\w[\w./-]{0,199}", revision) or ".." in revision):
        raise HoneError(f"{revision[:80]!r} is not a branch, tag or commit.", path="model.revision")


def looks_like_path(source: str) -> bool:
    """Whether a text that names nothing on disk was meant as a path and not as a Hub name."""
    return source.startswith((".", "/", "~", "\\")) or "\\" in source or source[1:3] in (":/", ":\\")


def names_in_index(index: Path) -> list[str]:
    """Names of the weight files that a safetensors index lists. Raises HoneError for anything but plain names."""
    try:
        names = sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
        if names and all(re.fullmatch(r"[\w.-]{1,120}\.safetensors", name) for name in names):
            return names
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
        pass
    raise wrong(f"{index.name} of the model is no list of safetensors files; choose another copy of it.")


def hub_cache() -> Path:
    """The folder of the Hugging Face cache, as HF_HUB_CACHE, HF_HOME and XDG_CACHE_HOME place it."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def starter_names() -> list[str]:
    """Names of the bundled models."""
    return sorted(path.parent.name for path in (places.RESOURCES / "starter").glob("*/config.json"))


def wrong(message: str) -> HoneError:
    return HoneError(message, path="model.source")


def _starter(source: str) -> ModelFolder:
    name = source.removeprefix(STARTER)
    if name not in starter_names():
        known = ", ".join(STARTER + name for name in starter_names()) or "none in this installation"
        raise wrong(f"{source} is not a bundled model; there is {known}.")
    return ModelFolder(places.RESOURCES / "starter" / name, name, source)


def _in_hub_cache(name: str, revision: str) -> ModelFolder:
    check_revision(revision)
    folder = hub_cache() / f"models--{name.replace('/', '--')}"
    commit = _commit(folder, revision or "main")
    snapshot = folder / "snapshots" / commit
    if not commit or not snapshot.is_dir():
        at = f" at revision {revision}" if revision else ""
        option = f" --revision {revision}" if revision else ""
        raise wrong(
            f"{name}{at} is not on this machine; press Download or run `hone download {name}{option}`, "
            "or give a folder."
        )
    return ModelFolder(snapshot, name, name, commit)


def _commit(folder: Path, revision: str) -> str:
    """The commit that a branch, a tag or a commit hash stands for in a cached repository; empty when unknown."""
    if re.fullmatch(r"[0-9a-f]{40}", revision):
        return revision
    try:
        commit = (folder / "refs" / revision).read_text().strip()
    except OSError:
        return ""
    return commit if re.fullmatch(r"[0-9a-f]{40}", commit) else ""


def _no_weights(folder: Path, shown: str) -> str:
    if (folder / SINGLE).is_symlink():
        return f"{shown} is incomplete: {SINGLE} is missing; download the model again."
    names = sorted(path.name for path in folder.iterdir())
    if pickles := [name for name in names if name.endswith(PICKLES)]:
        return (
            f"{shown} has only pickle weights ({pickles[0]}), which can run hidden code when opened; take a "
            "safetensors version of it, or convert it where you trust it: "
            "AutoModelForCausalLM.from_pretrained(OLD).save_pretrained(NEW) in transformers."
        )
    if any(name.endswith(".gguf") for name in names):
        return f"{shown} holds GGUF files, which are made for running only; take the safetensors version to train."
    return f"{shown} holds no weights; a model needs {SINGLE} beside its config.json."
