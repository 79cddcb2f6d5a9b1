"""The run being prepared: one RunConfig, its name, and every earlier version of it for undo."""

from __future__ import annotations

import time
from typing import Any, Self

from PySide6.QtCore import QObject, Signal

from core import durable, places
from core.config import RunConfig
from core.errors import HoneError
from core.methods.presets import first_config, moved
from core.mistakes import ConfigError
from core.runs import default_name

MAX_UNDO = 200
MERGE_SECONDS = 1.0


class Draft(QObject):
    """Every edit goes through `set` or `set_many`; whoever shows the draft listens to `changed`."""

    changed = Signal(object)
    """The new RunConfig; only when it differs from the one before."""
    rejected = Signal(str, str)
    """A config path and a sentence: the edit was not taken."""
    renamed = Signal(str)

    def __init__(self, config: RunConfig | None = None) -> None:
        super().__init__()
        self._config = config or first_config()
        self._origin = self._config
        self._undo: list[RunConfig] = []
        self._redo: list[RunConfig] = []
        self._chosen_name = ""
        self._edited = ""
        self._edited_at = 0.0

    @property
    def config(self) -> RunConfig:
        return self._config

    @property
    def origin(self) -> RunConfig:
        """What "changed" marks and resets are measured against: the preset or run the draft began from."""
        return self._origin

    @property
    def name(self) -> str:
        """The name a person gave the run, else one taken from its data."""
        return self._chosen_name or default_name(self._config)

    def rename(self, name: str) -> None:
        if name != self._chosen_name:
            self._chosen_name = name
            self.renamed.emit(self.name)

    def set(self, path: str, value: Any) -> None:
        """Change one value. Quick edits of it, as by typing or holding an arrow, are one step of undo."""
        now = time.monotonic()
        is_same_edit = path == self._edited and now - self._edited_at < MERGE_SECONDS
        self._take({path: value}, is_same_edit)
        self._edited, self._edited_at = path, now

    def set_many(self, values: dict[str, Any]) -> None:
        """Change several values as one step of undo; all or nothing."""
        self._take(values, is_same_edit=False)

    def _take(self, values: dict[str, Any], is_same_edit: bool) -> None:
        self._edited = ""
        try:
            config = self._config.with_values(values)
        except ConfigError as error:
            for mistake in error.mistakes:
                self.rejected.emit(mistake.path, mistake.message)
            return
        self._step_to(config, is_same_edit=is_same_edit)

    def choose_model(self, source: str) -> None:
        """Take another model, with the recipe that suits it; what was changed by hand stays."""
        config, self._origin = moved(self._config, self._origin, source)
        self._step_to(config, force=True)

    def replace(self, config: RunConfig, *, as_origin: bool = False) -> None:
        """Take a whole config, as one step of undo; as the origin, marks are measured against it from now on."""
        if as_origin:
            self._origin = config
        self._step_to(config, force=as_origin)

    def is_changed(self, path: str) -> bool:
        """Whether the value differs from the origin's; a field the origin does not have counts as changed."""
        try:
            return self._config.value(path) != self._origin.value(path)
        except AttributeError:
            return False

    def reset(self, *paths: str) -> None:
        """Give settings the origin's values back."""
        self.set_many({path: self._origin.value(path) for path in paths})

    @property
    def can_undo(self) -> bool:
        return bool(self._undo)

    @property
    def can_redo(self) -> bool:
        return bool(self._redo)

    def undo(self) -> None:
        if self._undo:
            self._edited = ""
            self._redo.append(self._config)
            self._show(self._undo.pop())

    def redo(self) -> None:
        if self._redo:
            self._undo.append(self._config)
            self._show(self._redo.pop())

    def _step_to(self, config: RunConfig, *, force: bool = False, is_same_edit: bool = False) -> None:
        if config != self._config:
            if not (is_same_edit and self._undo):
                self._undo = [*self._undo[-MAX_UNDO + 1 :], self._config]
            self._redo.clear()
            self._show(config)
        elif force:
            self._show(config)

    def _show(self, config: RunConfig) -> None:
        self._config = config
        self.changed.emit(config)
        self.renamed.emit(self.name)

    @classmethod
    def restored(cls) -> Self:
        """The draft as the last window left it; a fresh one where there is none that can be read."""
        path = places.home() / "draft.yaml"
        try:
            return cls(RunConfig.load(path)) if path.exists() else cls()
        except HoneError:
            return cls()

    def keep(self) -> None:
        """Write the draft for the next window; a full disk costs only this convenience."""
        try:
            places.home().mkdir(parents=True, exist_ok=True)
            durable.write_file(places.home() / "draft.yaml", self._config.to_yaml())
        except OSError:
            return
