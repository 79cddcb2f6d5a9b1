"""The settings in force in this window: changed one at a time, written at once."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from core.settings import Settings


class Preferences(QObject):
    """`changed` carries nothing; read `settings`."""

    changed = Signal()

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self._runs_at_start = settings.runs_folder

    @property
    def needs_restart(self) -> bool:
        """Whether the runs folder is another than the one this window opened."""
        return self.settings.runs_folder != self._runs_at_start

    def set(self, name: str, value: object) -> None:
        """Change one setting and write the file. Raises HoneError, with nothing changed."""
        changed = self.settings.with_value(name, value)
        if changed != self.settings:
            changed.save()
            self.settings = changed
            self.changed.emit()
