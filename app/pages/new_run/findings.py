"""What was found wrong or odd in the data, kind by kind: how many rows, which, and what a run does with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.figures import whole

if TYPE_CHECKING:
    from core.data.check import Report
    from core.data.lengths import Lengths
    from core.preview import Measured

LONG = "longer than the limit"
POLICIES = {
    LONG: "data.on_long",
    "repeats another row": "data.on_duplicate",
    "nearly repeats another row": "data.on_duplicate",
    "trained and held out": "data.on_leak",
}
MEANINGS = {
    LONG: "These rows have more tokens than the length limit.",
    "repeats another row": "A row that stands there twice is learnt twice.",
    "nearly repeats another row": "These differ from another row only in case or spaces.",
    "same prompt, other answer": "The same is asked and answered differently, so neither answer is learnt well.",
    "trained and held out": "Their prompts are trained too, so the evaluation looks better than it is.",
    "control character": "Characters that nobody sees; the model learns to write them.",
    "wrong encoding": "Signs of text that was read in a wrong encoding somewhere on its way.",
}


@dataclass(frozen=True)
class Found:
    """One row, with the line it begins on and what is the matter."""

    row: int
    line: int
    reason: str


@dataclass(frozen=True)
class Finding:
    """One kind. `tone` is "no" where rows are left out, "tight" where they are used all the same."""

    kind: str
    num_rows: int
    tone: str
    words: str
    policy: str = ""
    """The config path of the setting that says what a run does with them."""
    rows: tuple[Found, ...] = ()
    """The first hundred."""
    is_about: bool = False
    """Counted on a sample."""


def findings(report: Report, measured: Measured | None, lengths: Lengths | None, limit: int) -> list[Finding]:
    """Everything found: first what leaves rows out, then what is odd about rows that are used."""
    found = [
        Finding(kind, count, "no", "These rows cannot be used.", "data.on_invalid", tuple(
            Found(one.row, one.line, one.reason) for one in report.problems if one.kind == kind
        ))
        for kind, count in report.reasons.items()
    ]  # fmt: skip
    if measured is not None:
        scale, is_about = (
            measured.num_rows / max(1, measured.num_measured),
            measured.num_measured < measured.num_rows,
        )
        found += [
            Finding(reason, round(count * scale), "no", "These rows are refused as the model would see them.",
                    "data.on_invalid", is_about=is_about)
            for reason, count in measured.reasons.items() if reason not in report.reasons
        ]  # fmt: skip
        found += [
            Finding(remark, round(count * scale), "tight", "Seen as the model sees them; used all the same.",
                    is_about=is_about)
            for remark, count in measured.remarks.items()
        ]  # fmt: skip
    if lengths is not None and (num_cut := lengths.num_cut(limit)):
        words = f"{MEANINGS[LONG]} {whole(lengths.num_lost(limit))} tokens lie beyond it."
        found.append(Finding(LONG, num_cut, "tight", words, POLICIES[LONG], is_about=lengths.is_sample))
    found += [
        Finding(kind, count, "tight", MEANINGS.get(kind, "These rows are used all the same."),
                POLICIES.get(kind, ""),
                tuple(Found(one.row, one.line, one.reason) for one in report.remarks if one.kind == kind))
        for kind, count in report.remark_counts.items()
    ]  # fmt: skip
    return found


def number_in_words(finding: Finding) -> str:
    return f"{'≈ ' if finding.is_about else ''}{whole(finding.num_rows)}"
