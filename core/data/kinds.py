"""Every way in which a row can be wrong or odd, and the setting that says what a run does with such rows.

The check, the worker and the window all take these from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from core.data.personal import PersonalKind
from core.sections import DataSection

Action = Literal["ignore", "keep", "cut", "skip", "stop"]
"""What a run does with rows of a kind: not look for them, use them, use what is left once the wrong part is cut
off, leave them out, or stop and say so."""

LONG = "longer than the limit"
NOTHING_LEFT = "no trained token left"
UNCLEAR = "unclear where the answer begins"
NO_CALLS = "calls of tools left out by the chat template"
NO_END = "answer without an end-of-turn token"
NO_SYSTEM = "system message left out by the chat template"
NO_TOOLS = "tools left out by the chat template"
REPEATED = "repeats another row"
NEAR = "nearly repeats another row"
CONFLICT = "same prompt, other answer"
LEAKED = "trained and held out"
CONTROL = "control character"
ENCODING = "wrong encoding"
LEFT_OUT = "left out"
"""By an edit, so that no policy is asked."""
UNROLLED = "one example per answer"
"""Nothing wrong: a way of writing a row that its template asks for."""
PERSONAL: tuple[str, ...] = get_args(PersonalKind)


@dataclass(frozen=True)
class Policy:
    """A setting of DataSection, the kinds of rows that it is about, and what is the matter with them."""

    name: str
    kinds: tuple[str, ...]
    words: str
    is_usable: bool = True
    """Whether a run could learn from these rows as they are."""

    @property
    def path(self) -> str:
        return f"data.{self.name}"


UNTRAINED = Policy(
    "on_untrained",
    (NOTHING_LEFT, UNCLEAR, NO_CALLS),
    "As the model would see them, there is nothing to learn, or not for certain.",
    is_usable=False,
)
"""Also of every reason that a chat template has to refuse a row."""
POLICIES = (
    Policy("on_invalid", (
        "invalid JSON", "not an object", "repeated key", "missing field", "not text", "unknown role", "not UTF-8",
        "line too long", "ragged row",
    ), "These rows cannot be read.", is_usable=False),
    Policy("on_no_answer", ("no answer", "empty answer"), "There is no answer to learn.", is_usable=False),
    Policy("on_empty", ("empty message", "empty text"), "A prompt or a text says nothing.", is_usable=False),
    Policy("on_role_order", ("wrong role order",), "User and assistant do not take turns.", is_usable=False),
    UNTRAINED,
    Policy("on_encoding", (ENCODING,), "Signs of text that was read in a wrong encoding somewhere on its way."),
    Policy("on_control", (CONTROL,), "Characters that nobody sees; the model learns to write them."),
    Policy("on_personal", PERSONAL, "What looks like personal data; the model may repeat it to anyone."),
    Policy("on_dropped", (NO_SYSTEM, NO_TOOLS), "The model never sees it, though the row has it."),
    Policy("on_no_end", (NO_END,), "The model does not learn to stop where such an answer ends."),
    Policy("on_long", (LONG,), "These rows have more tokens than the length limit."),
    Policy("on_duplicate", (REPEATED,), "A row that stands there twice is learnt twice."),
    Policy("on_near_duplicate", (NEAR,), "These differ from another row only in case or spaces."),
    Policy("on_conflict", (CONFLICT,), "The same is asked and answered differently, so neither is learnt well."),
    Policy("on_leak", (LEAKED,), "Their prompts are trained too, so the evaluation looks better than it is."),
)  # fmt: skip
"""In the order in which they are applied: what an earlier one leaves out is no repeat of anything."""
_POLICY_OF = {kind: policy for policy in POLICIES for kind in policy.kinds}


def policy_of(kind: str) -> Policy | None:
    """The policy on rows of a kind; None where there is nothing to choose. A kind that is not listed is a reason
    of a chat template."""
    return None if kind in (LEFT_OUT, UNROLLED) else _POLICY_OF.get(kind, UNTRAINED)


def action_on(kind: str, data: DataSection) -> Action:
    """What a run with these settings does with rows of a kind."""
    policy = policy_of(kind)
    if policy is None:
        return "skip" if kind == LEFT_OUT else "keep"
    return getattr(data, policy.name)
