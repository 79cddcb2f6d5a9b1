"""The base model the draft names: its folder and facts, read on a thread, or the reason it cannot be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from app.state.background import Background, Ticket
from app.state.draft import Draft
from core.config import RunConfig
from core.errors import HoneError

if TYPE_CHECKING:
    from core.models.catalogue import CatalogueModel
    from core.models.facts import ModelFacts
    from core.models.source import ModelFolder


class ChosenModel(QObject):
    """Either `facts` and `folder` are there, or `error` is, or it is still being read.

    `known` beside an error is what the catalogue says of a model that is not on this machine: enough to plan with.
    """

    changed = Signal()

    def __init__(self, draft: Draft, background: Background) -> None:
        super().__init__()
        self._background = background
        self._ticket: Ticket | None = None
        self._named: tuple[str, str] = ("", "")
        self.folder: ModelFolder | None = None
        self.facts: ModelFacts | None = None
        self.known: ModelFacts | None = None
        self.listed: CatalogueModel | None = None
        """The catalogue's own words on it, or on a model of its shape, beside `known`."""
        self.error = ""
        draft.changed.connect(self._follow)
        self._follow(draft.config)

    @property
    def source(self) -> str:
        return self._named[0]

    @property
    def is_reading(self) -> bool:
        return self.facts is None and not self.error

    def look_again(self) -> None:
        """Read again, as after a download."""
        if self._ticket is not None:
            self._ticket.drop()
        self.folder, self.facts, self.known, self.listed, self.error = None, None, None, None, ""
        source, revision = self._named
        self._ticket = self._background.run(self, lambda: _read(source, revision), self._found, self._failed)
        self.changed.emit()

    def _follow(self, config: RunConfig) -> None:
        named = config.model.source, config.model.revision
        if named != self._named:
            self._named = named
            self.look_again()

    def _found(self, found: tuple[ModelFolder, ModelFacts]) -> None:
        self.folder, self.facts = found
        self.changed.emit()

    def _failed(self, error: HoneError) -> None:
        from core.models.catalogue import catalogue, known_facts

        self.error, self.known = error.message, known_facts(self.source)
        if self.known is not None:
            self.listed = next(one for one in catalogue() if self.source in (one.name, *one.siblings))
        self.changed.emit()


def _read(source: str, revision: str) -> tuple[ModelFolder, ModelFacts]:
    from core.models.facts import read_facts
    from core.models.source import find_model

    folder = find_model(source, revision)
    return folder, read_facts(folder.path)
