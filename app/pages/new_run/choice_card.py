"""A card that says in one line what is chosen, states its error beside the remedy, and opens to choose another."""

from __future__ import annotations

from typing import Generic, TypeVar

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QWidget

from app.theme import Theme, restyle
from app.widgets.button import Button
from app.widgets.card import Card
from app.widgets.label import Label
from app.widgets.words import in_labels

MOST_SIGNS = 36

Chooser = TypeVar("Chooser", bound=QWidget)


class ChoiceCard(Card, Generic[Chooser]):
    """What is chosen from is built when it is first asked for, by `_make_chooser`."""

    def __init__(self, title: str, theme: Theme) -> None:
        super().__init__(title, " ")
        self._name = Label("", "strong")
        self.header.insertWidget(1, self._name)
        self._change = Button("Change")
        self._change.clicked.connect(self._toggle)
        self.add_to_header(self._change)
        self.error = Label("", "error", wrap=True)
        self.error.setObjectName(f"{title.lower()}-error")
        self._get = Button("Download").set_icon(theme, "download")
        self._get.clicked.connect(self._download)
        beside = QHBoxLayout()
        beside.addWidget(self.error, 1)
        beside.addWidget(self._get, 0, Qt.AlignmentFlag.AlignTop)
        self.body.addLayout(beside)
        self._chooser: Chooser | None = None

    @property
    def chooser(self) -> Chooser:
        """The ways to choose, below the error."""
        if self._chooser is None:
            self._chooser = self._make_chooser()
            self._chooser.hide()
            self.body.insertWidget(1, self._chooser)
        return self._chooser

    def _make_chooser(self) -> Chooser:
        raise NotImplementedError

    def _download(self) -> None:
        """The remedy: fetch what is chosen and is not on this machine."""
        raise NotImplementedError

    def _toggle(self) -> None:
        self._expand() if self.chooser.isHidden() else self._collapse()

    def _expand(self) -> None:
        self.chooser.show()
        self._change.setText("Close")

    def _collapse(self) -> None:
        focus = self.window().focusWidget()
        if focus is not None and self.chooser.isAncestorOf(focus):
            self._change.setFocus()  # or it would go to the first of the window
        self.chooser.hide()
        self._change.setText("Change")

    def _name_it(self, name: str) -> None:
        """Show the name of what is chosen, its middle left out if it is long."""
        half = MOST_SIGNS // 2
        self._name.setText(name if len(name) <= MOST_SIGNS else f"{name[: half - 1]}…{name[-half:]}")

    def _show_error(self, sentence: str, *, is_wrong: bool = True, can_be_fetched: bool = False) -> None:
        """State what is amiss or, if nothing `is_wrong`, worth knowing; an empty sentence takes it back."""
        self.error.setText(in_labels(sentence))
        self.error.setVisible(bool(sentence))
        restyle(self.error, role="error" if is_wrong else "secondary")
        self._get.setVisible(bool(sentence) and can_be_fetched)
        restyle(self, state="wrong" if sentence and is_wrong else "")
