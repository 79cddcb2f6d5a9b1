"""The models on this machine: bundled ones, those in the Hugging Face cache, and those in the user's folders."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from core import places
from core.errors import HoneError
from core.models import allowed
from core.models.sieve import read_object
from core.models.source import STARTER, ModelFolder, check_weights, hub_cache, locate_model, starter_names


@dataclass(frozen=True)
class ModelOnDisk(ModelFolder):
    """A model with its size; `flaw` says what keeps it from being used, and is empty for a whole model."""

    num_bytes: int = 0
    flaw: str = ""

    @property
    def is_whole(self) -> bool:
        return not self.flaw


def models_on_disk(folders: Iterable[Path | str] = ()) -> list[ModelOnDisk]:
    """Every model that Hone can load or could if it were whole: bundled, then cached, then from `folders`.

    A folder may be a model itself or hold models. Anything unreadable, and any other kind of model, is left out.
    """
    found: dict[Path, ModelOnDisk] = {}
    for model in (*_bundled(), *_cached(), *_in_folders(folders)):
        with contextlib.suppress(OSError, HoneError):
            if model.path not in found and _is_loadable(model.path):
                found[model.path] = _measured(model)
    return list(found.values())


def _bundled() -> Iterator[ModelFolder]:
    for name in starter_names():
        yield ModelFolder(places.RESOURCES / "starter" / name, name, STARTER + name)


def _cached() -> Iterator[ModelFolder]:
    for folder in _folders_in(hub_cache()):
        if folder.name.startswith("models--"):
            with contextlib.suppress(HoneError):
                yield locate_model(folder.name.removeprefix("models--").replace("--", "/"))


def _in_folders(folders: Iterable[Path | str]) -> Iterator[ModelFolder]:
    for given in folders:
        folder = Path(given).expanduser()
        for path in (folder, *_folders_in(folder)):
            yield ModelFolder(path.resolve(), path.name, str(path))


def _folders_in(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError:
        return []


def _is_loadable(folder: Path) -> bool:
    return (read_object(folder / "config.json") or {}).get("model_type") in allowed.FAMILIES


def _measured(model: ModelFolder) -> ModelOnDisk:
    flaw, files = "", sorted(model.path.glob("*.safetensors"))
    try:
        files = check_weights(model.path, model.name)
    except HoneError as error:
        flaw = error.message
    size = sum(file.stat().st_size for file in files if file.is_file())
    return ModelOnDisk(model.path, model.name, model.source, model.commit, size, flaw)
