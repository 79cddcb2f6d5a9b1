"""Chat templates: turn messages into text and know which characters of it the model should learn to write."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import jinja2
from transformers import PreTrainedTokenizerBase
from transformers.utils.chat_template_utils import render_jinja_template

from core.errors import HoneError

TrainOn = Literal["answers", "last_answer", "all"]

FALLBACK = (
    "{% for message in messages %}"
    "{{ '### ' + message['role'] | capitalize + ':\\n' + message['content'] | trim }}"
    "{{ eos_token if message['role'] == 'assistant' else '\\n\\n' }}"
    "{% if message['role'] == 'assistant' and not loop.last %}{{ '\\n' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '### Assistant:\\n' }}{% endif %}"
)
"""The template given to a base model that has none: a heading per role, and the end token after each answer."""


class Refused(Exception):  # noqa: N818
    """A row that cannot be rendered, or whose trained part is not certain. The text is the reason, for a count."""


@dataclass(frozen=True)
class Rendered:
    """A row as text, with the character ranges that the model learns to write."""

    text: str
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Turn:
    """One message. Structurally the same as a message of core.data, so that either will do."""

    role: str
    content: str


def ensure_template(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Give a tokenizer without a chat template the fallback. Returns whether it was needed.

    Raises HoneError (path "model.source") when there is no end token to end answers with.
    """
    if isinstance(tokenizer.chat_template, dict):
        templates = tokenizer.chat_template
        tokenizer.chat_template = templates.get("default") or next(iter(templates.values()), None)
    if tokenizer.chat_template:
        return False
    if tokenizer.eos_token is None:
        raise HoneError(
            "The model's tokenizer has neither a chat template nor an end token, so answers have no end; choose "
            "another model.",
            path="model.source",
        )
    starts_with_bos = tokenizer.bos_token is not None and tokenizer("").input_ids[:1] == [tokenizer.bos_token_id]
    tokenizer.chat_template = ("{{ bos_token }}" if starts_with_bos else "") + FALLBACK
    return True


class ChatTemplate:
    """A tokenizer's chat template. `date` fills templates that state today's date, so that a resumed run
    renders the same text on another day."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, date: str = "") -> None:
        self._source = str(tokenizer.chat_template)
        self._names: dict[str, Any] = dict(tokenizer.special_tokens_map)
        if date and "date_string" in self._source:
            self._names["date_string"] = date
        self._is_marked = re.search(r"\{%-?\s*generation\s*-?%\}", self._source) is not None

    def prompt(self, messages: Sequence[Any]) -> str:
        """The text after which the model writes its next answer. Raises Refused."""
        return self._render(messages, for_answer=True)

    def render(self, messages: Sequence[Any], train_on: TrainOn) -> list[Rendered]:
        """A conversation as text with its trained ranges, found by the template's generation markers, else by
        comparing the text with and without each answer; both are checked on every row.

        A template that writes earlier answers differently once more follows (some drop old reasoning) gives one
        text per answer, each trained on its last answer only. Raises Refused when neither is certain.
        """
        if train_on == "all":
            text = self._render(messages)
            return [Rendered(text, ((0, len(text)),))]
        answers = [index for index, message in enumerate(messages) if message.role == "assistant"]
        if not answers:
            raise Refused("no answer")
        messages = messages[: answers[-1] + 1]
        wanted = answers[-1:] if train_on == "last_answer" else answers
        if self._is_marked and (marked := self._by_markers(messages, answers, wanted)):
            return [marked]
        text = self._render(messages)
        found = [self._by_comparison(messages, index) for index in wanted]
        if all(text.startswith(whole.text) for whole in found):
            return [Rendered(text, tuple(span for whole in found for span in whole.spans))]
        return found

    def _by_markers(self, messages: Sequence[Any], answers: list[int], wanted: list[int]) -> Rendered | None:
        text, spans = self._render_marked(messages)
        if len(spans) != len(answers):
            return None
        for index, (start, end) in zip(answers, spans, strict=True):
            if not _ends_in(text[start:end], messages[index].content):
                return None
        return Rendered(text, tuple(spans[answers.index(index)] for index in wanted))

    def _by_comparison(self, messages: Sequence[Any], index: int) -> Rendered:
        """The conversation up to one answer, trained on that answer."""
        before = self._render(messages[:index], for_answer=True)
        text = self._render(messages[: index + 1])
        if not text.startswith(before) or not _ends_in(text[len(before) :], messages[index].content):
            raise Refused("unclear where the answer begins")
        return Rendered(text, ((len(before), len(text)),))

    def _render(self, messages: Sequence[Any], for_answer: bool = False) -> str:
        text, _ = self._run(messages, for_answer, marked=False)
        return text

    def _render_marked(self, messages: Sequence[Any]) -> tuple[str, list[tuple[int, int]]]:
        return self._run(messages, for_answer=False, marked=True)

    def _run(self, messages: Sequence[Any], for_answer: bool, marked: bool) -> tuple[str, list[tuple[int, int]]]:
        turns = [{"role": message.role, "content": message.content} for message in messages]
        try:
            texts, spans = render_jinja_template(
                [turns],
                chat_template=self._source,
                add_generation_prompt=for_answer,
                return_assistant_tokens_mask=marked,
                **self._names,
            )
        except jinja2.TemplateError as error:
            raise Refused(f"refused by the chat template: {str(error)[:100]}") from None
        except Exception as error:  # a template is a program from a stranger and can fail in any way
            raise Refused(f"{type(error).__name__} in the chat template") from None
        return texts[0], list(spans[0]) if marked else []  # type: ignore[arg-type]


def _ends_in(written: str, content: str) -> bool:
    """Whether the end of an answer stands in what was written for it. Templates trim, and some move reasoning,
    so only the last words count, without their spaces."""
    return "".join(content[-80:].split()) in "".join(written.split())
