"""Lets columns answer: one batch for all that share a base, tokens streamed as they come."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Event as Flag
from typing import Literal

from transformers import PreTrainedTokenizerBase

from core.chat import Ask, Message
from core.errors import HoneError
from core.events import Event, Replied, Token, Warned
from core.worker.engine import Engine
from core.worker.generate import generate
from core.worker.sampler import Sampler
from core.worker.template import ChatTemplate, Refused
from core.worker.text_stream import TextStream


@dataclass(frozen=True)
class Voice:
    """What answers for a column: a base in memory, the adapter on it, and how a conversation is written for it."""

    name: str
    engine: Engine
    adapter: str
    template: ChatTemplate


def answer(voices: Sequence[Voice], ask: Ask, stopped: Flag) -> Iterator[Event]:
    """Tokens as they come, and one Replied for each column asked.

    Raises HoneError before the first token when a conversation cannot be answered.
    """
    columns = sorted(ask.conversations)
    if not columns or columns[0] < 0 or columns[-1] >= len(voices):
        raise HoneError(f"The comparison has {len(voices)} columns; ask one of those.")
    prompts: dict[int, list[int]] = {}
    for column in columns:
        prompts[column], warning = _prompt(voices[column], ask.conversations[column], ask)
        if warning is not None and column == columns[0]:
            yield warning
    for engine in dict.fromkeys(voices[column].engine for column in columns):
        mine = [column for column in columns if voices[column].engine is engine]
        for places in engine.batches([voices[column].adapter for column in mine]):
            together = {mine[place]: voices[mine[place]].adapter for place in places}
            yield from _answer_together(engine, together, prompts, ask, stopped)


def _answer_together(
    engine: Engine, adapters: dict[int, str], prompts: dict[int, list[int]], ask: Ask, stopped: Flag
) -> Iterator[Event]:
    """One batch: `adapters` has the columns it consists of."""
    columns, sampling = list(adapters), ask.sampling
    rows = [prompts[column] for column in columns]
    limits = [min(sampling.max_tokens, engine.context - len(row)) for row in rows]
    dice = [(ask.seeds.get(column, sampling.seed), column) for column in columns]
    replies = {column: _Reply(column, engine.tokenizer) for column in columns}
    with engine.speaking(list(adapters.values())) as keep:
        steps = generate(engine.model, rows, Sampler(sampling, dice, rows), engine.stop_tokens, limits, keep)
        for written in steps if not stopped.is_set() else ():
            for one in written:
                yield from replies[columns[one.row]].add(one.token, one.reason)
            if stopped.is_set():
                break
    for reply in replies.values():
        if not reply.is_done:
            yield from reply.end("stopped")


class _Reply:
    """The answer of one column while it grows."""

    def __init__(self, column: int, tokenizer: PreTrainedTokenizerBase) -> None:
        self._column = column
        self._stream = TextStream(lambda ids: _decode(tokenizer, ids))
        self._num_tokens = 0
        self._start = time.perf_counter()
        self.is_done = False

    def add(self, token: int, reason: Literal["", "end", "length"]) -> Iterator[Event]:
        self._num_tokens += 1
        if reason != "end" and (text := self._stream.push(token)):
            yield Token(column=self._column, text=text)
        if reason:
            yield from self.end(reason)

    def end(self, reason: Literal["end", "length", "stopped"]) -> Iterator[Event]:
        self.is_done = True
        if rest := self._stream.flush():
            yield Token(column=self._column, text=rest)
        seconds = max(time.perf_counter() - self._start, 1e-6)
        yield Replied(
            column=self._column,
            text=self._stream.text,
            reason=reason,
            num_tokens=self._num_tokens,
            tokens_per_second=self._num_tokens / seconds,
        )


def _decode(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    text = tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
    assert isinstance(text, str)
    return text


def _prompt(voice: Voice, messages: Sequence[Message], ask: Ask) -> tuple[list[int], Warned | None]:
    """The tokens after which a column writes. Raises HoneError when the template or the context refuses."""
    tokenizer, warning = voice.engine.tokenizer, None
    if not messages or messages[-1].role != "user":
        raise HoneError("A conversation must end with something for the model to answer.")
    if not ask.template:
        ids = tokenizer(messages[-1].content, verbose=False).input_ids
    else:
        text, warning = _rendered(voice, messages, ask.system.strip())
        ids = tokenizer(text, add_special_tokens=False, verbose=False).input_ids
    if not ids:
        raise HoneError("There is nothing to answer; write something first.")
    if len(ids) >= voice.engine.context:
        raise HoneError(
            f"The conversation of {voice.name} is {len(ids):,} tokens long and the model holds "
            f"{voice.engine.context:,}; start a new conversation."
        )
    return ids, warning


def _rendered(voice: Voice, messages: Sequence[Message], system: str) -> tuple[str, Warned | None]:
    """A conversation as the model was trained to read it. Where the template knows no system prompt, it is put
    before the first question."""
    with_system = [Message(role="system", content=system), *messages] if system else list(messages)
    try:
        return voice.template.prompt(with_system), None
    except Refused as refused:
        if not system:
            raise HoneError(f"{voice.name} cannot be asked: {refused}.") from None
    first, *rest = messages
    folded = [Message(role=first.role, content=f"{system}\n\n{first.content}"), *rest]
    try:
        text = voice.template.prompt(folded)
    except Refused as refused:
        raise HoneError(f"{voice.name} cannot be asked: {refused}.") from None
    return text, Warned(message="This model takes no system prompt; it was put before the first question.")
