"""What decides how a row reads to the model: its chat template, and whose words are learnt."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QVBoxLayout, QWidget

from app.state.draft import Draft
from app.widgets import words
from app.widgets.button import Chip
from app.widgets.combo import Combo
from app.widgets.label import ElidedLabel, Label, set_tooltip
from core.config import RunConfig, choices, field_at
from core.sections import SPEAKERS

NARROW = 340
"""Below this width the drop-downs stand without their names."""
AUTO, OWN_FILE = "auto", ""
NAMES = {
    "alpaca": "Alpaca", "chatml": "ChatML", "gemma": "Gemma", "llama3": "Llama 3", "mistral": "Mistral",
    "phi": "Phi", "plain": "Plain headings", "vicuna": "Vicuna", "zephyr": "Zephyr",
}  # fmt: skip
FILES = "Chat templates (*.jinja *.j2 *.txt);;All files (*)"


class SightChoosers(QWidget):
    """Two drop-downs bound to the draft, and a chip for each role where roles are chosen by hand."""

    def __init__(self, draft: Draft) -> None:
        super().__init__()
        self._draft = draft
        self._has_template = True
        self._has_turns = True
        self.template = self._combo("data.template", 152)
        self.train_on = self._combo("data.train_on", 124)
        for value in choices(field_at(draft.config, "data.train_on")):
            self.train_on.addItem(words.choice("data.train_on", value), value)
        self.template.activated.connect(self._choose_template)
        self.train_on.activated.connect(lambda _: draft.set("data.train_on", self.train_on.currentData()))
        top = QHBoxLayout()
        top.setSpacing(8)
        self._labels = [ElidedLabel("Template", "small"), ElidedLabel("Train on", "small")]
        for label, combo in zip(self._labels, (self.template, self.train_on), strict=True):
            top.addWidget(label)
            top.addWidget(combo, 1)
        top.addStretch()
        self.roles: dict[str, Chip] = {}
        self._role_row = QWidget()
        chips = QHBoxLayout(self._role_row)
        chips.setContentsMargins(0, 0, 0, 0)
        chips.setSpacing(6)
        for role in SPEAKERS:
            chip = Chip({"user": "prompt", "assistant": "answer"}.get(role, role), checkable=True)
            set_tooltip(chip, f"Learn to write {role} messages")
            chip.clicked.connect(self._choose_roles)
            self.roles[role] = chip
            chips.addWidget(chip)
        chips.addStretch()
        self.error = Label("", "error", wrap=True)
        self.error.hide()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(top)
        column.addWidget(self._role_row)
        column.addWidget(self.error)
        draft.changed.connect(self._show)
        draft.rejected.connect(self._reject)
        self._list_templates()
        self._show(draft.config)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        for label in self._labels:
            label.setVisible(self.width() >= NARROW)

    def show_facts(self, *, has_template: bool, has_turns: bool) -> None:
        """Whether the model brings a template of its own, and whether rows have turns for one to write."""
        if (has_template, has_turns) != (self._has_template, self._has_turns):
            self._has_template, self._has_turns = has_template, has_turns
            self._list_templates()
            self._show(self._draft.config)

    def _combo(self, path: str, width: int) -> Combo:
        combo = Combo()
        combo.setObjectName(path)
        combo.setAccessibleName(words.label(path))
        combo.setFixedHeight(32)
        combo.setMinimumWidth(80)
        combo.setMaximumWidth(width)
        set_tooltip(combo, field_at(self._draft.config, path).description or "")
        return combo

    def _list_templates(self) -> None:
        from core.data.templates import template_names

        chosen = self._draft.config.data.template
        self.template.clear()
        self.template.addItem("The model's own" if self._has_template else "None: plain headings", AUTO)
        names = template_names()
        for name in names:
            self.template.addItem(NAMES.get(name, name), name)
        if chosen != AUTO and chosen not in names:
            self.template.addItem(Path(chosen).name, chosen)
        self.template.insertSeparator(self.template.count())
        self.template.addItem("Your own file …", OWN_FILE)
        self.template.pick(chosen)

    def _choose_template(self) -> None:
        if (choice := self.template.currentData()) != OWN_FILE:
            self._draft.set("data.template", choice)
            return
        path, _ = QFileDialog.getOpenFileName(self, "Chat template in Jinja", "", FILES)
        if path:
            self._draft.set("data.template", path)
        self._list_templates()

    def _choose_roles(self) -> None:
        self._draft.set("data.roles", tuple(role for role, chip in self.roles.items() if chip.isChecked()))

    def _reject(self, path: str, message: str) -> None:
        if path.startswith(("data.template", "data.train_on", "data.roles")):
            self.error.setText(words.in_labels(message))
            self.error.show()

    def _show(self, config: RunConfig) -> None:
        self.error.hide()
        data, learns_turns = config.data, config.objective.kind != "pretrain" and self._has_turns
        if self.template.findData(data.template, Qt.ItemDataRole.UserRole) < 0:
            self._list_templates()
        self.template.pick(data.template)
        self.train_on.pick(data.train_on if learns_turns else "all")
        self.template.setEnabled(self._has_turns)
        self.train_on.setEnabled(learns_turns)
        self._role_row.setVisible(learns_turns and data.train_on == "roles")
        for role, chip in self.roles.items():
            chip.setChecked(role in data.roles)
