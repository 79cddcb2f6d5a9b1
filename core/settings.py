"""A person's preferences on this machine: folders and appearance. Nothing here changes the result of a run."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from core import durable, places
from core.descriptions import described
from core.errors import HoneError
from core.yaml_text import as_text, read_yaml


class Settings(BaseModel):
    """Frozen; `with_value` gives a changed copy and `save` writes it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    appearance: Literal["system", "light", "dark"] = "system"
    """Light, dark, or whatever the system uses."""
    runs: str = ""
    """Folder in which runs are kept; empty takes Hone's own."""
    model_folders: tuple[str, ...] = ()
    """More folders to look for models in, beside the Hugging Face cache."""
    has_said_runs_live_on: bool = False
    """Whether the note that runs outlive the window has been shown."""

    @property
    def runs_folder(self) -> Path:
        return Path(self.runs).expanduser() if self.runs else places.runs_folder()

    @classmethod
    def load(cls) -> Self:
        """The saved settings, or defaults. A broken file is set aside and never stops the start."""
        path = settings_file()
        try:
            return cls.model_validate(read_yaml(path.read_text(encoding="utf-8")) or {})
        except OSError:
            return cls()
        except ValueError:  # no YAML, or no settings
            _set_aside(path)
            return cls()

    def with_value(self, name: str, value: object) -> Self:
        """A changed copy. Raises HoneError when the value does not fit."""
        try:
            return type(self).model_validate({**self.model_dump(), name: value})
        except ValidationError as error:
            raise HoneError(f"{name}: {error.errors()[0]['msg']}.", path=name) from None

    def save(self) -> None:
        """Write the file in one step. Raises HoneError when it cannot be written."""
        path = settings_file()
        lines = []
        for name, info in described(type(self)).items():
            lines.append(f"# {info.description}\n{name}: {as_text(getattr(self, name))}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            durable.write_file(path, "\n".join(lines) + "\n")
        except OSError as error:
            raise HoneError(
                f"The settings cannot be saved in {path} ({error.strerror}); check the folder."
            ) from None


def settings_file() -> Path:
    return places.home() / "settings.yaml"


def _set_aside(path: Path) -> None:
    try:
        path.replace(path.with_name(f"settings-broken-{time.strftime('%Y%m%d-%H%M%S')}.yaml"))
    except OSError:
        return
