"""The model card: one line about the chosen base model, and the ways to choose another."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QLineEdit, QProgressBar, QVBoxLayout, QWidget

from app.pages.new_run.known_models import TONES, KnownModels
from app.state.background import Background
from app.state.chosen_model import ChosenModel
from app.state.download import Download
from app.state.draft import Draft
from app.state.planner import Planner
from app.state.preferences import Preferences
from app.theme import Theme, restyle
from app.widgets.button import Button
from app.widgets.card import Card
from app.widgets.label import Label, hairline
from app.widgets.option_list import Option, OptionList
from app.widgets.pairs import Pairs
from core.config import RunConfig
from core.errors import HoneError
from core.figures import count, duration, size, whole

if TYPE_CHECKING:
    from core.hardware import Device
    from core.memory.calibration import PastPeak
    from core.models.facts import ModelFacts

ABSENT = "Not on this machine yet. You can plan with it now, and train once it is here."


class ModelCard(Card):
    """Collapsed to one line while a model is chosen and readable."""

    def __init__(
        self,
        draft: Draft,
        model: ChosenModel,
        planner: Planner,
        preferences: Preferences,
        background: Background,
        theme: Theme,
    ) -> None:
        super().__init__("Model", " ")
        self._draft, self._model = draft, model
        self._name = Label("", "strong")
        self.header.insertWidget(1, self._name)
        self._change = Button("Change")
        self._change.clicked.connect(self._toggle)
        self.add_to_header(self._change)
        self.error = Label("", "error", wrap=True)
        self.error.setObjectName("model-error")
        self._make_chooser = lambda: ModelChooser(draft, planner, preferences, background, theme)
        self._chooser: ModelChooser | None = None
        self._facts = Pairs()
        self._facts.hide()
        self._get = Button("Download").set_icon(theme, "download")
        self._get.clicked.connect(self._download)
        beside = QHBoxLayout()
        beside.addWidget(self.error, 1)
        beside.addWidget(self._get, 0, Qt.AlignmentFlag.AlignTop)
        self.body.addLayout(beside)
        self.body.addWidget(self._facts)
        model.changed.connect(self._show)
        draft.rejected.connect(self._reject)
        self._show()

    @property
    def chooser(self) -> ModelChooser:
        """The ways to choose, built when first asked for."""
        if self._chooser is None:
            self._chooser = self._make_chooser()
            self._chooser.hide()
            self._chooser.chose.connect(self._collapse)
            self._chooser.download.finished.connect(self._downloaded)
            self.body.addWidget(self._chooser)
        return self._chooser

    def _toggle(self) -> None:
        self._expand() if self.chooser.isHidden() else self._collapse()

    def _expand(self) -> None:
        self.chooser.look()
        self.chooser.show()
        self._facts.setVisible(self._model.facts is not None)
        self._change.setText("Close")

    def _collapse(self) -> None:
        self.chooser.hide()
        self._facts.hide()
        self._change.setText("Change")

    def _download(self) -> None:
        """The remedy beside the error: fetch the model that the draft already names."""
        self._expand()
        self.chooser.fetch(self._model.source)

    def _downloaded(self, source: str) -> None:
        if self._draft.config.model.source == source:
            self._model.look_again()
        else:
            self._draft.choose_model(source)

    def _reject(self, path: str, message: str) -> None:
        if path in ("model.source", "model.revision"):
            self._show_error(message)

    def _show_error(self, sentence: str, is_wrong: bool = True) -> None:
        self.error.setText(sentence)
        self.error.setVisible(bool(sentence))
        restyle(self.error, role="error" if is_wrong else "secondary")
        self._get.setVisible(bool(sentence) and is_hub_name(self._model.source))
        restyle(self, state="wrong" if sentence and is_wrong else "")

    def _show(self) -> None:
        facts, folder, known = self._model.facts, self._model.folder, self._model.known
        self._name.setText(_short(folder.name if folder else self._model.source))
        if known is not None:
            self._show_error(ABSENT, is_wrong=False)
            self.set_summary(f"{count(known.num_parameters)} · {whole(known.max_positions)} context")
            return
        self._show_error(self._model.error)
        if facts is None or folder is None:
            self.set_summary("cannot be used" if self._model.error else "reading …")
            return
        words = [count(facts.num_parameters)]
        if facts.max_positions:
            words.append(f"{whole(facts.max_positions)} context")
        words.append(f"{size(facts.bytes_on_disk)} on disk")
        words.append(facts.licence or "no licence stated")
        self.set_summary(" · ".join(words))
        self._facts.show_pairs(_pairs(facts))


class ModelChooser(QWidget):
    """Models on this machine, a folder, or a name on the Hub with its download."""

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
        config, device, past = self._draft.config, self._planner.device, self._planner.past
        self._background.run(self, lambda: _models_here(folders, config, device, past), self._list)

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


class DownloadRow(QWidget):
    """A bar, the bytes, the speed, the time left, and Cancel."""

    def __init__(self, download: Download) -> None:
        super().__init__()
        self._download = download
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName("Download")
        self._words = Label("", "small")
        self._cancel = Button("Cancel", "quiet")
        self._cancel.clicked.connect(download.cancel)
        row = QHBoxLayout()
        row.addWidget(self._words, 1)
        row.addWidget(self._cancel)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self._bar)
        column.addLayout(row)
        download.changed.connect(self._show)

    def _show(self) -> None:
        done, total, speed = self._download.done_bytes, self._download.total_bytes, self._download.bytes_per_second
        self._bar.setRange(0, 1000 if total else 0)
        self._bar.setValue(round(1000 * done / total) if total else 0)
        words = [self._download.label]
        if total:
            words.append(f"{size(done)} of {size(total)}")
        if speed > 0:
            words.append(f"{size(speed)}/s")
            words.append(f"{duration((total - done) / speed)} left")
        self._words.setText(" · ".join(filter(None, words)))


def is_hub_name(source: str) -> bool:
    """Whether a source can only be meant as a name on the Hub."""
    return bool(re.fullmatch(r"[\w.-]+(/[\w.-]+)?", source)) and not source.startswith((".", "~"))


def _pairs(facts: ModelFacts) -> list[tuple[str, str]]:
    heads = f"{facts.num_heads} heads"
    if facts.num_kv_heads != facts.num_heads:
        heads += f", {facts.num_kv_heads} for keys"
    return [
        ("Architecture", facts.family if facts.is_modelled else f"{facts.family}, unknown to Hone"),
        ("Layers", f"{facts.num_layers} × {whole(facts.hidden)}, {heads}"),
        ("Vocabulary", whole(facts.vocab)),
        ("Chat template", "yes" if facts.has_chat_template else "none"),
    ]


def _short(source: str) -> str:
    """The last part of a path or a Hub name, within reason."""
    name = source.rstrip("/\\").replace("\\", "/").rpartition("/")[2]
    name = name.removeprefix("starter:")
    return name if len(name) <= 36 else f"{name[:35]}…"


def _models_here(
    folders: tuple[str, ...], config: RunConfig, device: Device | None, past: tuple[PastPeak, ...]
) -> list[Option]:
    from core.models.cache import models_on_disk
    from core.models.source import STARTER

    return [
        Option(
            model.source,
            model.name,
            model.flaw
            or ("bundled: small, quick, made for trying things" if model.source.startswith(STARTER) else ""),
            "not whole" if model.flaw else size(model.num_bytes),
            "" if model.flaw or device is None else _tone(model.source, config, device, past),
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
