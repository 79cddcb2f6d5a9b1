"""Chat templates: turn messages into text and know which characters of it the model should learn to write."""

from __future__ import annotations

import itertools
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import jinja2
from transformers import PreTrainedTokenizerBase

from core.data import templates
from core.data.kinds import NO_CALLS, NO_SYSTEM, NO_TOOLS, UNCLEAR
from core.errors import HoneError
from core.worker.sandbox import BEGIN, END, CompiledTemplate, TooMuch

TrainOn = Literal["answers", "last_answer", "all", "roles"]
DATE = "%d %b %Y"
MOST_TOO_MUCH = 3
"""Renderings in a row that may take too much before the template is given up."""
GO_ON = {"role": "user", "content": "Go on."}
Turns = list[dict[str, Any]]


class Refused(Exception):  # noqa: N818
    """A row that cannot be rendered, or whose trained part is not certain. The text is the reason, for a count."""


@dataclass(frozen=True)
class Rendered:
    """A row as text, with the character ranges that the model learns to write."""

    text: str
    spans: tuple[tuple[int, int], ...]
    remarks: tuple[str, ...] = ()
    """What the template did not take over from the row."""


def ensure_template(tokenizer: PreTrainedTokenizerBase, choice: str = templates.AUTO) -> bool:
    """Give a tokenizer the chat template that `choice` (data.template) names. Returns whether it had to have the
    plain one, for want of any.

    Raises HoneError: path "data.template" when the choice is none, path "model.source" when there is no end token
    to end answers with.
    """
    if isinstance(tokenizer.chat_template, dict):
        named = tokenizer.chat_template
        tokenizer.chat_template = named.get("default") or next(iter(named.values()), None)
    chosen = templates.read_template(choice)
    if not chosen and tokenizer.chat_template:
        return False
    text = chosen or templates.read_template(templates.PLAIN)
    end = templates.end_of(text)
    has_token = bool(end) and end in tokenizer.get_vocab()
    if tokenizer.eos_token is None and not has_token and (end or "eos_token" in text):
        raise HoneError(
            "The model's tokenizer has no end token for answers to end with; choose another model, or a chat "
            "template that names one.",
            path="data.template" if chosen else "model.source",
        )
    starts_with_bos = tokenizer.bos_token is not None and tokenizer("").input_ids[:1] == [tokenizer.bos_token_id]
    text = templates.fitted(text, has_token, str(tokenizer.eos_token))
    is_ours = choice.strip() in templates.template_names() or not chosen
    is_begun = starts_with_bos and is_ours
    tokenizer.chat_template = ("{{- bos_token -}}\n" if is_begun else "") + text
    return not chosen


class ChatTemplate:
    """A tokenizer's chat template. `date` fills templates that state today's date, so that a resumed run
    renders the same text on another day. Raises HoneError(path="data.template") for what is no template."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, date: str = "") -> None:
        self.source = str(tokenizer.chat_template)
        self.date = date
        self.is_dated = "date_string" in self.source or "strftime_now" in self.source
        self._num_too_much = 0
        self._names: dict[str, Any] = dict(tokenizer.special_tokens_map)
        if date and "date_string" in self.source:
            self._names["date_string"] = date
        day = time.strptime(date, DATE) if date else None
        special = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
        self._special = sorted({*special, *tokenizer.all_special_tokens}, key=len, reverse=True)
        self._blank = re.compile(r"(?:\s|" + "|".join(map(re.escape, self._special or [" "])) + ")*")
        try:
            self._template = CompiledTemplate(
                self.source, lambda form: time.strftime(form, day or time.localtime())
            )
        except jinja2.TemplateSyntaxError as error:
            raise HoneError(
                f"The chat template cannot be read: line {error.lineno}: {error.message}; choose another with "
                "data.template.",
                path="data.template",
            ) from None
        except Exception as error:
            raise HoneError(
                f"The chat template cannot be used ({type(error).__name__}); choose another with data.template.",
                path="data.template",
            ) from None

    def prompt(self, messages: Sequence[Any], tools: str = "") -> str:
        """The text after which the model writes its next answer. Raises Refused."""
        return _Writing(self, messages, tools).text(len(messages), for_answer=True)

    def render(
        self,
        messages: Sequence[Any],
        train_on: TrainOn,
        roles: Sequence[str] = ("assistant",),
        tools: str = "",
        first: int = 0,
    ) -> list[Rendered]:
        """A conversation as text with its trained ranges, found by the template's generation markers, else by
        comparing the text with and without each answer; both are checked on every row.

        A template that writes earlier answers differently once more follows (some drop old reasoning) gives one
        text per answer, each trained on its last answer only. Messages before number `first` are never learnt.
        Raises Refused when neither is certain.
        """
        writing = _Writing(self, messages, tools)
        if train_on == "all":
            text = writing.text(len(messages))
            return [Rendered(text, ((0, len(text)),), writing.remarks(text))]
        learnt = set(roles) if train_on == "roles" else {"assistant"}
        wanted = [index for index, message in enumerate(messages) if index >= first and message.role in learnt]
        if not wanted:
            raise Refused("no answer" if learnt == {"assistant"} else "no message of the chosen roles")
        if train_on == "last_answer":
            wanted = wanted[-1:]
        count = wanted[-1] + 1
        if learnt == {"assistant"} and self._template.is_marked:
            answers = [index for index, message in enumerate(messages[:count]) if message.role == "assistant"]
            if marked := self._by_markers(writing, count, answers, wanted):
                return [marked]
        text = writing.text(count)
        remarks = writing.remarks(text)
        found = [
            writing.answer(index) if messages[index].role == "assistant" else writing.said(index)
            for index in wanted
        ]
        spans = [self._within(text, part, messages[part.index]) for part in found]
        if all(spans) and all(one[1] <= two[0] for one, two in itertools.pairwise(spans)):  # type: ignore[index]
            return [Rendered(text, tuple(span for span in spans if span), remarks)]
        if learnt != {"assistant"}:
            raise Refused("earlier messages are rewritten by the chat template")
        return [Rendered(part.text, ((part.start, part.end),), remarks) for part in found]

    def _by_markers(self, writing: _Writing, count: int, answers: list[int], wanted: list[int]) -> Rendered | None:
        """None when the markers do not stand around exactly the answers."""
        first, *others = writing.marked(count).split(BEGIN)
        text, spans = first, []
        for piece in others:
            inside, end, outside = piece.partition(END)
            if not end:
                return None
            spans.append((len(text), len(text) + len(inside)))
            text += inside + outside
        if END in text or len(spans) != len(answers):
            return None
        if self._template.captures and text != writing.text(count):
            return None  # the marks themselves have changed what is written
        for index, (start, end) in zip(answers, spans, strict=True):
            if not _holds(text[start:end], writing.turns[index]):
                return None
        kept = tuple(spans[answers.index(index)] for index in wanted)
        return Rendered(text, kept, writing.remarks(text))

    def _within(self, text: str, part: _Part, message: Any) -> tuple[int, int] | None:
        """Where a message that was found in its own beginning of the conversation stands in the whole of it; None
        when the whole has it otherwise.

        Some templates close the text after the last message: then only end tokens and blanks may differ.
        """
        if text.startswith(part.text):
            return part.start, part.end
        same = self.closed(part.text, text)
        return (part.start, same) if same and _holds(text[part.start : same], part.turn) else None

    def closed(self, text: str, longer: str) -> int:
        """How far two texts are the same, when only blanks and special tokens follow in the first; else 0."""
        same = _num_same(text, longer)
        for token in self._special:  # what is the same may end within a token
            begin = text.find(token, max(0, same - len(token) + 1), same + len(token))
            if 0 <= begin < same < begin + len(token):
                same = begin
        return same if self._blank.fullmatch(text, same) else 0

    def num_closing(self, text: str) -> int:
        """How many special tokens a text ends with, blanks aside."""
        count, end = 0, len(text.rstrip())
        while token := next((token for token in self._special if text.endswith(token, 0, end)), ""):
            count, end = count + 1, len(text[: end - len(token)].rstrip())
        return count

    def run(self, turns: Turns, tools: list[Any] | None, for_answer: bool, marked: bool = False) -> str:
        """What the template writes. Raises Refused, and HoneError once it was too much several times in a row, of
        which each takes seconds."""
        names = {**self._names, "messages": turns, "add_generation_prompt": for_answer, "tools": tools,
                 "documents": None}  # fmt: skip
        if self._num_too_much >= MOST_TOO_MUCH:
            raise HoneError(
                "The chat template takes too long or too much memory, row after row; choose another with "
                "data.template.",
                path="data.template",
            )
        try:
            written = self._template.render_marked(names) if marked else self._template.render(names)
            self._num_too_much = 0
            return written
        except jinja2.TemplateError as error:
            raise Refused(f"refused by the chat template: {str(error)[:100]}") from None
        except TooMuch:
            self._num_too_much += 1
            raise Refused("the chat template takes too long or too much memory") from None
        except Exception as error:  # a template is a program from a stranger and can fail in any way
            raise Refused(f"{type(error).__name__} in the chat template") from None


@dataclass(frozen=True)
class _Part:
    """The conversation up to one message, and where that message's own text begins."""

    index: int
    text: str
    start: int
    end: int
    turn: dict[str, Any]


class _Writing:
    """One conversation while it is rendered: each beginning of it once."""

    def __init__(self, template: ChatTemplate, messages: Sequence[Any], tools: str) -> None:
        self._template = template
        self.turns = [_turn(message) for message in messages]
        self._tools = json.loads(tools) if tools else None
        self._texts: dict[tuple[int, bool], str] = {}

    def text(self, count: int, for_answer: bool = False) -> str:
        """The first `count` messages, and where an answer should follow, what stands before it."""
        key = count, for_answer
        if key not in self._texts:
            self._texts[key] = self._template.run(self.turns[:count], self._tools, for_answer)
        return self._texts[key]

    def marked(self, count: int) -> str:
        return self._template.run(self.turns[:count], self._tools, False, marked=True)

    def answer(self, index: int) -> _Part:
        """An answer: what comes after the text that generation starts from. Raises Refused."""
        before, text = self.text(index, for_answer=True), self.text(index + 1)
        if not text.startswith(before) or not _holds(text[len(before) :], self.turns[index]):
            raise Refused(UNCLEAR)
        return _Part(index, text, len(before), self._end(index, text, len(before)), self.turns[index])

    def _end(self, index: int, text: str, start: int) -> int:
        """Where an answer ends: at its end, but for what some templates write only when nothing more follows."""
        if self._template.num_closing(text) < 2:
            return len(text)
        try:
            longer = self._template.run([*self.turns[: index + 1], GO_ON], self._tools, False)
        except Refused:
            return len(text)
        end = self._template.closed(text, longer)
        return end if end and _holds(text[start:end], self.turns[index]) else len(text)

    def said(self, index: int) -> _Part:
        """Another's message: its content and what closes it. Raises Refused when that stands there twice."""
        text, content = self.text(index + 1), str(self.turns[index]["content"]).strip()
        try:
            before = self.text(index) if index else ""
        except Refused:
            before = ""
        start = len(before) if text.startswith(before) else 0
        if not content or text.count(content, start) != 1:
            raise Refused(f"unclear where the {self.turns[index]['role']}'s message begins")
        return _Part(index, text, text.index(content, start), len(text.rstrip()), self.turns[index])

    def remarks(self, text: str) -> tuple[str, ...]:
        """What of the row its text does not have. Raises Refused for calls of tools."""
        found = []
        for turn in self.turns:
            if turn["role"] == "system" and (content := str(turn["content"]).strip()) and content not in text:
                found.append(NO_SYSTEM)
        if self._tools is not None and self._is_same_without("", None):
            found.append(NO_TOOLS)
        if any("tool_calls" in turn for turn in self.turns) and self._is_same_without("tool_calls", self._tools):
            raise Refused(NO_CALLS)
        return tuple(found)

    def _is_same_without(self, name: str, tools: list[Any] | None) -> bool:
        """Whether the text is the same with these tools, and without what messages have of this name."""
        turns = [{key: value for key, value in turn.items() if key != name} for turn in self.turns]
        try:
            return self._template.run(turns, tools, False) == self._template.run(self.turns, self._tools, False)
        except Refused:
            return False


def _turn(message: Any) -> dict[str, Any]:
    """A message as templates know it; reasoning goes by each of the names that they read it under."""
    turn: dict[str, Any] = {"role": message.role, "content": message.content}
    if more := getattr(message, "more", ""):
        turn |= json.loads(more)
        if reasoning := turn.get("reasoning_content"):
            turn["thinking"] = reasoning
    return turn


def _num_same(one: str, two: str) -> int:
    """How many characters two texts begin with alike."""
    low, high = 0, min(len(one), len(two))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[low:middle] == two[low:middle] else (low, middle - 1)
    return low


def _holds(written: str, turn: dict[str, Any]) -> bool:
    """Whether the end of a message stands in what was written for it, and each tool it calls. Templates trim, and
    some move reasoning, so only the last words count, without their spaces."""
    last = str(turn["content"])[-80:]
    if last not in written and "".join(last.split()) not in "".join(written.split()):
        return False
    return all(call.get("function", call).get("name", "") in written for call in turn.get("tool_calls") or ())
