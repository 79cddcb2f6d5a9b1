"""What the columns of the data are for: the format that was found, and a field for each role, to be changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from app.pages.new_run.role_field import RoleField
from app.pages.new_run.shapes import SHAPES, in_words, mapping_of, shape_of, sureness
from app.state.chosen_data import ChosenData
from app.state.data_columns import DataColumns
from app.state.draft import Draft
from app.theme import Theme
from app.widgets.button import Button
from app.widgets.combo import Combo
from app.widgets.label import Label, set_tooltip
from app.widgets.option_list import Option, OptionList
from app.widgets.scrolled import scrolled
from app.widgets.words import ROLES, in_labels
from core.data.messages import short

if TYPE_CHECKING:
    from core.data.formats import Layout
    from core.data.row import Format

NARROW, WIDE = 150, 340
SHAPE_WIDTH = 220
SHARED = "The turns that both begin with."


class MappingTab(QWidget):
    """Edits are written to `data.mapping` once every role that the format needs is filled."""

    def __init__(self, draft: Draft, data: ChosenData, columns: DataColumns, theme: Theme) -> None:
        super().__init__()
        self._draft, self._data, self._columns = draft, data, columns
        self._shape: Format = "prompt"
        self._source = ""
        """Of the data that the fields were filled for."""
        self._focused = ""
        self.fields: dict[str, RoleField] = {}
        self.columns = OptionList(theme, "Columns of the data")
        self.columns.chosen.connect(self._insert)
        self.shape = Combo([(shape.title, name) for name, shape in SHAPES.items()])
        self.shape.setFixedHeight(32)
        self.shape.setFixedWidth(SHAPE_WIDTH)
        self.shape.setAccessibleName("Format of the rows")
        self.shape.activated.connect(lambda _: self._take_shape(self.shape.currentData()))
        self.found = Label("", "small", wrap=True)
        self.found.setContentsMargins(12, 0, 0, 0)  # as the columns above it
        self.guess = Button("", "link")
        self.guess.clicked.connect(self._take_guess)
        self.reset = Button("As detected", "link", tip="Forget the mapping and find the format out again")
        self.reset.clicked.connect(lambda: draft.set_many({"data.mapping": {}}))
        self.error = Label("", "error", wrap=True)
        self.nothing = Label("", "secondary", wrap=True)
        self._lay_out()
        columns.changed.connect(self._show)
        data.changed.connect(self._show)
        draft.changed.connect(self._show)
        draft.rejected.connect(self._reject)
        self._show()

    def _lay_out(self) -> None:
        self._left = QWidget()
        left = QVBoxLayout(self._left)
        left.setContentsMargins(0, 0, 0, 0)
        left.setSpacing(8)
        left.addWidget(_at_top(self.columns), 1)
        left.addWidget(self.found)
        top = QHBoxLayout()
        top.setSpacing(10)
        top.addWidget(self.shape)
        top.addStretch()
        top.addWidget(self.reset)
        fields = QWidget()
        fields.setObjectName("clear")
        self._field_column = QVBoxLayout(fields)
        self._field_column.setContentsMargins(0, 0, 8, 0)
        self._field_column.setSpacing(6)
        self._field_column.addStretch()
        right = QVBoxLayout()
        right.setSpacing(8)
        right.addLayout(top)
        right.addWidget(self.guess, 0, Qt.AlignmentFlag.AlignLeft)
        right.addWidget(self.error)
        right.addWidget(_at_top(fields), 1)
        self._both = QWidget()
        row = QHBoxLayout(self._both)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(16)
        row.addWidget(self._left)
        row.addLayout(right, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.nothing, 0, Qt.AlignmentFlag.AlignTop)
        column.addWidget(self._both)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._columns.look()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._left.setFixedWidth(min(max(NARROW, self.width() * 36 // 100), WIDE))

    @property
    def mapping(self) -> dict[str, str]:
        """The roles that are filled, as they stand in the fields."""
        return {role: field.text for role, field in self.fields.items() if field.text}

    # What is shown

    @property
    def _layout_found(self) -> Layout | None:
        return self._data.rows.layout if self._data.rows is not None else None

    def _show(self) -> None:
        found, config = self._columns.columns, self._draft.config
        names = [column.name for column in found.columns] if found else []
        self.nothing.setText(
            self._columns.error or ("Reading the columns …" if found is None else
            "Plain text has no columns: it is read piece by piece, and all of it is learnt.")
        )  # fmt: skip
        self.nothing.setVisible(not names)
        self._both.setVisible(bool(names))
        if found is None or not names:
            return
        self.columns.show_options([Option(one.name, one.name, one.sample) for one in found.columns], "")
        mapping = dict(config.data.mapping)
        self.reset.setVisible(bool(mapping))
        layout = self._layout_found
        if mapping or layout is not None:
            self._show_shape(
                shape_of(mapping) if mapping else cast("Format", layout.format if layout else "prompt")
            )
            shown = mapping or (mapping_of(layout, names) if layout else {})
            if not self._has_unfinished(shown):
                for role, field in self.fields.items():
                    field.show_text(shown.get(role, ""))
        else:
            is_other = self._data.source != self._source
            self._show_shape("prompt" if is_other else self._shape)
            for field in self.fields.values() if is_other else ():
                field.show_text("")
        self._source = self._data.source
        for field in self.fields.values():
            field.show_columns(names, self._columns.tree)
        self._tell(layout, bool(mapping))
        pair = found.pair if layout is None and not mapping else None
        self.guess.setVisible(pair is not None)
        if pair is not None:
            self.guess.setText(f"Take {short(pair[0])} as the prompt and {short(pair[1])} as the answer")

    def _take_guess(self) -> None:
        found = self._columns.columns
        if found is not None and found.pair is not None:
            self._draft.set("data.mapping", {"prompt": found.pair[0], "completion": found.pair[1]})

    def _has_unfinished(self, shown: dict[str, str]) -> bool:
        """Whether a person is in the middle of filling roles that the run does not know of yet."""
        missing = any(field.is_needed and not field.text for field in self.fields.values())
        return missing and bool(self.mapping) and bool(shown.keys() - self.fields.keys())

    def _tell(self, layout: Layout | None, is_mapped: bool) -> None:
        self.error.hide()  # what is wrong with the data as a whole stands at the head of the card
        if layout is None:
            words = "Say what each column is for." if self._data.error else "reading …"
        else:
            words = "set by hand" if is_mapped else f"{sureness(layout.confidence)} · {layout.seen}"
        self.found.setText(f"{words[:1].upper()}{words[1:]}")
        set_tooltip(self.shape, layout.seen if layout is not None else "")

    def _show_shape(self, name: Format) -> None:
        """Show the fields of a format."""
        name = in_words(name)
        self.shape.pick(name)
        if self._shape == name and self.fields:
            return
        self._shape = name
        for field in self.fields.values():
            self._field_column.removeWidget(field)
            field.hide()
            field.deleteLater()
        shape = SHAPES[name]
        self.fields = {role: RoleField(role, is_needed=role in shape.needed) for role in shape.roles}
        if name == "preference":
            self.fields["prompt"].unfilled = SHARED
        for place, field in enumerate(self.fields.values()):
            field.edited.connect(self._edit)
            field.entered.connect(self._focus)
            self._field_column.insertWidget(place, field)
        self._focused = shape.needed[0]

    # What a person does

    def _take_shape(self, name: Format) -> None:
        """Another format, with what is filled already kept where the roles have the same names."""
        kept = self.mapping
        self._show_shape(name)
        found = self._columns.columns
        names = [column.name for column in found.columns] if found else []
        for role, field in self.fields.items():
            field.show_columns(names, self._columns.tree)
            guess = next((column for column in names if column.casefold() in (role, ROLES[role].casefold())), "")
            field.show_text(kept.get(role, guess))
        self._write()

    def _edit(self, role: str) -> None:
        self._write()

    def _focus(self, role: str) -> None:
        self._focused = role

    def _insert(self, column: str) -> None:
        self.columns.show_options([row.option for row in self.columns.rows], "")
        if (field := self.fields.get(self._focused)) is not None:
            field.insert(column)

    def _write(self) -> None:
        """Hand the mapping to the draft, unless a role is still missing or wrong."""
        missing = [field for field in self.fields.values() if field.is_needed and not field.text]
        if missing:
            words = " and ".join(ROLES[field.role].lower() for field in missing)
            self.error.setText(f"Say which column is the {words}: press one at the left, or type its name.")
            self.error.show()
        elif not any(field.mistake for field in self.fields.values()):
            self.error.hide()
            self._draft.set("data.mapping", self.mapping)

    def _reject(self, path: str, message: str) -> None:
        if path.startswith("data.mapping"):
            self.error.setText(in_labels(message))
            self.error.show()


def _at_top(widget: QWidget) -> QScrollArea:
    inside = QWidget()
    inside.setObjectName("clear")
    column = QVBoxLayout(inside)
    column.setContentsMargins(0, 0, 0, 0)
    column.addWidget(widget)
    column.addStretch()
    return scrolled(inside)
