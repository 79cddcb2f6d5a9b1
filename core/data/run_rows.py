"""All rows that a run reads: those of its data, then those of a file of their own to evaluate on."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.config import DataSection
from core.data.mapping import Meaning
from core.data.pace import Told, unheard
from core.data.passed import Passed
from core.data.row import Problem, Row
from core.data.rows import Rows, open_rows, rows_of
from core.errors import HoneError


class RunRows(Sequence["Row | Problem"]):
    """`data`, then `apart`, which may be None."""

    def __init__(self, data: Rows, apart: Rows | None, apart_name: str = "") -> None:
        self.data, self.apart = data, apart
        self._apart_name = apart_name

    @classmethod
    def of(cls, data: DataSection, seed: int, told: Told = unheard) -> RunRows:
        """As the settings have them. Raises HoneError like `open_rows`, of the second with its own path."""
        return cls.beside(rows_of(data, seed, told), data, told)

    @classmethod
    def beside(cls, rows: Rows, data: DataSection, told: Told = unheard) -> RunRows:
        """Rows that are open already, and the file that the settings name besides. Raises HoneError."""
        if not data.holdout_source:
            return cls(rows, None)
        try:
            apart = open_rows(data.holdout_source, meaning=Meaning(Meaning.of(data).mapping), told=told)
        except HoneError as error:
            raise HoneError(error.message, path="data.holdout_source") from None
        return cls(rows, apart, Path(data.holdout_source).name)

    @property
    def passed(self) -> tuple[Passed, ...]:
        """What of folders and archives is not read."""
        return (*self.data.passed, *(self.apart.passed if self.apart is not None else ()))

    def once(self) -> RunRows:
        """The same without repeats: rows that a weight shows several times are there once."""
        return RunRows(self.data.once(), self.apart, self._apart_name)

    def once_numbers(self) -> NDArray[np.int64]:
        """For each row its number in `once`. Shape [rows]."""
        own = self.data.once_numbers()
        return np.concatenate([own, np.arange(len(self) - len(own)) + own.max(initial=-1) + 1])

    def file_of(self, number: int) -> str:
        """The name of the file that a row is in, where there are several."""
        if number < len(self.data):
            return self.data.file_of(number)
        assert self.apart is not None
        return f"{self._apart_name}/{self.apart.file_of(number - len(self.data))}".rstrip("/")

    def __len__(self) -> int:
        return len(self.data) + (len(self.apart) if self.apart is not None else 0)

    def __getitem__(self, index: int) -> Row | Problem:  # type: ignore[override]
        number = index - len(self.data)
        return self.data[index] if number < 0 or self.apart is None else self.apart[number]

    def __iter__(self) -> Iterator[Row | Problem]:
        return itertools.chain(self.data, self.apart if self.apart is not None else ())
