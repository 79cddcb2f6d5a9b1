"""What the columns of a dataset are for: a mapping from roles to columns, or to templates over columns."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from core.config import DataSection
from core.data.row import Format, RowError
from core.errors import HoneError

FIELD = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
SETS: tuple[tuple[Format, frozenset[str], frozenset[str]], ...] = (
    ("preference", frozenset({"chosen", "rejected"}), frozenset({"prompt", "system"})),
    ("kto", frozenset({"prompt", "completion", "label"}), frozenset({"system"})),
    ("kto", frozenset({"messages", "label"}), frozenset({"system"})),
    ("messages", frozenset({"messages"}), frozenset({"system"})),
    ("prompt", frozenset({"prompt", "completion"}), frozenset({"system"})),
    ("text", frozenset({"text"}), frozenset()),
)
"""Which roles make up each format, and which may stand beside them."""


@dataclass(frozen=True)
class Meaning:
    """What a run says about the columns of its data."""

    mapping: tuple[tuple[str, str], ...] = ()
    """Roles and what fills them, in order."""
    split: str = ""
    stratum: str = ""
    group: str = ""
    """Columns that the split is made by; empty for none."""

    @classmethod
    def of(cls, data: DataSection) -> Self:
        return cls(tuple(sorted(data.mapping.items())), data.split_column, data.stratify_by, data.group_by)

    @property
    def format(self) -> Format | None:
        """The format that the mapped roles make up; None without a mapping.

        Raises HoneError(path="data.mapping") when they make up none.
        """
        roles = {role for role, _ in self.mapping}
        if not roles:
            return None
        for name, needed, allowed in SETS:
            if needed <= roles <= needed | allowed:
                return name
        shown = ", ".join(sorted(roles))
        raise HoneError(
            f"The columns are mapped to {shown}, which make up no format; map prompt and completion, messages, "
            "text, chosen and rejected, or prompt, completion and label.",
            path="data.mapping",
        )

    def check(self, columns: Sequence[str], source: str) -> None:
        """Raise HoneError for a template with an open brace, and for columns that the data does not have."""
        known = set(columns)
        for role, text in self.mapping:
            for column in columns_in(text, role):
                if column not in known:
                    raise HoneError(
                        f"data.mapping.{role} names the column {column[:60]!r}, which {source} does not have; it "
                        f"has {', '.join(list(columns)[:12])}.",
                        path="data.mapping",
                    )
        for path, column in (
            ("split_column", self.split),
            ("stratify_by", self.stratum),
            ("group_by", self.group),
        ):
            if column and column not in known:
                raise HoneError(
                    f"data.{path} names the column {column[:60]!r}, which {source} does not have; it has "
                    f"{', '.join(list(columns)[:12])}.",
                    path=f"data.{path}",
                )

    def fitted(self, columns: Sequence[str]) -> Self:
        """The same for rows of a table, whose columns are in small letters whatever its header looks like."""
        known = set(columns)

        def fit(name: str) -> str:
            return name if name in known or name.lower() not in known else name.lower()

        def fit_text(text: str) -> str:
            if "{" not in text and "}" not in text:
                return fit(text)
            return FIELD.sub(lambda match: match[0] if match[1] is None else f"{{{fit(match[1].strip())}}}", text)

        mapping = tuple((role, fit_text(text)) for role, text in self.mapping)
        return type(self)(mapping, fit(self.split), fit(self.stratum), fit(self.group))

    def apply(self, tree: Mapping[str, Any]) -> dict[str, Any]:
        """The row as its roles. A role that is one column gets that column's value as it is; a template gets text.

        Raises RowError for a column that the row does not have.
        """
        return {role: filled(text, tree) for role, text in self.mapping}


def columns_in(text: str, role: str = "") -> list[str]:
    """The columns that a role's text names: one, or those in its braces. Raises HoneError for an open brace."""
    if "{" not in text and "}" not in text:
        return [text]
    found = []
    for match in FIELD.finditer(text):
        if match[0] in "{}":
            raise HoneError(
                f"data.mapping.{role} has an open brace; write {{column}} for a column, and {{{{ for a brace.",
                path="data.mapping",
            )
        if match[1] is not None:
            found.append(match[1].strip())
    return found


def filled(text: str, tree: Mapping[str, Any]) -> Any:
    """A role's value in one row. In a template an empty column goes with the line breaks before it, or after it
    where nothing stands before: {instruction} with an empty {input} two lines below ends with the instruction."""
    if "{" not in text and "}" not in text:
        return _value(text, tree)
    found, at = "", 0
    for match in FIELD.finditer(text):
        found += text[at : match.start()]
        at = match.end()
        if match[1] is None:
            found += match[0][0]
        elif (words := as_words(_value(match[1].strip(), tree))).strip():
            found += words
        elif found:
            found = found.rstrip("\n")
        else:
            at = len(text) - len(text[at:].lstrip("\n"))
    return found + text[at:]


def as_words(value: Any) -> str:
    """A value of a column as text: numbers as they are written, nothing for null, lists of texts line by line."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "\n".join(value)
    return json.dumps(value, ensure_ascii=False)


def _value(column: str, tree: Mapping[str, Any]) -> Any:
    if column not in tree:
        raise RowError("missing field", f"has no {column[:40]}")
    return tree[column]
