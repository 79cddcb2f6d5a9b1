"""The model card: one line about the chosen base model, its facts, and the ways to choose another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.pages.new_run.choice_card import ChoiceCard
from app.pages.new_run.model_chooser import ModelChooser, is_hub_name
from app.state.background import Background
from app.state.chosen_model import ChosenModel
from app.state.draft import Draft
from app.state.planner import Planner
from app.state.preferences import Preferences
from app.theme import Theme
from app.widgets.pairs import Pairs
from core.figures import count, size, whole

if TYPE_CHECKING:
    from core.models.facts import ModelFacts

ABSENT = "Not on this machine yet. You can plan with it now, and train once it is here."
GATED = "Not on this machine yet. Accept its terms on the Hub before you download it; you can plan with it now."


class ModelCard(ChoiceCard[ModelChooser]):
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
        super().__init__("Model", theme)
        self._draft, self._model = draft, model
        self._new_chooser = lambda: ModelChooser(draft, planner, preferences, background, theme)
        self._facts = Pairs()
        self._facts.hide()
        self.rows.insertWidget(1, self._facts)
        model.changed.connect(self._show)
        draft.rejected.connect(self._reject)
        self._show()

    def _make_chooser(self) -> ModelChooser:
        chooser = self._new_chooser()
        chooser.chose.connect(self._collapse)
        chooser.download.finished.connect(self._downloaded)
        return chooser

    def _expand(self) -> None:
        super()._expand()
        self.chooser.look()
        self._facts.setVisible(self._model.facts is not None)

    def _collapse(self) -> None:
        super()._collapse()
        self._facts.hide()

    def _download(self) -> None:
        self._expand()
        self.chooser.fetch(self._model.source)

    def _downloaded(self, source: str) -> None:
        if self._draft.config.model.source == source:
            self._model.look_again()
        else:
            self._draft.choose_model(source)

    def _reject(self, path: str, message: str) -> None:
        if path in ("model.source", "model.revision"):
            self._show_error(message, can_be_fetched=is_hub_name(self._model.source))

    def _show(self) -> None:
        facts, folder, known, listed = self._model.facts, self._model.folder, self._model.known, self._model.listed
        self._name_it(_short(folder.name if folder else self._model.source))
        can_be_fetched = is_hub_name(self._model.source)
        if known is not None and listed is not None:
            self._show_error(GATED if listed.is_gated else ABSENT, is_wrong=False, can_be_fetched=can_be_fetched)
            words = [count(known.num_parameters), f"{whole(known.max_positions)} context", listed.licence]
            self.set_summary(" · ".join(words))
            return
        self._show_error(self._model.error, can_be_fetched=can_be_fetched)
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
    """The last part of a path or a Hub name."""
    return source.rstrip("/\\").replace("\\", "/").rpartition("/")[2].removeprefix("starter:")
