"""The menu of what can become a column: bases, each run's adapter, its checkpoints."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QMenu

from core.columns import MAX_COLUMNS, Column, base_column, checkpoints_to_offer, has_voice, run_column
from core.errors import HoneError
from core.runs import Checkpoint, Run, RunStore
from core.sections import ModelSection

MOST_RUNS = 15
MOST_CHECKPOINTS = 12
STARTER = ModelSection()


class ColumnsMenu(QMenu):
    """Filled anew each time it opens, since runs come and go.

    `chosen` is called with the new column and the run that it comes from.
    """

    def __init__(
        self,
        store: RunStore,
        present: Callable[[], list[Column]],
        chosen: Callable[[Column, Run | None], None],
        failed: Callable[[str], None],
    ) -> None:
        super().__init__()
        self._store, self._present, self._chosen, self._failed = store, present, chosen, failed
        self._submenus: list[QMenu] = []
        self._models: dict[str, ModelSection] = {}
        self.aboutToShow.connect(self.fill)

    def fill(self) -> None:
        self.clear()
        self._submenus.clear()
        present = self._present()
        if len(present) >= MAX_COLUMNS:
            self.addAction(f"At most {MAX_COLUMNS} columns").setEnabled(False)
            return
        base = present[0].model if present else STARTER
        if not any(column.kind == "base" for column in present):
            name = _shown(base.source)
            self.addAction(f"{name} (the base)", lambda: self._chosen(base_column(base), None))
        runs = [run for run in self._store.runs() if has_voice(run)][:MOST_RUNS]
        if runs and self.actions():
            self.addSeparator()
        for run in runs:
            self._offer(run, base if present else None)
        if not runs:
            self.addAction("No run has saved an adapter yet").setEnabled(False)

    def _offer(self, run: Run, base: ModelSection | None) -> None:
        model = self._model_of(run)
        if model is None:
            return
        if base is not None and (model.source, model.revision) != (base.source, base.revision):
            self.addAction(f"{_plain(run.name)}  –  on {_shown(model.source)}").setEnabled(False)
            return
        checkpoints = checkpoints_to_offer(run)[:MOST_CHECKPOINTS]
        if not checkpoints:
            self.addAction(_plain(run.name), lambda: self._choose(run, None))
            return
        steps = QMenu(_plain(run.name), self)
        self._submenus.append(steps)
        steps.addAction("Newest weights", lambda: self._choose(run, None))
        steps.addSeparator()
        for checkpoint in checkpoints:
            steps.addAction(f"Step {checkpoint.step:,}", lambda c=checkpoint: self._choose(run, c))
        self.addMenu(steps)

    def _model_of(self, run: Run) -> ModelSection | None:
        """The base of a run, read once; None when its config cannot be read."""
        if run.id not in self._models:
            try:
                self._models[run.id] = run.config.model
            except HoneError:
                return None
        return self._models[run.id]

    def _choose(self, run: Run, checkpoint: Checkpoint | None) -> None:
        try:
            self._chosen(run_column(run, checkpoint), run)
        except HoneError as error:
            self._failed(error.message)


def _shown(source: str) -> str:
    """The short name of a model: the last part of its folder or Hub name."""
    return _plain(source.rstrip("/\\").replace("\\", "/").rpartition("/")[2].rpartition(":")[2])


def _plain(text: str) -> str:
    """A text whose ampersands a menu shows instead of taking them for shortcuts."""
    return text.replace("&", "&&")
