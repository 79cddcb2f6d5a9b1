"""What was found in a dataset, for people and programs: no rows, no numpy."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from core.data.kinds import Action
from core.data.passed import Passed
from core.data.row import Format


class Spread(BaseModel):
    """Shortest, middle and longest, over used rows."""

    model_config = ConfigDict(frozen=True)

    min: int = 0
    median: int = 0
    max: int = 0


class Listed(BaseModel):
    """One row of which something is said."""

    model_config = ConfigDict(frozen=True)

    row: int = -1
    """Its number, counted from 0."""
    file: str = ""
    """The file it is in, where there are several."""
    line: int
    kind: str
    reason: str


class Split(BaseModel):
    """How the rows part, counted as a run sees them: those that a weight shows again each time."""

    model_config = ConfigDict(frozen=True)

    num_trained: int = 0
    num_held: int = 0
    num_left: int = 0
    """Rows left out: they cannot be used, or a policy says so."""
    asked: tuple[int, ...] = ()
    """Numbers of the first hundred rows held out, from 0, in the order in which a run evaluates on them."""


class Findings(BaseModel):
    """Which rows are wrong or odd, and what a run does with them; see core.data.kinds."""

    model_config = ConfigDict(frozen=True)

    num_rows: int
    num_used: int
    """Rows that training learns from or evaluates on."""
    num_skipped: int
    num_trained: int = 0
    num_held: int = 0
    """Used rows that are held out to evaluate on."""
    num_usable: int = 0
    """Rows that could be used, were no policy to leave them out; those of a file to evaluate on aside."""
    reasons: dict[str, int]
    """How many rows cannot be used for each kind of reason, most frequent first."""
    problems: list[Listed]
    """The first hundred of each kind, by line."""
    remark_counts: dict[str, int] = {}
    """How many other rows are odd in each way; a row may be odd in several."""
    remarks: list[Listed] = []
    """The first hundred of each kind, by line."""
    actions: dict[str, Action] = {}
    """What the run does with rows of each kind that was found."""
    skipped: dict[str, int] = {}
    """How many rows are left out because of each kind; a row counts once."""
    stop: str = ""
    """Why the run would stop before it begins, in a sentence; empty when it would not."""
    split: Split = Split()

    @property
    def trained_share(self) -> float:
        """Of the rows that could be used, those that are trained on."""
        return self.num_trained / max(1, self.num_usable)

    def action_in_words(self, kind: str) -> str:
        """What becomes of the rows of a kind."""
        return ACTIONS[self.actions.get(kind, "keep")]


ACTIONS: dict[Action, str] = {
    "ignore": "not looked for",
    "keep": "used",
    "cut": "cut",
    "skip": "left out",
    "stop": "the run stops",
}


class Report(Findings):
    """What a dataset holds, as its rows were read, before any model has seen them."""

    source: str
    path: str
    sha256: str
    num_bytes: int
    format: Format
    confidence: float = 1.0
    """How sure the format is, from 0 to 1."""
    seen: str = ""
    """What speaks for it."""
    num_duplicates: int
    """Rows that repeat an earlier one exactly, whatever is done with them."""
    num_messages: int
    roles: dict[str, int]
    """How many messages each role has in rows that could be used."""
    characters: Spread
    """Of a whole row: all its messages, or its text."""
    passed: list[Passed] = []
    """What of folders and archives is not read: the first hundred, by name."""
    passed_in_words: str = ""
    """All of that in a sentence; empty where everything is read."""
