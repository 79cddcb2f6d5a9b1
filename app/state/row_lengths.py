"""How long the data's rows are in the chosen model's tokens: a quick estimate, until the preview has counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from app.state.background import Background, Ticket
from app.state.chosen_data import ChosenData
from app.state.chosen_model import ChosenModel
from app.state.preview import Preview

if TYPE_CHECKING:
    from pathlib import Path

    from core.data.lengths import Lengths
    from core.data.report import Findings
    from core.data.rows import Rows

MOST_ROWS = 2000
TEMPLATE_TOKENS = 4
"""What a chat template is taken to add to each message: its role and the marks around it."""


class RowLengths(QObject):
    """`lengths` is None until model and data are both there, and where the model has no tokenizer.json."""

    changed = Signal()

    def __init__(self, model: ChosenModel, data: ChosenData, preview: Preview, background: Background) -> None:
        super().__init__()
        self._model, self._data, self._background = model, data, background
        self._preview = preview
        preview.measured.connect(self._count)
        preview.judged.connect(lambda: self.changed.emit())
        self._measured: tuple[object, object] = (None, None)
        self._ticket: Ticket | None = None
        self.lengths: Lengths | None = None
        self._estimate: Lengths | None = None
        model.changed.connect(self._follow)
        data.changed.connect(self._follow)
        self._follow()

    @property
    def findings(self) -> Findings | None:
        """What becomes of the rows as the model sees them; None until they have been judged."""
        return self._preview.findings

    def _follow(self) -> None:
        folder, rows = self._model.folder, self._data.rows
        if (folder, rows) == self._measured:
            return
        self._measured = folder, rows
        if self._ticket is not None:
            self._ticket.drop()
        self.lengths, self._estimate = None, None
        if folder is not None and rows is not None:
            path = folder.path / "tokenizer.json"
            self._ticket = self._background.run(self, lambda: measure(path, rows), self._found)

    def _found(self, lengths: Lengths | None) -> None:
        self._estimate = lengths
        self._count()

    def _count(self) -> None:
        """Take what the preview has counted, through template and mask as in training; else the estimate."""
        from core.data.lengths import Lengths

        counted = self._preview.measurement
        self.lengths = Lengths.of(counted) if counted is not None else self._estimate
        self.changed.emit()


def measure(tokenizer_file: Path, rows: Rows) -> Lengths | None:
    """Lengths of the rows, or of evenly spread ones when there are many; None without a readable tokenizer."""
    from tokenizers import Tokenizer

    from core.data.lengths import Lengths
    from core.data.row import Problem

    try:
        tokenizer = Tokenizer.from_file(str(tokenizer_file))
    except Exception:  # the library raises bare Exception for any file it cannot read
        return None
    every = max(1, -(-len(rows) // MOST_ROWS))
    texts, extra = [], []
    for index in range(0, len(rows), every):
        row = rows[index]
        if isinstance(row, Problem):
            continue
        for answer in (row.chosen, row.rejected) if row.chosen else ((),):
            said = (*row.messages, *answer)
            texts.append("\n".join(message.content for message in said) + row.text)
            extra.append(TEMPLATE_TOKENS * max(1, len(said)))
    encoded = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    lengths = [len(one.ids) + added for one, added in zip(encoded, extra, strict=True)]
    num_measured = len(range(0, len(rows), every))
    is_split = rows.format == "text"
    return Lengths.from_sample(lengths, len(rows), num_measured, is_split=is_split) if lengths else None
