"""Every setting of a run in named groups, with a search over names and help."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QGridLayout, QLineEdit, QVBoxLayout, QWidget

from app.state.draft import Draft
from app.widgets import words
from app.widgets.field import Field
from app.widgets.form import Form
from app.widgets.label import Label, hairline
from core.config import RunConfig, fields

SHOWN_ELSEWHERE = {"model.source", "model.revision", "data.source", "method.kind"}
FOR_SEVERAL_GPUS = "runtime.processes"
FOR_SEVERAL_PROCESSES = "runtime.sharding"
NUM_COLUMNS = 4
GROUPS = (("model",), ("data",), ("method", "objective"), ("optim",), ("memory",), ("evaluation",), ("runtime",))


class AllSettings(QWidget):
    """Groups follow the config's sections; the method's group changes with the method. How many processes train is
    asked only where there is more than one GPU, and how they share the base only where there are several."""

    def __init__(self, draft: Draft, form: Form, has_several_gpus: Callable[[], bool] = lambda: False) -> None:
        super().__init__()
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search settings")
        self.search.setAccessibleName("Search settings")
        self.search.setClearButtonEnabled(False)
        self.search.textChanged.connect(self._filter)
        self._nothing = Label("No setting has that in its name or help.", "secondary")
        self._nothing.hide()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(12)
        column.addWidget(self.search)
        column.addWidget(self._nothing)
        self._groups = [_Group(sections, draft, form, has_several_gpus, self) for sections in GROUPS]
        for group in self._groups:
            column.addWidget(group)

    def _filter(self, text: str) -> None:
        shown = [group.filter(text.strip().casefold()) for group in self._groups]
        self._nothing.setVisible(not any(shown))


class _Group(QWidget):
    def __init__(
        self,
        sections: tuple[str, ...],
        draft: Draft,
        form: Form,
        has_several_gpus: Callable[[], bool],
        parent: QWidget,
    ) -> None:
        super().__init__(parent)  # without one it would flash up as a window
        self._sections, self._form, self._has_several_gpus = sections, form, has_several_gpus
        self._fields: list[Field] = []
        self._shown: tuple[list[type], list[str]] = ([], [])
        self._text = ""
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(14)
        self._grid.setVerticalSpacing(10)
        for number in range(NUM_COLUMNS):
            self._grid.setColumnStretch(number, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(hairline())
        column.addWidget(Label(" and ".join(words.SECTIONS[name] for name in sections), "caption"))
        column.addLayout(self._grid)
        draft.changed.connect(self._fill)
        self._fill(draft.config)

    def filter(self, text: str) -> bool:
        """Show only the fields that have the text in their name, path or help; whether any has."""
        self._text = text
        shown = [field for field in self._fields if _matches(field, text)]
        for field in self._fields:
            self._grid.removeWidget(field)
        for index, field in enumerate(shown):
            self._grid.addWidget(field, index // NUM_COLUMNS, index % NUM_COLUMNS)
        for field in self._fields:
            field.setVisible(field in shown)
        self.setHidden(not shown)
        return bool(shown)

    def _fill(self, config: RunConfig) -> None:
        sections = {name: getattr(config, name) for name in self._sections}
        hidden = set(SHOWN_ELSEWHERE)
        if config.runtime.processes == 1 and not self._has_several_gpus():
            hidden.add(FOR_SEVERAL_GPUS)
        if config.runtime.processes == 1 or config.method.kind == "full":
            hidden.add(FOR_SEVERAL_PROCESSES)
        paths = [f"{name}.{key}" for name, section in sections.items() for key, _ in fields(section)]
        types, paths = [type(section) for section in sections.values()], [p for p in paths if p not in hidden]
        if (types, paths) == self._shown:
            return
        self._shown = types, paths
        for field in self._fields:
            self._form.remove(field)
        self._fields = [self._form.add(path) for path in paths]
        self.filter(self._text)


def _matches(field: Field, text: str) -> bool:
    return text in f"{field.name} {field.path} {field.help}".casefold()
