"""What is said of each row that is wrong or odd: where it stands and why, read again from the rows themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from core.data.judgement import Judgement
from core.data.kinds import (
    CONFLICT,
    CONTROL,
    ENCODING,
    LEAKED,
    NEAR,
    NO_END,
    NO_SYSTEM,
    NO_TOOLS,
    NOTHING_LEFT,
    PERSONAL,
    REPEATED,
    UNCLEAR,
    policy_of,
)
from core.data.marks import Marks, oddity_in_words
from core.data.report import Findings, Listed, Split
from core.data.row import Problem, Row
from core.data.run_rows import RunRows

MOST_LISTED = 100
"""Of each kind."""
SAID = {
    REPEATED: "is the same as {}",
    NEAR: "differs from {} only in case or spaces",
    CONFLICT: "answers the prompt of {} otherwise",
    LEAKED: "is held out, and {} with the same prompt is trained",
    NO_END: "has an answer that does not end with an end-of-turn token",
    NO_SYSTEM: "has a system message that the chat template leaves out",
    NO_TOOLS: "has tools that the chat template leaves out",
    NOTHING_LEFT: "has nothing that would be trained",
    UNCLEAR: "is rendered so that it is not certain where an answer begins",
}
JUDGED_OTHERWISE = "gives the answer of {} and has the opposite verdict"
Detail = Callable[[str, int], str]
"""What is said of a row of a kind that only tokens can tell; empty for the usual words."""


class Listing:
    """`reason` of any row that a judgement found. `rows` are those that were judged."""

    def __init__(
        self, rows: RunRows, marks: Marks, judgement: Judgement, detail: Detail = lambda kind, number: ""
    ) -> None:
        self._rows, self._marks, self._judgement, self._detail = rows, marks, judgement, detail

    def first(self, kinds: Sequence[str], most: int = MOST_LISTED) -> list[Listed]:
        """The first rows of each of these kinds, by line."""
        found = [one for kind in kinds for one in self._of(kind, most)]
        return sorted(found, key=lambda one: (one.row >= len(self._rows.data), one.file, one.line))

    def _of(self, kind: str, most: int) -> Iterator[Listed]:
        numbers = self._judgement.found[kind][:most]
        partners = self._judgement.partners.get(kind)
        for place, number in enumerate(numbers.tolist()):
            partner = int(partners[place]) if partners is not None else -1
            yield self.listed(kind, number, partner)

    def listed(self, kind: str, number: int, partner: int = -1, row: Row | Problem | None = None) -> Listed:
        """One row; `row` where it is at hand, `partner` the other row of kinds that compare."""
        return Listed(
            row=number,
            file=self._rows.file_of(number),
            line=int(self._marks.lines[number]),
            kind=kind,
            reason=self._reason(kind, number, partner, row),
        )

    def _reason(self, kind: str, number: int, partner: int, row: Row | Problem | None) -> str:
        if said := self._detail(kind, number):
            return said
        if partner >= 0:
            said = JUDGED_OTHERWISE if kind == CONFLICT and self._marks.verdicts[number] else SAID[kind]
            return said.format(self._place(partner, number))
        if kind in SAID:
            return SAID[kind]
        row = row if row is not None else self._rows[number]
        if isinstance(row, Problem):
            return row.reason.removeprefix(f"{self._rows.file_of(number)}: ")
        return oddity_in_words(row, kind) if kind in (CONTROL, ENCODING, *PERSONAL) else kind

    def _place(self, number: int, seen_from: int) -> str:
        file = self._rows.file_of(number)
        where = f" of {file}" if file != self._rows.file_of(seen_from) else ""
        return f"line {int(self._marks.lines[number]):,}{where}"

    def stop_in_words(self) -> str:
        """The sentence of a run that a policy stops; empty when none does."""
        if self._judgement.stop is None:
            return ""
        kind, number = self._judgement.stop
        policy = policy_of(kind)
        assert policy is not None
        place = int((self._judgement.found[kind] == number).argmax())
        partners = self._judgement.partners.get(kind)
        one = self.listed(kind, number, int(partners[place]) if partners is not None else -1)
        where = f"line {one.line:,}" + (f" of {one.file}" if one.file else "")
        return f"The run stops, as {policy.path} says: {where}: {one.reason}; mend the data or change the setting."

    def findings(self) -> Findings:
        """All of it, with the first hundred rows of each kind."""
        now = self._judgement
        counts = Counter({kind: len(numbers) for kind, numbers in now.found.items()})
        unusable = [kind for kind in now.found if (policy := policy_of(kind)) is None or not policy.is_usable]
        unusable = [kind for kind in unusable if now.skipped.get(kind)]
        odd = [kind for kind in now.found if kind not in unusable]
        num_own = len(self._rows.data)
        return Findings(
            num_rows=len(self._rows),
            num_used=int(now.is_used.sum()),
            num_skipped=len(self._rows) - int(now.is_used.sum()),
            num_trained=now.num_trained,
            num_held=now.num_held,
            num_usable=num_own - sum(int((now.found[kind] < num_own).sum()) for kind in unusable),
            reasons={kind: count for kind, count in counts.most_common() if kind in unusable},
            problems=self.first(unusable),
            remark_counts={kind: counts[kind] for kind in odd},
            remarks=self.first(odd),
            actions=now.actions,
            skipped=dict(Counter(now.skipped).most_common()),
            stop=self.stop_in_words(),
            split=split_of(now),
        )


def split_of(judgement: Judgement) -> Split:
    """How many rows a judgement puts on each side, and which are asked first."""
    num_used = judgement.num_trained + judgement.num_held
    return Split(
        num_trained=judgement.num_trained,
        num_held=judgement.num_held,
        num_left=len(judgement.is_used) - num_used,
        asked=judgement.asked,
    )
