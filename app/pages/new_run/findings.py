"""What was found wrong or odd in the data, kind by kind: how many rows, which, and what a run does with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.data.kinds import LEFT_OUT, LONG, UNROLLED, policy_of
from core.figures import whole

if TYPE_CHECKING:
    from core.data.lengths import Lengths
    from core.data.report import Findings, Listed
    from core.preview import Measured

WITHOUT_POLICY = {
    LEFT_OUT: "An edit leaves these rows out.",
    UNROLLED: "Nothing wrong: the template rewrites earlier answers, so each becomes an example of its own.",
}


@dataclass(frozen=True)
class Finding:
    """One kind. `tone` is "no" where rows cannot be used, "tight" where they can, empty where nothing is wrong."""

    kind: str
    num_rows: int
    tone: str
    words: str
    policy: str = ""
    """The config path of the setting that says what a run does with them."""
    rows: tuple[Listed, ...] = ()
    """The first hundred."""
    is_about: bool = False
    """Counted on a sample."""


def findings(
    report: Findings, measured: Measured | None = None, lengths: Lengths | None = None, limit: int = 0
) -> list[Finding]:
    """Everything found: first what cannot be used, then what is odd. `measured` counts what a report that knows no
    model does not; `lengths` tell what the limit costs."""
    listed: dict[str, list[Listed]] = {}
    for one in (*report.problems, *report.remarks):
        listed.setdefault(one.kind, []).append(one)

    beyond = f" {whole(lengths.num_lost(limit))} tokens lie beyond it." if lengths is not None else ""

    def finding(kind: str, num_rows: int, is_about: bool = False) -> Finding:
        policy = policy_of(kind)
        if policy is None:
            tone, said = "no" if kind == LEFT_OUT else "", WITHOUT_POLICY[kind]
        else:
            tone, said = "tight" if policy.is_usable else "no", policy.words
        path = policy.path if policy else ""
        said += beyond * (kind == LONG)
        return Finding(kind, num_rows, tone, said, path, tuple(listed.get(kind, ())), is_about)

    found = [finding(kind, count) for kind, count in (*report.reasons.items(), *report.remark_counts.items())]
    known = {one.kind for one in found}
    if measured is not None:
        scale = measured.num_rows / max(1, measured.num_measured)
        found += [
            finding(kind, round(count * scale), scale > 1)
            for kind, count in (*measured.reasons.items(), *measured.remarks.items())
            if kind not in known
        ]
    if LONG not in known and lengths is not None and (num_cut := lengths.num_cut(limit)):
        found.append(finding(LONG, num_cut, lengths.is_sample))
    tones = ("no", "tight", "")
    return sorted(found, key=lambda one: tones.index(one.tone))


def number_in_words(finding: Finding) -> str:
    return f"{'≈ ' if finding.is_about else ''}{whole(finding.num_rows)}"
