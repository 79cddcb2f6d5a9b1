"""The ways to choose a base model: one on this machine, one of the catalogue, a folder, or a name on the Hub."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from app.pages.new_run.download_row import DownloadRow
from app.pages.new_run.known_models import TONES, KnownModels
from app.state.background import Background
from app.state.download import Download
from app.state.draft import Draft
from app.state.planner import Planner
from app.state.preferences import Preferences
from app.theme import Theme, restyle
from app.widgets.button import Button
from app.widgets.label import Label, hairline
from app.widgets.option_list import Option, OptionList
from core.config import RunConfig
from core.errors import HoneError
from core.figures import size
from core.methods.presets import moved

if TYPE_CHECKING:
    from core.hardware import Device
    from core.memory.calibration import PastPeak


class ModelChooser(QWidget):
    """Sets the draft's model; `fetch` downloads one first."""

    chose = Signal()

    def __init__(
        self, draft: Draft, planner: Planner, preferences: Preferences, background: Background, theme: Theme
    ) -> None:
        super().__init__()
        self._draft, self._preferences, self._background = draft, preferences, background
        self._planner = planner
        self.download = Download()
        self.options = OptionList(theme, "Models on this machine")
        self.options.chosen.connect(self._choose)
        self.known = KnownModels(draft, planner, background, theme)
        self.known.chosen.connect(self._choose)
        self.known.settled.connect(self._look_here)
        self._folder = Button("Open a folder …").set_icon(theme, "folder")
        self._folder.clicked.connect(self._pick_folder)
        self.hub_name = QLineEdit()
        self.hub_name.setObjectName("model.source")
        self.hub_name.setPlaceholderText("Hugging Face name, such as Qwen/Qwen3-0.6B")
        self.hub_name.setAccessibleName("Hugging Face name or folder")
        self.hub_name.returnPressed.connect(self._use_name)
        self._fetch = Button("Download").set_icon(theme, "download")
        self._fetch.clicked.connect(self._start_download)
        self.hub_error = Label("", "error", wrap=True)
        self.hub_error.hide()
        self.progress = DownloadRow(self.download)
        self._lay_out()
        self.download.changed.connect(self._show_download)
        self.download.failed.connect(self._show_hub_error)
        draft.changed.connect(self._mark)
        self._show_download()

    def _lay_out(self) -> None:
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self._folder)
        row.addWidget(self.hub_name, 1)
        row.addWidget(self._fetch)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(hairline())
        column.addWidget(self.options)
        column.addWidget(self.known)
        column.addLayout(row)
        column.addWidget(self.progress)
        column.addWidget(self.hub_error)

    def look(self) -> None:
        """List the models on this machine and on the Hub."""
        self._look_here()
        self.known.look()

    def _look_here(self) -> None:
        """Done on a thread, since caches can be large."""
        folders = self._preferences.settings.model_folders
        config, origin = self._draft.config, self._draft.origin
        device, past = self._planner.device, self._planner.past
        self._background.run(self, lambda: _models_here(folders, config, origin, device, past), self._list)

    def _list(self, options: list[Option]) -> None:
        self.options.show_options(options, self._draft.config.model.source)

    def _mark(self) -> None:
        if not self.isHidden():
            self.options.show_options([row.option for row in self.options.rows], self._draft.config.model.source)

    def _choose(self, source: str) -> None:
        self._draft.choose_model(source)
        self.chose.emit()

    def _pick_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder of a model")
        if folder:
            self._choose(folder)

    def _use_name(self) -> None:
        if name := self.hub_name.text().strip():
            self._choose(name)

    def fetch(self, name: str) -> None:
        """Download a model by its Hub name."""
        self.hub_name.setText(name)
        self._start_download()

    def _start_download(self) -> None:
        name = self.hub_name.text().strip()
        if not is_hub_name(name):
            self._show_hub_error("Type the name of a model on the Hub, such as Qwen/Qwen3-0.6B.")
            return
        self._show_hub_error("")
        wanted = self._draft.config.model
        self.download.start(name, wanted.revision if name == wanted.source else "")

    def _show_hub_error(self, sentence: str) -> None:
        self.hub_error.setText(sentence)
        self.hub_error.setVisible(bool(sentence))
        restyle(self.hub_name, state="wrong" if sentence else "")

    def _show_download(self) -> None:
        self.progress.setVisible(self.download.is_running)
        self._fetch.setEnabled(not self.download.is_running)


def is_hub_name(source: str) -> bool:
    """Whether a source can only be meant as a name on the Hub."""
    return bool(re.fullmatch(r"[\w.-]+(/[\w.-]+)?", source)) and not source.startswith((".", "~"))


def _models_here(
    folders: tuple[str, ...],
    config: RunConfig,
    origin: RunConfig,
    device: Device | None,
    past: tuple[PastPeak, ...],
) -> list[Option]:
    from core.models.cache import models_on_disk
    from core.models.source import STARTER

    return [
        Option(
            model.source,
            model.name,
            model.flaw
            or ("bundled: small, quick, made for trying things" if model.source.startswith(STARTER) else ""),
            "not whole" if model.flaw else f"{size(model.num_bytes)} on disk",
            ""
            if model.flaw or device is None
            else _tone(model.source, moved(config, origin, model.source)[0], device, past),
        )
        for model in models_on_disk(folders)
    ]


def _tone(source: str, config: RunConfig, device: Device, past: tuple[PastPeak, ...]) -> str:
    """Of the dot of a model on this machine; none for one that cannot be judged."""
    from core.memory.estimate import estimate
    from core.models.facts import read_facts
    from core.models.source import locate_model

    try:
        facts = read_facts(locate_model(source).path)
    except HoneError:
        return ""
    return TONES[estimate(config, facts, device, past=past, with_suggestions=False).verdict]
