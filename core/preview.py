"""What a window or a command line says to the preview worker, which shows rows as the model will see them.

Commands go to its stdin as JSON lines, answers come back on its stdout. A Look is answered by one Looked or one
Failed, a Show by one Seen per row; a Measure, a Judge and an Export by Progress and one Measured, Judged or
Exported, or a Warned. No torch here, nor there.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from core.config import RunConfig
from core.data.report import Findings
from core.errors import HoneError
from core.events import Failed, Progress, Warned
from core.sections import DataSection

SEEN = ("source", "more", "mapping", "template", "max_length", "train_on", "roles")
"""The settings of the data that change what is seen of a row."""
MOST_TOKENS = 20_000
"""Tokens of one row that are sent to be read; longer rows are counted whole and shown in part."""


class Spoken(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class Look(Spoken):
    """Look at this data through this model's tokenizer and template, as a run with these settings would."""

    type: Literal["look"] = "look"
    model: str
    revision: str
    data: DataSection
    """Of its settings, those in SEEN."""
    objective: str
    seed: int = 0

    @classmethod
    def through(cls, config: RunConfig) -> Self:
        """What a run of this config would see."""
        return cls(
            model=config.model.source,
            revision=config.model.revision,
            data=_as_seen(config.data),
            objective=config.objective.kind,
            seed=config.runtime.seed if config.data.more else 0,
        )

    def without_limit(self) -> Self:
        """The same at a limit of its own: what is counted without one is equal where this is."""
        limit = DataSection.model_fields["max_length"].default
        return self.model_copy(update={"data": self.data.model_copy(update={"max_length": limit})})


class Show(Spoken):
    """Show these rows, counted from 0."""

    type: Literal["show"] = "show"
    rows: tuple[int, ...]


class Measure(Spoken):
    """Count tokens: of a fair sample that takes about a second, or of every row."""

    type: Literal["measure"] = "measure"
    is_sample: bool


class Judge(Spoken):
    """Say which rows are wrong or odd, and what becomes of them under these settings: those of the look, and the
    policies and the split besides."""

    type: Literal["judge"] = "judge"
    data: DataSection
    seed: int


class Export(Spoken):
    """Write every row that is wrong or odd to a file, as `core.data.export` does."""

    type: Literal["export"] = "export"
    data: DataSection
    seed: int
    target: str


class Looked(Spoken):
    """The tokenizer is loaded and the data open."""

    type: Literal["looked"] = "looked"
    num_rows: int
    has_template: bool
    """Whether the model brings a chat template of its own."""


class Sequence(Spoken):
    """One row, or one part of it, as the model is given it."""

    name: str = ""
    """Of one of a pair's two answers (chosen, rejected), or of an answer with a verdict (good or bad answer)."""
    tokens: tuple[tuple[str, bool, bool], ...]
    """Each token's text, whether it is trained, and whether it is a special token; at most MOST_TOKENS of them.

    A character that takes several tokens stands at the first of them; the others have an empty text.
    """
    num_tokens: int
    """Before it is cut."""
    num_trained: int
    """After it is cut."""
    num_cut: int = 0
    """Tokens beyond the length limit."""
    num_trained_cut: int = 0
    """Tokens beyond the length limit that would have been trained."""
    splits: tuple[int, ...] = ()
    """Where a long text is continued in another sequence: numbers of tokens."""


class Seen(Spoken):
    """One row: its sequences, and why it is left out when it is."""

    type: Literal["seen"] = "seen"
    row: int
    line: int
    sequences: tuple[Sequence, ...] = ()
    refused: str = ""
    remarks: tuple[str, ...] = ()
    """What a person should know of it: a system message that the template leaves out, no end-of-turn token …"""


class Measured(Spoken):
    """Tokens of all measured rows before any is cut."""

    type: Literal["measured"] = "measured"
    num_rows: int
    num_measured: int
    """Rows looked at; equal to `num_rows` unless this is an estimate from a sample."""
    num_refused: int
    lengths: dict[int, int]
    """How many sequences have each length."""
    trained_at: tuple[int, ...]
    """Trained tokens by place in the sequence: the first entry counts those at places 0 to `width` - 1."""
    width: int
    reasons: dict[str, int]
    """How many rows are left out, by reason."""
    remarks: dict[str, int] = {}
    """How many of the others have each remark of the template and the tokenizer."""
    is_split: bool
    """Long rows go on in another sequence, so that none is ever cut."""


class Judged(Spoken):
    """What becomes of the rows."""

    type: Literal["judged"] = "judged"
    findings: Findings


class Exported(Spoken):
    """How many lines have been written."""

    type: Literal["exported"] = "exported"
    num_lines: int


Command = Look | Show | Measure | Judge | Export
Answer = Looked | Seen | Measured | Judged | Exported | Progress | Warned | Failed
_commands: TypeAdapter[Command] = TypeAdapter(Annotated[Command, Field(discriminator="type")])
_answers: TypeAdapter[Answer] = TypeAdapter(Annotated[Answer, Field(discriminator="type")])


def _as_seen(data: DataSection) -> DataSection:
    """The settings that change what is seen of a row or sought in it. Policies of the same effect count as one."""
    values: dict[str, Any] = {name: getattr(data, name) for name in SEEN}
    values["on_control"] = "cut" if data.on_control == "cut" else "keep"
    values["on_personal"] = "ignore" if data.on_personal == "ignore" else "keep"
    return DataSection(**values)


def encode(message: Command | Answer) -> bytes:
    """The message as one JSON line, newline included."""
    return message.model_dump_json().encode() + b"\n"


def decode_command(line: bytes) -> Command:
    """The command in one line. Raises HoneError for anything else."""
    try:
        return _commands.validate_json(line)
    except ValidationError as error:
        raise HoneError(f"The preview did not understand a command: {error.errors()[0]['msg']}.") from None


def decode_answer(line: bytes) -> Answer | None:
    """The answer in one line; None for anything else."""
    try:
        return _answers.validate_json(line)
    except ValidationError:
        return None
