"""Turns tokens into text as they come, never showing half a character."""

from __future__ import annotations

from collections.abc import Callable, Sequence

BROKEN = "�"


class TextStream:
    """The text of one answer. What `push` and `flush` return adds up to `text`.

    Tokens are decoded in a short window, since what a token reads as depends on the one before it; text that ends
    in an unfinished UTF-8 character is held back until the character is whole.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._ids: list[int] = []
        self._start = self._shown = 0
        self.text = ""

    def push(self, token: int) -> str:
        """The text that one more token makes certain; often a word, sometimes nothing."""
        self._ids.append(token)
        return self._advance(is_last=False)

    def flush(self) -> str:
        """What was held back, at the end of the answer."""
        return self._advance(is_last=True)

    def _advance(self, is_last: bool) -> str:
        before = self._decode(self._ids[self._start : self._shown])
        now = self._decode(self._ids[self._start :])
        if len(now) <= len(before) or (now.endswith(BROKEN) and not is_last):
            return ""
        self._start, self._shown = self._shown, len(self._ids)
        self.text += now[len(before) :]
        return now[len(before) :]
