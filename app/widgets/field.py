"""One setting of a run: its name, its editor, what is wrong with it, and whether it was changed.

Type, range, unit, choices and help all come from the setting's declaration in core.config."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pydantic.fields import FieldInfo
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from app.theme import CONTROL_HEIGHT, Theme, restyle
from app.widgets import words
from app.widgets.button import Button
from app.widgets.combo import Combo
from app.widgets.label import Label, set_tooltip
from app.widgets.names_box import NamesBox
from app.widgets.number_box import NumberBox, Range
from app.widgets.switch import Switch
from core.config import choices, union_members
from core.yaml_text import as_text


class FieldFrame(QWidget):
    """The frame of one or two editors: name above, remark beneath, a mark and a reset when changed.

    `edited` carries a config path and what was entered, in range or not: the draft decides.
    """

    edited = Signal(str, object)
    reset_pressed = Signal()

    def __init__(self, paths: tuple[str, ...], name: str, help_text: str, theme: Theme, editors: QWidget) -> None:
        super().__init__()
        self.paths, self.name, self.help = paths, name, help_text
        self.is_wrong = False
        self._values: dict[str, Any] = {}
        self._label = Label(name, "small")
        self._label.setFixedHeight(20)
        self._changed = Label("●", "dot", tone="accent")
        set_tooltip(self._changed, "Changed from the preset")
        self._reset = Button("", "mini", tip="Reset", name=f"Reset {name}").set_icon(theme, "reset")
        self._reset.clicked.connect(lambda: self.reset_pressed.emit())
        self._remark = Label("", "error", wrap=True)
        self._remark.hide()
        top = QHBoxLayout()
        top.setContentsMargins(0, 0, 0, 0)
        top.setSpacing(6)
        top.addWidget(self._label)
        top.addWidget(self._changed)
        top.addStretch()
        top.addWidget(self._reset)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(top)
        column.addWidget(editors)
        column.addWidget(self._remark)
        column.addStretch()
        self._mark(False)
        set_tooltip(self, help_text)

    def editors(self) -> dict[str, QWidget]:
        """The editor of each path."""
        raise NotImplementedError

    def show_values(self, values: dict[str, Any], is_changed: bool = False) -> None:
        """Show values without emitting `edited`. What was typed wrongly stays, with its error, until one of
        these very settings gets another value."""
        self._mark(is_changed)
        if not (self.is_wrong and values == self._values):
            for path, editor in self.editors().items():
                show_in_editor(editor, values[path])
            self.clear_remark()
        self._values = values

    def show_error(self, sentence: str, path: str = "") -> None:
        self.is_wrong = True
        editors = self.editors()
        if isinstance(box := editors.get(path), NumberBox):
            sentence = box.limits.refusal(box.text()) or sentence
        self._remark_as("error", sentence)
        for own, editor in editors.items():
            restyle(editor, state="wrong" if path in ("", own) else "")

    def show_warning(self, sentence: str) -> None:
        if not self.is_wrong:
            self._remark_as("warning", sentence)

    def clear_remark(self) -> None:
        self.is_wrong = False
        self._remark.hide()
        self._remark.setText("")
        for editor in self.editors().values():
            restyle(editor, state="")

    @property
    def remark(self) -> str:
        """The sentence now shown beneath the editor."""
        return self._remark.text()

    def _remark_as(self, role: str, sentence: str) -> None:
        restyle(self._remark, role=role)
        self._remark.setText(words.in_labels(sentence))
        self._remark.show()

    def _mark(self, is_changed: bool) -> None:
        self._changed.setVisible(is_changed)
        self._reset.setVisible(is_changed)

    def _entered(self, path: str, value: Any) -> None:
        self.clear_remark()
        self.edited.emit(path, value)

    def _make(self, path: str, info: FieldInfo, theme: Theme, name: str) -> QWidget:
        editor = make_editor(path, info, theme, lambda value: self._entered(path, value))
        editor.setObjectName(path)
        editor.setAccessibleName(name)
        editor.setAccessibleDescription(info.description or "")
        editor.setFixedHeight(CONTROL_HEIGHT)
        set_tooltip(editor, info.description or "")
        return editor


class Field(FieldFrame):
    """One setting."""

    def __init__(self, path: str, info: FieldInfo, theme: Theme, *, name: str = "") -> None:
        shown = name or words.label(path)
        self.path = path
        self.editor = self._make(path, info, theme, shown)
        super().__init__((path,), shown, info.description or "", theme, self.editor)
        self._label.setBuddy(self.editor)

    def editors(self) -> dict[str, QWidget]:
        return {self.path: self.editor}


class PairField(FieldFrame):
    """Two numbers that are multiplied, such as batch × accumulation, under one name."""

    def __init__(
        self, first: tuple[str, FieldInfo], second: tuple[str, FieldInfo], name: str, theme: Theme
    ) -> None:
        row = QWidget()
        line = QHBoxLayout(row)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(6)
        self._editors: dict[str, QWidget] = {}
        for path, info in (first, second):
            editor = self._make(path, info, theme, words.label(path))
            if isinstance(editor, NumberBox):
                editor.limits = replace(editor.limits, unit="")
            if self._editors:
                line.addWidget(Label("×", "secondary"))
            line.addWidget(editor, 1)
            self._editors[path] = editor
        helps = " ".join(info.description or "" for _, info in (first, second))
        super().__init__((first[0], second[0]), name, helps, theme, row)

    def editors(self) -> dict[str, QWidget]:
        return self._editors


def make_editor(path: str, info: FieldInfo, theme: Theme, entered: Any) -> QWidget:
    """The editor that fits a setting's declaration; `entered` is called with each new value."""
    section, _, key = path.partition(".")
    kinds = (
        tuple(member.model_fields["kind"].default for member in union_members(section)) if key == "kind" else ()
    )
    if options := kinds or choices(info):
        combo = Combo([(words.choice(path, value), value) for value in options])
        combo.activated.connect(lambda _: entered(combo.currentData()))
        return combo
    if info.annotation is bool:
        switch = Switch(theme)
        switch.clicked.connect(entered)
        return switch
    if info.annotation in (int, float):
        box = NumberBox(range_of(path, info))
        box.edited.connect(entered)
        box.refused.connect(entered)
        return box
    if path == "method.targets":
        names = NamesBox()
        names.edited.connect(entered)
        return names
    line = QLineEdit()
    line.setPlaceholderText(words.empty(path))
    line.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    line.editingFinished.connect(lambda: entered(line.text()))
    return line


def show_in_editor(editor: QWidget, value: Any) -> None:
    """Show a value in an editor made by make_editor, emitting nothing."""
    if isinstance(editor, NumberBox):
        editor.show_value(value)
    elif isinstance(editor, NamesBox):
        editor.show_names(value)
    elif isinstance(editor, Combo):
        editor.pick(value)
    elif isinstance(editor, Switch):
        editor.setChecked(bool(value))
    elif isinstance(editor, QLineEdit) and editor.text() != (text := _as_line(value)):
        editor.setText(text)


def _as_line(value: Any) -> str:
    """A value as it can be typed: names with commas between, a mapping as in YAML without its braces."""
    if isinstance(value, tuple):
        return ", ".join(value)
    return as_text(value)[1:-1] if isinstance(value, dict) else value


def range_of(path: str, info: FieldInfo) -> Range:
    """The limits, scale and unit that a setting declares."""
    low, high, is_open = 0.0, float(2**31 - 1), False
    for limit in info.metadata:
        low = getattr(limit, "ge", None) if getattr(limit, "ge", None) is not None else low
        if getattr(limit, "gt", None) is not None:
            low, is_open = limit.gt, True
        high = getattr(limit, "le", None) if getattr(limit, "le", None) is not None else high
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    scale, unit = extra.get("scale", "linear"), str(extra.get("unit", ""))
    whole = info.annotation is int
    return Range(low, high, whole, scale, unit, words.zero(path), is_open)  # type: ignore[arg-type]
