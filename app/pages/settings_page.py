"""Settings: appearance, folders, and what this machine has."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QGridLayout, QHBoxLayout, QVBoxLayout, QWidget

from app.state.background import Background
from app.state.preferences import Preferences
from app.theme import FIELD_GAP, PAGE_MARGIN, Theme
from app.widgets.button import Button, Chip
from app.widgets.card import Card
from app.widgets.label import ElidedLabel, Label
from app.widgets.scrolled import scrolled
from core import places
from core.errors import HoneError
from core.figures import size
from core.settings import settings_file

APPEARANCES = {"system": "As the system", "light": "Light", "dark": "Dark"}


class SettingsPage(QWidget):
    """Each choice is kept at once."""

    def __init__(self, preferences: Preferences, theme: Theme, background: Background) -> None:
        super().__init__()
        self.setObjectName("page")
        self._preferences, self._theme = preferences, theme
        self._model_rows: list[QWidget] = []
        self.error = Label("", "error", wrap=True)
        self.error.hide()
        inside = QWidget()
        inside.setObjectName("scrolled")
        inside.setMaximumWidth(820)
        column = QVBoxLayout(inside)
        column.setContentsMargins(PAGE_MARGIN, PAGE_MARGIN, PAGE_MARGIN, PAGE_MARGIN)
        column.setSpacing(12)
        column.addWidget(Label("Settings", "title"))
        column.addSpacing(4)
        column.addWidget(self.error)
        column.addWidget(self._appearance_card())
        column.addWidget(self._folders_card())
        self._devices = Card("This machine", "What training can use")
        self._device_rows = QGridLayout()
        self._device_rows.setHorizontalSpacing(16)
        self._device_rows.setColumnStretch(1, 1)
        self._devices.body.addLayout(self._device_rows)
        column.addWidget(self._devices)
        column.addStretch(1)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(scrolled(inside))
        preferences.changed.connect(self._show)
        self._show()
        background.run(self, _devices, self._show_devices)

    def _appearance_card(self) -> Card:
        card = Card("Appearance")
        self.appearance_chips = {name: Chip(title, checkable=True) for name, title in APPEARANCES.items()}
        for name, chip in self.appearance_chips.items():
            chip.clicked.connect(lambda _=False, name=name: self._set("appearance", name))
            card.add_to_header(chip)
        return card

    def _folders_card(self) -> Card:
        card = Card("Folders")
        self.runs_folder = ElidedLabel("", mode=Qt.TextElideMode.ElideMiddle)
        change, default = Button("Change …"), Button("Hone's own", "quiet")
        change.clicked.connect(self._pick_runs_folder)
        default.clicked.connect(lambda: self._set("runs", ""))
        self._default = default
        card.body.addLayout(_line("Runs", self.runs_folder, default, change))
        self._models = QVBoxLayout()
        self._models.setSpacing(FIELD_GAP)
        card.body.addLayout(self._models)
        add = Button("Add a folder …")
        add.clicked.connect(self._add_model_folder)
        hint = ElidedLabel("Looked through beside the Hugging Face cache", "secondary")
        card.body.addLayout(_line("Models", hint, add))
        kept = ElidedLabel(str(settings_file()), "secondary", mode=Qt.TextElideMode.ElideMiddle)
        cache = ElidedLabel(str(places.cache_folder()), "secondary", mode=Qt.TextElideMode.ElideMiddle)
        card.body.addLayout(_line("Settings", kept))
        card.body.addLayout(_line("Cache", cache))
        self._note = Label("", "small", wrap=True)
        card.body.addWidget(self._note)
        return card

    def _pick_runs_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(
            self, "Folder for runs", str(self._preferences.settings.runs_folder)
        )
        if folder:
            self._set("runs", folder)

    def _add_model_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder of models")
        folders = self._preferences.settings.model_folders
        if folder and folder not in folders:
            self._set("model_folders", (*folders, folder))

    def _show_model_folders(self, folders: tuple[str, ...]) -> None:
        while self._model_rows:
            row = self._model_rows.pop()
            self._models.removeWidget(row)
            row.hide()
            row.deleteLater()
        for folder in folders:
            row = QWidget()
            line = QHBoxLayout(row)
            line.setContentsMargins(88 + 8, 0, 0, 0)
            line.addWidget(ElidedLabel(folder, mode=Qt.TextElideMode.ElideMiddle), 1)
            remove = Button("Remove", "quiet", name=f"Remove {folder}")
            remove.clicked.connect(lambda _=False, folder=folder: self._forget(folder))
            line.addWidget(remove)
            self._models.addWidget(row)
            self._model_rows.append(row)

    def _forget(self, folder: str) -> None:
        left = tuple(kept for kept in self._preferences.settings.model_folders if kept != folder)
        self._set("model_folders", left)

    def _set(self, name: str, value: object) -> None:
        try:
            self._preferences.set(name, value)
        except HoneError as error:
            self.error.setText(error.message)
            self.error.show()
        else:
            self.error.hide()
        self._show()

    def _show(self) -> None:
        settings = self._preferences.settings
        for name, chip in self.appearance_chips.items():
            chip.setChecked(settings.appearance == name)
        self.runs_folder.setText(str(settings.runs_folder))
        self._default.setVisible(bool(settings.runs))
        self._show_model_folders(settings.model_folders)
        moved = self._preferences.needs_restart
        self._note.setText("The new runs folder is used from the next start on." if moved else "")
        self._note.setVisible(moved)

    def _show_devices(self, devices: list) -> None:
        for row, device in enumerate(devices):
            self._device_rows.addWidget(
                Label({"cpu": "CPU", "cuda": "GPU", "mps": "GPU"}[device.kind], "secondary"), row, 0
            )
            self._device_rows.addWidget(ElidedLabel(device.name), row, 1)
            amount = f"{size(device.free_bytes)} free of {size(device.total_bytes)}"
            self._device_rows.addWidget(Label(amount, "number"), row, 2)


def _line(name: str, *widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(8)
    title = Label(name, "secondary")
    title.setFixedWidth(88)
    row.addWidget(title)
    for index, widget in enumerate(widgets):
        row.addWidget(widget, 0 if index else 1)
    return row


def _devices() -> list:
    from core.hardware import devices

    return devices()
