"""A drop-down for layer names: the usual sets by name, or any names typed with commas between them."""

from __future__ import annotations

from PySide6.QtCore import Signal

from app.widgets.combo import Combo

USUAL: list[tuple[str, tuple[str, ...]]] = [
    ("All linear", ("all-linear",)),
    ("Attention", ("q_proj", "k_proj", "v_proj", "o_proj")),
    ("Query and value", ("q_proj", "v_proj")),
    ("MLP", ("gate_proj", "up_proj", "down_proj")),
]


class NamesBox(Combo):
    """`edited` carries a tuple of names."""

    edited = Signal(object)

    def __init__(self) -> None:
        super().__init__(USUAL)
        self.setEditable(True)
        self.setInsertPolicy(Combo.InsertPolicy.NoInsert)
        self._names: tuple[str, ...] = ()
        self.activated.connect(lambda index: self._take(self.itemData(index)))
        if (line := self.lineEdit()) is not None:
            line.editingFinished.connect(self._typed)

    def show_names(self, names: tuple[str, ...]) -> None:
        self._names = tuple(names)
        self.setEditText(_text(self._names))

    def _typed(self) -> None:
        text = self.currentText().strip()
        usual = next((names for title, names in USUAL if title.casefold() == text.casefold()), None)
        self._take(usual or tuple(name for name in text.replace(",", " ").split() if name))

    def _take(self, names: tuple[str, ...] | list[str]) -> None:
        if tuple(names) != self._names:
            self.edited.emit(tuple(names))


def _text(names: tuple[str, ...]) -> str:
    return next((title for title, usual in USUAL if set(usual) == set(names)), ", ".join(names))
