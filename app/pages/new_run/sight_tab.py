"""One row as the model sees it, and how much of it is trained; the plain row until its tokens are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QRectF, QTimer
from PySide6.QtGui import QPainter, QPaintEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from app.pages.new_run.row_view import RowView
from app.pages.new_run.sight_choosers import SightChoosers
from app.state.draft import Draft
from app.state.preview import Preview
from app.theme import Theme
from app.widgets.button import Button
from app.widgets.label import ElidedLabel, Label
from app.widgets.token_layout import Part
from app.widgets.token_view import TokenView
from core.figures import whole

if TYPE_CHECKING:
    from core.data.row import Problem, Row
    from core.preview import Seen

PATIENCE_MS = 150
"""How long the row before may stay in sight while the next one is asked for."""
UNWANTED = ("rejected", "bad answer")
"""Sequences that are learnt as what not to say."""
TRAINED = {
    "answers": "answers only",
    "last_answer": "last answer only",
    "all": "everything",
    "roles": "chosen roles only",
}


class SightTab(QWidget):
    """`show_row` is all it is told; tokens come from the preview."""

    def __init__(self, draft: Draft, preview: Preview, theme: Theme) -> None:
        super().__init__()
        self._draft, self._preview = draft, preview
        self._index = -1
        self._row: Row | Problem | None = None
        self.tokens, self.row_view = TokenView(theme), RowView()
        self.choosers = SightChoosers(draft)
        self.stack = QStackedWidget()
        self.stack.addWidget(self.row_view)
        self.stack.addWidget(self.tokens)
        self._swatch = Swatch(theme)
        self.line = ElidedLabel("", "small")
        self.warning = Label("", "warning", wrap=True)
        self.warning.hide()
        self._again = Button("Try again", "link")
        self._again.clicked.connect(preview.retry)
        self._patience = QTimer(self)
        self._patience.setSingleShot(True)
        self._patience.setInterval(PATIENCE_MS)
        self._patience.timeout.connect(self._fall_back)
        below = QHBoxLayout()
        below.setSpacing(8)
        below.setContentsMargins(0, 6, 0, 6)
        below.addWidget(self._swatch)
        below.addWidget(self.line, 1)
        below.addWidget(self._again)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(self.choosers)
        column.addWidget(self.stack, 1)
        column.addWidget(self.warning)
        column.addLayout(below)
        self._train_on = draft.config.data.train_on
        draft.changed.connect(self._follow)
        preview.changed.connect(self._refresh)
        preview.seen.connect(self._take)
        self._fall_back()

    def show_row(self, index: int, row: Row | Problem | None) -> None:
        """Show the row with this number, counted from 0; None clears."""
        self._index, self._row = index, row
        self._refresh()

    @property
    def number(self) -> int:
        """The row now shown, counted from 0; -1 for none."""
        return self._index

    def expect(self, number: int) -> None:
        """Ask for a row's tokens already while the row itself is still being read."""
        if self.isVisible():
            self._preview.want(number)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._refresh()

    def _follow(self) -> None:
        if self._draft.config.data.train_on != self._train_on:
            self._train_on = self._draft.config.data.train_on
            self._refresh()

    def _take(self, number: int) -> None:
        if number == self._index:
            self._refresh()

    def _refresh(self) -> None:
        if self._row is None:
            self._fall_back()
            return
        if not hasattr(self._row, "reason"):
            has_template = self._preview.has_template
            self.choosers.show_facts(has_template=has_template, has_turns=_has_turns(self._row))
        if self.isVisible():
            self._preview.want(self._index)
        seen = self._preview.row(self._index)
        if seen is not None and seen.sequences:
            self._patience.stop()
            self._show_tokens(seen)
        elif seen is not None or self._preview.state in ("waiting", "failed"):
            self._fall_back(seen)
        elif self.stack.currentWidget() is self.row_view:
            self._fall_back()
        elif not self._patience.isActive():
            self._patience.start()

    def _show_tokens(self, seen: Seen) -> None:
        config = self._draft.config
        self.tokens.show_parts([
            Part(one.tokens, one.num_tokens - one.num_cut, frozenset(one.splits), one.name, one.name in UNWANTED)
            for one in seen.sequences
        ])  # fmt: skip
        self.stack.setCurrentWidget(self.tokens)
        is_named = any(one.name for one in seen.sequences)
        is_all = not is_named and (config.objective.kind == "pretrain" or not _has_turns(self._row))
        trained = TRAINED[config.data.train_on]
        if config.data.train_on == "roles":
            trained = f"messages of {' and '.join(config.data.roles) or 'nobody'}"
        self._say(in_words(seen, "everything" if is_all else trained), seen.remarks)
        self._swatch.show_learnt(is_wanted=any(one.name not in UNWANTED for one in seen.sequences))
        self._swatch.show()

    def _fall_back(self, seen: Seen | None = None) -> None:
        self._patience.stop()
        self.row_view.show_row(self._row, "" if seen is not None else self._draft.config.data.train_on)
        self.stack.setCurrentWidget(self.row_view)
        self._swatch.hide()
        if seen is not None:
            why = () if hasattr(self._row, "reason") else (seen.refused,)
            self._say("This row is left out of training.", why)
        elif self._preview.state == "failed":
            self._say(self._preview.problem)
        elif self._preview.state == "loading":
            self._say("The plain row; its tokens follow once the tokenizer is loaded.")
        else:
            self._say("The plain row; its tokens follow once the model can be read.")

    def _say(self, words: str, remarks: tuple[str, ...] = ()) -> None:
        self.line.setText(words)
        self.warning.setText("\n".join(f"{remark[:1].upper()}{remark[1:]}." for remark in remarks))
        self.warning.setVisible(bool(remarks))
        self._again.setVisible(self._preview.state == "failed")


def _has_turns(row: Row | Problem | None) -> bool:
    return any(getattr(row, name, ()) for name in ("messages", "chosen"))


class Swatch(QWidget):
    """What trained tokens look like."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._token = "fits"
        self.setFixedSize(10, 12)
        theme.changed.connect(self.update)

    def show_learnt(self, *, is_wanted: bool) -> None:
        """As what to say, or as what not to say."""
        self._token = "fits" if is_wanted else "no"
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(QRectF(0, 1, 10, 9.5), self._theme.color(f"{self._token}_wash"))
        painter.fillRect(QRectF(0, 10, 10, 1.5), self._theme.color(self._token))


def in_words(seen: Seen, trained: str) -> str:
    """How much of a row is trained, and what becomes of the rest."""
    kept = sum(one.num_tokens - one.num_cut for one in seen.sequences)
    words = [
        f"{whole(sum(one.num_trained for one in seen.sequences))} of {whole(kept)} tokens are trained",
        trained,
    ]
    if cut := sum(one.num_cut for one in seen.sequences):
        words.append(f"{whole(cut)} tokens are cut")
    if any(one.name for one in seen.sequences):
        words[1] = " and ".join(dict.fromkeys(one.name for one in seen.sequences))
    elif len(seen.sequences) > 1:
        words.append(f"{len(seen.sequences)} sequences, one per answer")
    elif num_splits := sum(len(one.splits) for one in seen.sequences):
        words.append(f"goes on in {num_splits + 1} sequences")
    if seen.refused:
        words = [f"Left out of training: {seen.refused}", *words[2:]]
    unseen = sum(one.num_tokens - len(one.tokens) for one in seen.sequences)
    if unseen:
        words.append(f"the last {whole(unseen)} tokens are not shown")
    return " · ".join(words)
