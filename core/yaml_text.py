"""Values and trees as YAML text, and back within limits.

Loads PyYAML when it is needed: every verb of the command line imports this, and few read or write a file.
"""

from __future__ import annotations

from typing import Any

MAX_YAML, MAX_NESTING = 200_000, 5_000  # libyaml has no limit of its own and overruns the stack


def read_yaml(text: str) -> Any:
    """The tree that a text stands for. Raises ValueError that goes on a sentence: " on line 3: what is wrong"."""
    import yaml

    if is_beyond_limits(text):
        raise ValueError(": it is too long or nested too deeply")
    try:
        # The loader in C is ten times as fast, where PyYAML was built with it.
        return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f" on line {mark.line + 1}" if mark else ""
        raise ValueError(f"{line}: {error.problem}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ValueError(": " + str(error).splitlines()[0].rstrip(".")) from None


def is_beyond_limits(text: str) -> bool:
    return len(text) > MAX_YAML or sum(map(text.count, "[{-?")) > MAX_NESTING


def as_text(value: Any) -> str:
    """A value as it stands in YAML, on one line."""
    import yaml

    plain = list(value) if isinstance(value, tuple) else value
    style = '"' if isinstance(value, dict) and value else None  # templates over columns hold colons and line ends
    shown = yaml.safe_dump(plain, default_flow_style=True, default_style=style, width=float("inf"))
    return shown.removesuffix("\n").removesuffix("\n...")


def mapping_from(text: str) -> Any:
    """What a text such as "prompt: question, completion: answer" stands for. Raises ValueError."""
    text = text.strip()
    if is_beyond_limits(text):
        raise ValueError("It is too long, or nested too deeply.")
    try:
        return read_yaml(text if text.startswith("{") else f"{{{text}}}")
    except ValueError:
        raise ValueError("Write it as {prompt: question, completion: answer}.") from None
