"""Compare: one prompt, up to six columns, answered side by side from one base in memory."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QHideEvent, QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QStackedWidget, QVBoxLayout, QWidget

from app.pages.compare.columns_grid import ColumnsGrid
from app.pages.compare.columns_menu import ColumnsMenu
from app.pages.compare.sampling_panel import SamplingPanel
from app.state.comparison import Comparison
from app.state.word_diff import differing
from app.theme import PAGE_MARGIN, Theme
from app.widgets.button import Button, Chip
from app.widgets.chat_column import ChatColumn
from app.widgets.composer import Composer
from app.widgets.empty_state import EmptyState
from app.widgets.flow import Flow
from app.widgets.label import ElidedLabel, Label
from app.widgets.loading_line import LoadingLine
from app.widgets.notice import Notice
from core.columns import MAX_COLUMNS, Column, base_column, compared, prompts_of
from core.errors import HoneError
from core.figures import size
from core.runs import Run, RunStore

STARTER_PROMPTS = ("Tell me about a fox who lost her hat.", "Tell me about an owl who was afraid of the dark.")
GENERAL_PROMPTS = ("Explain how a rainbow forms.", "Write a short letter to an old friend.")
MOST_PROMPTS = 3
LONGEST_CHIP = 80
NUMBERS = ("none", "one", "two", "three", "four", "five", "six")


class ComparePage(QWidget):
    """`open_runs` shows runs beside their base; Add column brings in anything else."""

    def __init__(self, comparison: Comparison, store: RunStore, theme: Theme) -> None:
        super().__init__()
        self.setObjectName("page")
        self.comparison, self._store, self._theme = comparison, store, theme
        comparison.setParent(self)  # its worker must not outlive the page
        self.columns: list[ChatColumn] = []
        self._prompts: list[str] = []
        self.menu = ColumnsMenu(store, lambda: comparison.columns, self._add, self._complain)
        self.sampling = SamplingPanel(comparison, theme)
        self._make_head()
        self.loading = LoadingLine(theme)
        self.notice = Notice(theme)
        self.notice.pressed.connect(comparison.retry)
        self.grid = ColumnsGrid()
        self.suggestions = Flow()
        self.composer = Composer(theme)
        self.empty = EmptyState(
            theme,
            "compare",
            "See what training has changed",
            "Ask the base model, your adapters and their checkpoints the same question and read the answers "
            "side by side.",
            "Choose what to compare",
        )
        self.empty.pressed.connect(self._open_menu_at_the_empty_state)
        self._lay_out()
        self._connect()
        self._show_columns()

    def open_runs(self, runs: list[Run]) -> None:
        """Show the base and the newest weights of each run, and begin to load them."""
        try:
            columns = compared(runs)
            runtime = runs[0].config.runtime
            self.comparison.device, self.comparison.threads = runtime.device, runtime.threads
            self.comparison.open(columns)
        except HoneError as error:
            self._complain(error.message)
            return
        self._prompts = [prompt for run in runs for prompt in prompts_of(run)]
        self._show_state()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.comparison.warm()
        self._focus()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self.sampling.hide()

    # Building

    def _make_head(self) -> None:
        self.summary = ElidedLabel("", "secondary")
        self.new_chat = Button("New chat", "quiet", tip="Forget what was said and begin again")
        self.new_chat.clicked.connect(self.comparison.clear)
        self.diff = Chip("Differences", checkable=True, tip="Mark the words that differ from the first column")
        self.diff.setChecked(True)
        self.diff.toggled.connect(self._show_diffs)
        self.sampling_button = Button("Sampling", tip="System prompt, temperature, seed and length")
        self.sampling_button.clicked.connect(lambda: self.sampling.open_under(self.sampling_button))
        self.add_button = Button("Add column").set_icon(self._theme, "plus", "text")
        self.add_button.clicked.connect(self._open_menu)

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(Label("Compare", "title"))
        head.addSpacing(4)
        head.addWidget(self.summary, 1)
        for widget in (self.new_chat, self.diff, self.sampling_button, self.add_button):
            head.addWidget(widget)
        full = QWidget()
        inside = QVBoxLayout(full)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(12)
        inside.addWidget(self.grid, 1)
        inside.addWidget(self.suggestions)
        inside.addWidget(self.composer)
        self.stack = QStackedWidget()
        self.stack.addWidget(self.empty)
        self.stack.addWidget(full)
        column = QVBoxLayout(self)
        column.setContentsMargins(PAGE_MARGIN, PAGE_MARGIN, PAGE_MARGIN, PAGE_MARGIN)
        column.setSpacing(0)
        column.addLayout(head)
        column.addSpacing(10)
        column.addWidget(self.loading)
        column.addSpacing(5)
        column.addWidget(self.notice)
        column.addWidget(self.stack, 1)

    def _connect(self) -> None:
        comparison = self.comparison
        comparison.columns_changed.connect(self._show_columns)
        comparison.state_changed.connect(self._show_state)
        comparison.asked.connect(self._show_turns)
        comparison.streamed.connect(self._show_growth)
        comparison.replied.connect(self._show_reply)
        comparison.refused.connect(self.composer.write)
        comparison.warned.connect(lambda sentence: self.notice.say(sentence, "tight"))
        self.composer.sent.connect(comparison.ask)
        self.composer.stopped.connect(comparison.stop)
        self.destroyed.connect(comparison.close)
        escape = QShortcut(QKeySequence("Esc"), self)
        escape.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        escape.activated.connect(comparison.stop)

    # Showing

    def _show_columns(self) -> None:
        known = {id(widget.conversation): widget for widget in self.columns}
        self.columns = [
            known.get(id(conversation)) or self._make_column(conversation, place)
            for place, conversation in enumerate(self.comparison.conversations)
        ]
        for place, widget in enumerate(self.columns):
            widget.set_color(_color_index(place, self.comparison.columns))
            widget.show_turns()
        self.grid.show_columns(self.columns)
        self.stack.setCurrentIndex(1 if self.columns else 0)
        self._show_diffs()
        self._show_state()
        if self.isVisible():
            self._focus()

    def _make_column(self, conversation: object, place: int) -> ChatColumn:
        widget = ChatColumn(conversation, place, self._theme)  # type: ignore[arg-type]
        widget.regenerate_pressed.connect(lambda: self.comparison.regenerate(self.columns.index(widget)))
        widget.remove_pressed.connect(
            lambda: self._try(lambda: self.comparison.remove(self.columns.index(widget)))
        )
        return widget

    def _show_turns(self) -> None:
        for widget in self.columns:
            if widget.conversation.is_answering:
                widget.show_turns()
        self._show_state()

    def _show_growth(self, places: list[int]) -> None:
        for place in places:
            self.columns[place].show_growth()

    def _show_reply(self, place: int) -> None:
        self.columns[place].show_reply()
        self._show_diffs()

    def _show_diffs(self) -> None:
        """Mark each finished answer against the first column's, once that is finished too."""
        if not self.columns:
            return
        first = self.columns[0].conversation
        for widget in self.columns[1:]:
            mine, theirs = widget.conversation, first
            ready = self.diff.isChecked() and mine.last_answer and theirs.last_answer
            same_turn = len(mine.messages) == len(theirs.messages)
            diff = differing(mine.last_answer, theirs.last_answer) if ready and same_turn else None
            widget.show_diff(diff, theirs.column.name)
        self.columns[0].show_diff(None, "")

    def _show_state(self) -> None:
        comparison = self.comparison
        state, num = comparison.state, len(comparison.columns)
        is_loading = state == "loading"
        self.loading.set_running(is_loading)
        self.summary.setText(self._summary())
        self.add_button.setEnabled(num < MAX_COLUMNS)
        self.new_chat.setVisible(comparison.has_turns)
        self.diff.setVisible(num > 1)
        self.sampling_button.setVisible(num > 0)
        for widget in self.columns:
            widget.show_progress("Loading …" if is_loading else "")
            widget.regenerate.setEnabled(state == "ready" and bool(widget.conversation.messages))
        if comparison.problem:
            self.notice.say(comparison.problem, "no", "Try again" if state == "failed" else "")
        elif self.notice.button.isVisible():
            self.notice.hide()
        self.composer.show_state(
            may_send=state == "ready",
            is_answering=state == "answering",
            placeholder=self._placeholder(),
            note=self._note(),
        )
        self._show_suggestions(state == "ready" and not comparison.has_turns)

    def _summary(self) -> str:
        comparison = self.comparison
        if not comparison.columns:
            return ""
        name = comparison.columns[0].model.source.rstrip("/\\").replace("\\", "/").rpartition("/")[2]
        name = name.rpartition(":")[2]
        if comparison.state == "loading":
            return f"{name} · {comparison.progress[:1].lower()}{comparison.progress[1:]} …"
        if comparison.state == "failed":
            return name
        adapters = sum(column.kind == "adapter" for column in comparison.columns)
        served = "loaded once" if adapters < 2 else f"loaded once for {NUMBERS[adapters]} adapters"
        return f"{name} · {served} · {size(comparison.memory_bytes)} in use"

    def _placeholder(self) -> str:
        num = len(self.comparison.columns)
        return {
            "loading": "Loading; you can write already",
            "failed": "Nothing is loaded",
        }.get(
            self.comparison.state,
            "Write to the model" if num < 2 else f"Write to {'both' if num == 2 else 'all ' + NUMBERS[num]}",
        )

    def _note(self) -> str:
        sampling = self.comparison.sampling
        dice = f"temperature {sampling.temperature:g}" if sampling.temperature else "always the likeliest word"
        seed = f"seed {sampling.seed}" if sampling.temperature else ""
        system = "system prompt" if self.comparison.system.strip() else ""
        return " · ".join(filter(None, (system, dice, seed)))

    def _show_suggestions(self, is_shown: bool) -> None:
        columns = self.comparison.columns
        is_starter = bool(columns) and columns[0].model.source.startswith("starter:")
        known = STARTER_PROMPTS if is_starter else GENERAL_PROMPTS
        prompts = list(dict.fromkeys((*self._prompts, *known)))[:MOST_PROMPTS]
        if [widget.property("prompt") for widget in self.suggestions.widgets()] != prompts:
            self.suggestions.clear()
            for prompt in prompts:
                is_long = len(prompt) > LONGEST_CHIP
                chip = Chip(prompt[: LONGEST_CHIP - 1] + "…" if is_long else prompt, tip=prompt if is_long else "")
                chip.setProperty("prompt", prompt)
                chip.clicked.connect(lambda _=False, prompt=prompt: self.comparison.ask(prompt))
                self.suggestions.add(chip)
        self.suggestions.setVisible(is_shown)

    # Acting

    def _focus(self) -> None:
        """The keyboard goes where a person writes, once there is someone to write to."""
        (self.composer.editor if self.columns else self).setFocus()

    def _add(self, column: Column, run: Run | None) -> None:
        """A first adapter brings its base along, since it is compared with something."""
        if run is not None and not self._prompts:
            self._prompts = prompts_of(run)
        alone = not self.comparison.columns and column.kind != "base"
        self._try(
            lambda: self.comparison.open(
                [base_column(column.model), column] if alone else [*self.comparison.columns, column]
            )
        )

    def _try(self, action: Callable[[], None]) -> None:
        try:
            action()
        except HoneError as error:
            self._complain(error.message)

    def _complain(self, sentence: str) -> None:
        self.notice.say(sentence, "no")

    def _open_menu(self) -> None:
        self.menu.popup(self.add_button.mapToGlobal(QPoint(0, self.add_button.height() + 4)))

    def _open_menu_at_the_empty_state(self) -> None:
        button = self.empty.findChild(QPushButton)
        assert isinstance(button, QPushButton)
        self.menu.popup(button.mapToGlobal(QPoint(0, button.height() + 4)))


def _color_index(place: int, columns: list[Column]) -> int:
    """Grey belongs to the base, wherever it stands; the others take the colours in order."""
    if columns[place].kind == "base":
        return 0
    return 1 + sum(column.kind != "base" for column in columns[:place])
