"""Chat templates by name, for models that have none, and one's own from a file. No Jinja here: only their text."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from core import places
from core.errors import HoneError

AUTO, PLAIN = "auto", "plain"
MOST_BYTES = 200_000
END = re.compile(r"\{#-? end: (\S+) -?#\}\n?")
"""How a template of the library names the token that ends a turn."""


def template_names() -> tuple[str, ...]:
    """The library, in alphabetical order."""
    return tuple(sorted(path.stem for path in _folder().glob("*.jinja")))


def read_template(choice: str) -> str:
    """The text of the template that data.template names; empty for "auto", which is the model's own.

    Raises HoneError(path="data.template").
    """
    choice = choice.strip()
    if choice in ("", AUTO):
        return ""
    if choice in template_names():
        return _named(choice)
    path = Path(choice).expanduser()
    try:
        if path.stat().st_size > MOST_BYTES:
            raise _wrong(f"{choice} is too long to be a chat template; give a file of at most 200 kB.")
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, ValueError) as error:
        if isinstance(error, UnicodeDecodeError):
            raise _wrong(f"{choice} is not text; a chat template is Jinja in UTF-8.") from None
        known = ", ".join((AUTO, *template_names()))
        raise _wrong(f"{choice[:80]} is no template; give one of {known}, or the path of a Jinja file.") from None
    except OSError as error:
        raise _wrong(f"{choice[:80]} cannot be read ({error.strerror}); give the path of a Jinja file.") from None
    if not text.strip():
        raise _wrong(f"{choice} is empty; give a chat template in Jinja.")
    return text


def fitted(text: str, has_token: bool, end_token: str | None) -> str:
    """A template of the library without the line that names its end of turn. Where the tokenizer has no such token
    (`has_token`), the model's own end token takes its place: answers must end with one token."""
    found = END.match(text)
    if not found:
        return text
    rest = text[found.end() :]
    return rest if has_token or end_token is None else rest.replace(found[1], end_token)


def end_of(text: str) -> str:
    """The token that a template of the library ends turns with; empty when it is the model's own, or unknown."""
    found = END.match(text)
    return found[1] if found else ""


@lru_cache(maxsize=32)
def _named(name: str) -> str:
    return (_folder() / f"{name}.jinja").read_text(encoding="utf-8")


def _folder() -> Path:
    return places.RESOURCES / "templates"


def _wrong(message: str) -> HoneError:
    return HoneError(message, path="data.template")
