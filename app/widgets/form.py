"""Fields bound to one draft: edits go to the draft, and the draft alone says what the fields show."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from app.state.draft import Draft
from app.theme import Theme
from app.widgets.field import Field, FieldFrame, PairField
from core.config import RunConfig, field_at, unwise


class Form(QObject):
    """Makes fields by config path. A field whose setting the chosen method lacks is greyed."""

    wrong_changed = Signal()

    def __init__(self, draft: Draft, theme: Theme, parent: QObject) -> None:
        super().__init__(parent)
        self._draft, self._theme = draft, theme
        self.fields: list[FieldFrame] = []
        draft.changed.connect(self._show)
        draft.rejected.connect(self._reject)

    def add(self, path: str, *, name: str = "", of: RunConfig | None = None) -> Field:
        """The field of a config path, showing the draft's value from now on. `of` is a config that has the path,
        for one that the draft's present method lacks."""
        field = Field(path, field_at(of or self._draft.config, path), self._theme, name=name)
        self._bind(field)
        return field

    def add_pair(self, first: str, second: str, name: str) -> PairField:
        """One field for two numbers that are multiplied."""
        config = self._draft.config
        field = PairField((first, field_at(config, first)), (second, field_at(config, second)), name, self._theme)
        self._bind(field)
        return field

    def remove(self, field: FieldFrame) -> None:
        """Take a field out of the form and off the screen."""
        self.fields.remove(field)
        field.hide()
        field.deleteLater()

    @property
    def wrong(self) -> list[FieldFrame]:
        """Fields whose text was not taken."""
        return [field for field in self.fields if field.is_wrong]

    def _bind(self, field: FieldFrame) -> None:
        field.edited.connect(self._edit)
        field.reset_pressed.connect(lambda: self._draft.reset(*field.paths))
        self.fields.append(field)
        self._show_one(field, self._draft.config, _warnings(self._draft.config))

    def _edit(self, path: str, value: object) -> None:
        self._draft.set(path, value)
        self.wrong_changed.emit()

    def _show(self, config: RunConfig) -> None:
        warnings = _warnings(config)
        for field in self.fields:
            self._show_one(field, config, warnings)

    def _show_one(self, field: FieldFrame, config: RunConfig, warnings: dict[str, str]) -> None:
        try:
            values = {path: config.value(path) for path in field.paths}
        except AttributeError:
            field.setEnabled(False)
            field.clear_remark()
            return
        field.setEnabled(True)
        field.show_values(values, any(self._draft.is_changed(path) for path in field.paths))
        for path in field.paths:
            if path in warnings:
                field.show_warning(warnings[path])

    def _reject(self, path: str, message: str) -> None:
        for field in self.fields:
            if path in field.paths:
                field.show_error(message, path)


def _warnings(config: RunConfig) -> dict[str, str]:
    return {mistake.path: mistake.message for mistake in unwise(config)}
