"""Datasets on the Hugging Face Hub, asked for on a thread: by words, by their parts, by their first rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal

from app.state.background import Background, Ticket
from core.errors import HoneError

if TYPE_CHECKING:
    from core.data.hub import Dataset, HubPart, Preview

SHOWN_ROWS = 3


class HubDatasets(QObject):
    """`search`, then `look` at one, then at one of its `parts`. Only the latest question is answered."""

    changed = Signal()

    def __init__(self, background: Background) -> None:
        super().__init__()
        self._background = background
        self._ticket: Ticket | None = None
        self.doing = ""
        """What is being asked, in a few words; empty when nothing is."""
        self.error = ""
        self.found: list[Dataset] | None = None
        """None until a search has come back."""
        self.parts: list[HubPart] = []
        self.part: HubPart | None = None
        self.preview: Preview | None = None
        self.stored: frozenset[str] = frozenset()
        """The sources that are on this machine already."""

    def search(self, words: str) -> None:
        self.found, self.parts, self.part, self.preview = None, [], None, None
        self._ask("Searching the Hub …", lambda: _search(words), self._take_found)

    def look(self, name: str) -> None:
        """Ask for a dataset's parts."""
        self.parts, self.part, self.preview = [], None, None
        self._ask(f"Asking for the parts of {name} …", lambda: _parts(name), self._take_parts)

    def choose(self, part: HubPart) -> None:
        """Ask for a part's first rows; nothing of it is kept."""
        self.part, self.preview = part, None
        self._ask("Reading the first rows …", lambda: _preview(part), self._take_preview)

    def _ask(self, doing: str, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        if self._ticket is not None:
            self._ticket.drop()
        self.doing, self.error = doing, ""
        self._ticket = self._background.run(self, work, done, self._fail)
        self.changed.emit()

    def _take_found(self, found: list[Dataset]) -> None:
        self.found, self.doing = found, ""
        self.changed.emit()

    def _take_parts(self, answer: tuple[list[HubPart], HubPart | None, frozenset[str]]) -> None:
        self.parts, usual, self.stored = answer
        self.doing = ""
        self.choose(usual or self.parts[0])

    def _take_preview(self, preview: Preview) -> None:
        self.preview, self.doing = preview, ""
        self.changed.emit()

    def _fail(self, error: HoneError) -> None:
        self.doing, self.error = "", error.message
        self.changed.emit()


def _search(words: str) -> list[Dataset]:
    from core.data.hub import search

    return search(words, 8)


def _parts(name: str) -> tuple[list[HubPart], HubPart | None, frozenset[str]]:
    """All parts, the usual one, and which are here."""
    from core.data.hub import parts_of
    from core.data.hub_parts import choose, parse, stored_parts

    parts, wanted = parts_of(name), parse(name)
    fitting = [
        part for part in parts
        if wanted.config in ("", part.source.config) and wanted.split in ("", part.source.split)
    ]  # fmt: skip
    usual = choose([(part.source.config, part.source.split) for part in fitting]) if fitting else None
    chosen = next((part for part in fitting if (part.source.config, part.source.split) == usual), None)
    here = frozenset(str(part.source) for part in stored_parts(wanted.name))
    return parts, chosen, here


def _preview(part: HubPart) -> Preview:
    from core.data.hub import preview

    return preview(part, SHOWN_ROWS)
