"""Tells which format a dataset is in, from its first rows: by the names of columns and by what stands in them.

Every answer comes with how sure it is and with what was seen; what is only a guess is never taken.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from core.data.formats import EXPECTED, Layout, columns_of
from core.data.mapping import Meaning
from core.data.messages import short
from core.data.row import Format, RowError
from core.data.transcripts import share_of
from core.errors import HoneError

KNOWN: tuple[tuple[Format, tuple[str, str] | tuple[str]], ...] = (
    ("preference", ("chosen", "rejected")),
    ("messages", ("messages",)),
    ("messages", ("conversations",)),
    ("messages", ("conversation",)),
    ("instruction", ("instruction", "output")),
    ("instruction", ("instruction", "response")),
)
"""In the order of trial."""
ASKED = (
    "prompt", "question", "query", "problem", "input", "user", "human", "request", "instruction", "document",
    "article", "source", "context", "message", "utterance", "title",
)  # fmt: skip
ANSWERED = (
    "completion", "response", "answer", "output", "target", "assistant", "solution", "summary", "highlights",
    "reply", "translation", "bot", "answers", "result",
)  # fmt: skip
JUDGED = ("text", "sentence", "review", "tweet", "comment", "content", "utterance", "title", "document")
JUDGEMENTS = ("label", "category", "class", "sentiment", "intent", "emotion", "topic", "label_text")
VERDICTS = (True, False, 0, 1, "true", "false", "True", "False", "0", "1")
MOST_CLASSES = 40
SURE, BY_NAME, BY_PATTERN, BY_CONTENT = 1.0, 0.9, 0.9, 0.6


def detect(trees: Sequence[dict[str, Any]]) -> Layout | None:
    """The layout that most of these rows have, and how sure that is; None when none fits any."""
    votes = Counter(found for tree in trees if (found := _by_names(tree)))
    if classes := _classes(trees):
        return classes
    if not votes:
        return None
    (kind, columns, sureness), count = votes.most_common(1)[0]
    judged = _verdict(trees) if kind in ("prompt", "messages") else ""
    if judged:
        kind, columns = "kto", (*columns, judged)
    shown = " and ".join(filter(None, (", ".join(columns[:-1]), columns[-1])))
    layout = Layout(kind, columns, confidence=round(sureness * count / len(trees), 2),
                    seen=f"{count:,} of the first {len(trees):,} rows have {shown}")  # fmt: skip
    return _with_transcripts(layout, trees, columns, has_prompt=any(tree.get("prompt") for tree in trees))


def layout_for(trees: Sequence[dict[str, Any]], meaning: Meaning, source: str) -> Layout | None:
    """The layout that the run says, or else the one that is detected; None when none fits.

    Raises HoneError for columns that are not there, and for a guess: a person has to say it.
    """
    names = list(dict.fromkeys(name for tree in trees for name in tree))
    meaning = meaning.fitted(names)
    meaning.check(names, source)
    if meaning.format is not None:
        shown = ", ".join(f"{role} from {text}" for role, text in meaning.mapping)
        layout, filled = Layout(meaning.format, (), meaning, 1.0, f"as mapped: {shown}"), _filled(trees, meaning)
        columns = [role for role, _ in meaning.mapping if role in ("chosen", "rejected", "messages")]
        return _with_transcripts(layout, filled, columns, has_prompt="prompt" in dict(meaning.mapping))
    layout = detect(trees)
    if layout is None and (pair := two_texts(trees)):
        one, two = map(short, pair)
        raise HoneError(
            f"{source} has the columns {columns_of(trees)}, which fit no format by their names; if {one} is the "
            f"prompt and {two} the answer, set data.mapping.prompt={one} and data.mapping.completion={two}.",
            path="data.source",
        )
    if layout is None:
        return None
    return replace(layout, meaning=meaning)


def unknown(trees: Sequence[dict[str, Any]], source: str) -> str:
    """The sentence for rows that fit no format."""
    return (
        f"{source} has the columns {columns_of(trees)}, which fit no format; rows have {EXPECTED}, or say with "
        "data.mapping which column is what."
    )


def _with_transcripts(
    layout: Layout, trees: Sequence[dict[str, Any]], columns: Sequence[str], *, has_prompt: bool
) -> Layout:
    """The layout with conversations in one text each, where most rows have them so."""
    if layout.format not in ("preference", "messages", "kto") or has_prompt or not columns:
        return layout
    columns = columns[:1] if layout.format == "kto" else columns
    share = share_of(trees, columns)
    if not share:
        return layout
    seen = f"{layout.seen}, in {share:.0%} of them as one text with turns of “Human:” and “Assistant:”"
    sureness = round(min(layout.confidence, BY_PATTERN * share), 2)
    return replace(layout, confidence=sureness, seen=seen, has_transcripts=True)


def _filled(trees: Sequence[dict[str, Any]], meaning: Meaning) -> list[dict[str, Any]]:
    """What a mapping makes of those rows that it fits."""
    found = []
    for tree in trees:
        with contextlib.suppress(RowError):
            found.append(meaning.apply(tree))
    return found


def _by_names(tree: dict[str, Any]) -> tuple[Format, tuple[str, ...], float] | None:
    """A format whose columns this row has, under any spelling of their names."""
    plain = {name.strip().casefold().replace(" ", "_"): name for name in tree}
    for kind, columns in KNOWN:
        if all(name in plain for name in columns):
            return kind, tuple(plain[name] for name in columns), SURE
    asked = next((plain[name] for name in ASKED if name in plain), "")
    answered = next((plain[name] for name in ANSWERED if name in plain), "")
    if asked and answered:
        is_usual = asked == "prompt" and answered in ("completion", "response", "answer")
        return "prompt", (asked, answered), SURE if is_usual else BY_NAME
    return ("text", (plain["text"],), SURE) if "text" in plain else None


def _verdict(trees: Sequence[dict[str, Any]]) -> str:
    """The column that says whether an answer is good; empty for none."""
    found = [tree["label"] for tree in trees if "label" in tree]
    is_verdict = found and len(found) == len(trees) and all(
        isinstance(value, bool | int | str) and value in VERDICTS for value in found
    )  # fmt: skip
    return "label" if is_verdict else ""


def _classes(trees: Sequence[dict[str, Any]]) -> Layout | None:
    """A table of texts with one of a few words for each."""
    if len(trees) < 4:
        return None
    plain = {name.strip().casefold().replace(" ", "_"): name for name in trees[0]}
    judged = next((plain[name] for name in JUDGED if name in plain), "")
    judgement = next((plain[name] for name in JUDGEMENTS if name in plain), "")
    others = {*ASKED, *ANSWERED, "messages", "conversations", "chosen", "instruction"} - set(JUDGED)
    if not judged or not judgement or others & plain.keys():
        return None
    values = [tree.get(judgement) for tree in trees]
    if not all(isinstance(value, str | int) and len(str(value)) < 60 for value in values):
        return None
    if not all(isinstance(tree.get(judged), str) for tree in trees):
        return None
    num_classes = len(set(values))
    if not 2 <= num_classes <= min(MOST_CLASSES, len(trees) // 2):
        return None
    return Layout("prompt", (judged, judgement), confidence=BY_CONTENT,
                  seen=f"{short(judgement)} has {num_classes} values in the first {len(trees):,} rows, so it is "
                       f"taken for the answer to {short(judged)}")  # fmt: skip


def two_texts(trees: Sequence[dict[str, Any]]) -> tuple[str, str] | None:
    """The two columns that hold text in every row, when there are just two: a guess."""
    texts = [
        name
        for name in (trees[0] if trees else ())
        if all(isinstance(tree.get(name), str) and not tree[name].isdigit() for tree in trees)
    ]
    return (texts[0], texts[1]) if len(texts) == 2 else None
