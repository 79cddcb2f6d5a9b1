"""Runs a chat template, which is a program from a stranger: sandboxed, and within limits of time and memory."""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from ctypes import c_ulong, py_object, pythonapi
from functools import lru_cache
from typing import Any, TypeVar

import jinja2
import psutil
from jinja2 import nodes
from jinja2.compiler import CodeGenerator
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment, SecurityError

MOST_SECONDS = 5.0
"""For one rendering; the slowest of real ones takes milliseconds."""
MOST_GROWTH = 2**30
"""Bytes that the process may grow by in one rendering."""
MOST_CHARACTERS = 64 * 2**20
"""In any one text; a row has at most a quarter of that."""
MOST_REPEATS = 1_000_000
MOST_BITS = 10_000
LOOK_SECONDS = 0.02
WIDE_FORMAT = re.compile(r"\d{7}|\*")
MARKS = re.compile(r"\{%[-+]?\s*generation\s*[-+]?%\}")
Result = TypeVar("Result")
CAPTURES = re.compile(r"\{%[-+]?\s*(?:filter|call|macro|block|set\s[^=%]*%\})")
"""What takes hold of written text, so that it may change it: marks as well."""
_secret = secrets.token_hex(8)
BEGIN, END = f"\x02{_secret}\x02", f"\x03{_secret}\x03"
"""What stands around an answer in a marked rendering: nothing that any text could hold."""


class TooMuch(Exception):  # noqa: N818
    """Raised inside a template that takes too long or too much memory."""


class CompiledTemplate:
    """A template ready to run. Raises jinja2.TemplateError when it is no template."""

    def __init__(self, source: str, date: Callable[[str], str]) -> None:
        self.is_marked = MARKS.search(source) is not None
        self.captures = CAPTURES.search(source) is not None
        self._plain = within_limits(lambda: _environment(GenerationBlock, date).from_string(source))
        self._marked = _environment(MarkedBlock, date).from_string(source) if self.is_marked else self._plain

    def render(self, names: dict[str, Any]) -> str:
        """The text for these names. Raises whatever the template does, and TooMuch."""
        return within_limits(lambda: self._plain.render(names))

    def render_marked(self, names: dict[str, Any]) -> str:
        """The text with BEGIN and END around what stands in generation blocks. Raises like `render`."""
        return within_limits(lambda: self._marked.render(names))


class LimitedCode(CodeGenerator):
    """Lets the environment join what stands between ~ signs."""

    def visit_Concat(self, node: nodes.Concat, frame: Any) -> None:  # noqa: N802
        self.write("environment.concat(map(str, (")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write(")))")


class Limited(ImmutableSandboxedEnvironment):
    """Refuses operations that would fill the memory before anyone could look."""

    code_generator_class = LimitedCode
    intercepted_binops = frozenset({"+", "*", "**", "%"})

    @staticmethod
    def concat(parts: Iterable[str]) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Joins the parts of a text."""
        texts = list(parts)
        _check_size(sum(map(len, texts)))
        return "".join(texts)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "+":
            if isinstance(left, str):
                if isinstance(right, str) and len(left) + len(right) > MOST_CHARACTERS:
                    raise SecurityError("a text grows too long")
                return left + right
        elif operator == "%":
            if isinstance(left, str):
                _check_format(left, (right,))
        elif isinstance(left, int) and isinstance(right, int):
            bits = left.bit_length() * right if operator == "**" else left.bit_length() + right.bit_length()
            if bits > MOST_BITS:
                raise SecurityError("a number grows too large")
        elif operator == "*":
            for many, times in ((left, right), (right, left)):
                if isinstance(many, str | list | tuple) and isinstance(times, int):
                    _check_size(len(many) * times)
        return super().call_binop(context, operator, left, right)

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805
        owner = getattr(__obj, "__self__", None)
        if isinstance(owner, str):
            name, values = __obj.__name__, (*args, *kwargs.values())
            if name == "join" and args:
                args = (_check_joined(args[0], owner), *args[1:])
            elif name == "replace" and len(args) > 1:
                _check_size(len(owner) + owner.count(args[0]) * len(args[1]))
            else:
                _check_numbers(values)
        return super().call(__context, __obj, *args, **kwargs)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """str.format, which the sandbox replaces by its own."""
        wrapped = super().wrap_str_format(value)
        if wrapped is None:
            return None

        def checked(*args: Any, **kwargs: Any) -> str:
            _check_format(value.__self__, (*args, *kwargs.values()))
            return wrapped(*args, **kwargs)

        return checked


class GenerationBlock(Extension):
    """{% generation %} … {% endgeneration %}: stands around what the model itself writes."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Any) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(self.around(body)).set_lineno(line)

    @staticmethod
    def around(body: list[nodes.Node]) -> list[nodes.Node]:
        """The block's content, and what is written around it."""
        return body


class MarkedBlock(GenerationBlock):
    """The same with BEGIN and END around it."""

    @staticmethod
    def around(body: list[nodes.Node]) -> list[nodes.Node]:
        begin, end = (nodes.Output([nodes.TemplateData(mark)]) for mark in (BEGIN, END))
        return [begin, *body, end]


def _environment(block: type[GenerationBlock], date: Callable[[str], str]) -> Limited:
    """The names and filters that chat templates count on: those of Transformers."""
    environment = Limited(trim_blocks=True, lstrip_blocks=True, extensions=[block, loopcontrols])
    for name in ("lipsum", "cycler", "joiner"):
        environment.globals.pop(name, None)
    environment.globals |= {"raise_exception": _raise, "strftime_now": date}
    plain = dict(environment.filters)
    environment.filters |= {
        "tojson": _to_json,
        "center": lambda value, width=80: plain["center"](value, _number(width)),
        "indent": lambda value, width=4, *rest, **more: plain["indent"](value, _number(width), *rest, **more),
        "batch": lambda value, count, *rest: plain["batch"](value, _number(count), *rest),
        "slice": lambda value, count, *rest: plain["slice"](value, _number(count), *rest),
        "format": _format,
        "replace": _replace,
        "join": _join,
    }
    return environment


def _raise(message: str) -> None:
    raise jinja2.TemplateError(message)


def _to_json(
    value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False
) -> str:
    """As Transformers has it: Jinja's own escapes what is HTML."""
    _check_numbers((indent,))
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _format(value: Any, *args: Any, **kwargs: Any) -> str:
    _check_format(str(value), (*args, *kwargs.values()))
    return str(value) % (kwargs or args)


def _replace(value: Any, old: str, new: str, count: int | None = None) -> str:
    text = str(value)
    _check_size(len(text) + text.count(str(old)) * len(str(new)))
    return text.replace(str(old), str(new), -1 if count is None else count)


@jinja2.pass_environment
def _join(environment: jinja2.Environment, value: Any, between: str = "", attribute: Any = None) -> str:
    if attribute is not None:
        value = [environment.getitem(item, attribute) for item in value]
    return str(between).join(_check_joined(value, str(between)))


def _number(value: Any) -> Any:
    _check_numbers((value,))
    return value


def _check_size(num_characters: int) -> None:
    if num_characters > MOST_CHARACTERS:
        raise SecurityError("a text grows too long")


def _check_numbers(values: Sequence[Any]) -> None:
    if any(isinstance(value, int) and abs(value) > MOST_REPEATS for value in values):
        raise SecurityError("a number is too large")


def _check_format(text: str, values: Sequence[Any]) -> None:
    if WIDE_FORMAT.search(text):
        raise SecurityError("a text grows too long")
    _check_numbers(values)


def _check_joined(parts: Any, between: str) -> list[str]:
    texts = [str(part) for part in parts]
    _check_size(sum(map(len, texts)) + len(between) * len(texts))
    return texts


def within_limits(work: Callable[[], Result]) -> Result:
    """Do the work of a template. Raises TooMuch when it takes too long or too much memory."""
    watch = _watch()
    with watch.turn:
        watch.begin()
        try:
            try:
                return work()
            finally:
                watch.end()
        except TooMuch:
            watch.end()  # it may have come in the middle of the first
            raise


class Watch:
    """Looks from another thread at how long and large one piece of work becomes, and ends it by an exception."""

    def __init__(self) -> None:
        self.turn = threading.Lock()
        """Held by the one thread that is watched."""
        self._process = psutil.Process()
        self._lock = threading.Lock()
        self._is_busy = threading.Event()
        self._worker = 0
        self._number = 0
        self._has_fired = False
        threading.Thread(target=self._look, daemon=True, name="template watch").start()

    def begin(self) -> None:
        """From now on the calling thread is watched. One at a time; others are not."""
        with self._lock:
            self._worker, self._has_fired = threading.get_ident(), False
            self._number += 1
        if not self._is_busy.is_set():
            self._is_busy.set()

    def end(self) -> None:
        """The calling thread is not watched any more; an exception under way to it is called back."""
        with self._lock:
            if self._has_fired:
                pythonapi.PyThreadState_SetAsyncExc(c_ulong(self._worker), None)
            self._worker, self._has_fired = 0, False

    def _look(self) -> None:
        seen, since, size, idle = -1, 0.0, 0, 0
        pause = threading.Event()
        while True:
            self._is_busy.wait()
            pause.wait(LOOK_SECONDS)
            with self._lock:
                is_working = self._worker != 0
                if is_working and self._number != seen:
                    seen, since, size = self._number, time.monotonic(), self._process.memory_info().rss
                elif is_working and not self._has_fired:
                    grown = self._process.memory_info().rss - size
                    if time.monotonic() - since > MOST_SECONDS or grown > MOST_GROWTH:
                        self._has_fired = True
                        pythonapi.PyThreadState_SetAsyncExc(c_ulong(self._worker), py_object(TooMuch))
                idle = 0 if is_working else idle + 1
                if idle > 50:
                    self._is_busy.clear()
                    idle = 0


@lru_cache(maxsize=1)
def _watch() -> Watch:
    return Watch()
