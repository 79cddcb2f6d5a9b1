"""The method card: the nine settings that matter, and all the others one click deeper."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QGridLayout, QWidget

from app.state.draft import Draft
from app.state.planner import Planner
from app.theme import Theme
from app.widgets.button import Button
from app.widgets.card import Card
from app.widgets.combo import Combo
from app.widgets.field import FieldFrame
from app.widgets.form import Form
from app.widgets.label import Label, set_tooltip
from core.config import RunConfig, field_at
from core.figures import count
from core.methods.catalogue import METHODS, changes_to, describe, method_of
from core.sections import Lora

if TYPE_CHECKING:
    from app.pages.new_run.all_settings import AllSettings

NUM_COLUMNS = 3


class MethodCard(Card):
    """Edits the draft's recipe through a form."""

    def __init__(self, draft: Draft, planner: Planner, theme: Theme) -> None:
        super().__init__("Method", " ")
        self._draft, self._planner, self._theme = draft, planner, theme
        self.form = Form(draft, theme, self)
        self._toggle = Button("All settings")
        self._toggle.setCheckable(False)
        self._toggle.clicked.connect(self._toggle_all)
        self.add_to_header(self._toggle)
        self._grid = QWidget()
        self._fill_grid()
        self._all: AllSettings | None = None
        self._foot = Label("", "small", wrap=True)
        self.body.addWidget(self._grid)
        self.body.addWidget(self._foot)
        draft.changed.connect(self._show)
        planner.changed.connect(self._show_plan)
        self._show(draft.config)
        self._show_plan()

    def _fill_grid(self) -> None:
        form, some_lora = self.form, RunConfig()
        self.method = MethodField(self._draft, self._theme)
        fields = [
            self.method,
            form.add("model.quantization"),
            form.add("method.rank", of=some_lora),
            form.add("optim.learning_rate"),
            form.add("data.max_length"),
            form.add_pair("optim.batch_size", "optim.accumulation", "Batch × accumulation"),
            form.add("optim.epochs"),
            form.add("method.targets", of=some_lora),
            form.add("memory.activation_checkpointing"),
        ]
        grid = QGridLayout(self._grid)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(14)
        grid.setVerticalSpacing(10)
        for index, field in enumerate(fields):
            grid.addWidget(field, index // NUM_COLUMNS, index % NUM_COLUMNS)
        for column in range(NUM_COLUMNS):
            grid.setColumnStretch(column, 1)

    def _toggle_all(self) -> None:
        if self._all is None:
            from app.pages.new_run.all_settings import AllSettings

            self._all = AllSettings(self._draft, self.form, lambda: self._planner.has_several_gpus)
            self.body.addWidget(self._all)
            self._all.hide()
        is_open = self._all.isHidden()
        self._all.setVisible(is_open)
        self._grid.setVisible(not is_open)
        self._foot.setVisible(not is_open)
        self._toggle.setText("Fewer settings" if is_open else "All settings")
        if is_open:
            self._all.search.setFocus()

    def _show(self, config: RunConfig) -> None:
        self._foot.setText(_in_words(config))

    def _show_plan(self) -> None:
        plan, config = self._planner.plan, self._draft.config
        if plan is None:
            self.set_summary(describe(config))
            return
        share = plan.num_trainable / max(1, plan.num_parameters)
        words = f"learns {count(plan.num_trainable)} of {count(plan.num_parameters)} parameters ({share:.2%})"
        if not isinstance(config.method, Lora):
            words = f"learns all {count(plan.num_parameters)} parameters"
        self.set_summary(f"{method_of(config).title} · {words}")


def _in_words(config: RunConfig) -> str:
    """What the run does beside learning: evaluation, early stop, checkpoints."""
    every = config.evaluation.every_steps
    words = [f"evaluates every {every} steps" if every else "evaluates at the end"]
    if config.optim.max_steps:
        words.insert(0, f"ends after {config.optim.max_steps:,} steps")
    if config.evaluation.patience:
        words.append(f"stops after {config.evaluation.patience} evaluations without a new best")
    words.append(f"saves every {config.runtime.save_every_steps} steps, keeps the best and the last")
    return " · ".join([words[0].capitalize(), *words[1:]])


class MethodField(FieldFrame):
    """The method by its usual name: QLoRA is LoRA over a 4-bit base, so it is not a setting of its own."""

    def __init__(self, draft: Draft, theme: Theme) -> None:
        self.combo = Combo([(method.title, method) for method in METHODS])
        self.combo.setObjectName("method.kind")
        self.combo.setAccessibleName("Method")
        self.combo.setFixedHeight(32)
        for index, method in enumerate(METHODS):
            self.combo.setItemData(index, method.sentence, 3)
        super().__init__(
            ("method.kind",), "Method", field_at(draft.config, "method.kind").description or "", theme, self.combo
        )
        self._draft = draft
        self.combo.activated.connect(self._choose)
        draft.changed.connect(self._follow)
        self._follow(draft.config)

    def editors(self) -> dict[str, QWidget]:
        return {}

    def _choose(self) -> None:
        self._draft.set_many(changes_to(self.combo.currentData(), self._draft.config))

    def _follow(self, config: RunConfig) -> None:
        method = method_of(config)
        self.combo.pick(method)
        set_tooltip(self.combo, method.sentence)
        self._mark(False)
