"""The datasets that are mixed in: each with how often its rows are seen, and a way to take it out again."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app.state.draft import Draft
from app.theme import Theme
from app.widgets.button import Button
from app.widgets.label import ElidedLabel, Label
from app.widgets.number_box import NumberBox, Range
from core.config import RunConfig
from core.errors import HoneError

WEIGHTS = Range(0.01, 1000, is_whole=False, scale="log")


class MixList(QWidget):
    """Bound to `data.more`; nothing is shown while nothing is mixed in."""

    def __init__(self, draft: Draft, theme: Theme) -> None:
        super().__init__()
        self._draft, self._theme = draft, theme
        self.rows: list[MixRow] = []
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(4)
        self._column.addWidget(Label("Mixed in; 2 times means that each row is seen twice", "small"))
        draft.changed.connect(self._show)
        self._show(draft.config)

    def add(self, source: str) -> None:
        """Mix in another source, once."""
        self._draft.set_many({"data.more": (*self._draft.config.data.more, source)})

    def _show(self, config: RunConfig) -> None:
        more = config.data.more
        self.setVisible(bool(more))
        while len(self.rows) < len(more):
            row = MixRow(len(self.rows), self._theme)
            row.weight.edited.connect(lambda weight, row=row: self._weigh(row.place, weight))
            row.remove.clicked.connect(lambda _=False, row=row: self._remove(row.place))
            self.rows.append(row)
            self._column.addWidget(row)
        for row, entry in zip(self.rows, more, strict=False):
            row.show_entry(*_parted(entry))
        for row in self.rows[len(more) :]:
            row.hide()

    def _weigh(self, place: int, weight: float) -> None:
        more = list(self._draft.config.data.more)
        source = _parted(more[place])[1]
        more[place] = source if weight == 1 else f"{weight:g}*{source}"
        self._draft.set("data.more", tuple(more))

    def _remove(self, place: int) -> None:
        more = self._draft.config.data.more
        self._draft.set_many({"data.more": (*more[:place], *more[place + 1 :])})


class MixRow(QWidget):
    """One of them."""

    def __init__(self, place: int, theme: Theme) -> None:
        super().__init__()
        self.place = place
        self.weight = NumberBox(WEIGHTS)
        self.weight.setFixedWidth(96)
        self.weight.setAccessibleName("How often its rows are seen")
        self.name = ElidedLabel("")
        self.remove = Button("", "mini", tip="Take it out", name="Take it out").set_icon(theme, "close")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self.weight)
        row.addWidget(Label("×", "secondary"))
        row.addWidget(self.name, 1)
        row.addWidget(self.remove)

    def show_entry(self, weight: float, source: str) -> None:
        self.weight.show_value(weight)
        self.name.setText(source)
        self.show()


def _parted(entry: str) -> tuple[float, str]:
    """An entry's weight and its source; what cannot be read is shown as it is."""
    from core.data.mix import parse_sources

    try:
        found = parse_sources("", (entry,))[1]
    except HoneError:
        return 1.0, entry
    return found.weight, found.source
