"""Templates by name and from a file: what they write, that answers end, and that a hostile one is stopped."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from transformers.utils.chat_template_utils import render_jinja_template

from core.data.row import Message, Row
from core.data.templates import template_names
from core.errors import HoneError
from core.worker import sandbox
from core.worker.examples import NO_END, Encoder
from core.worker.sandbox import CompiledTemplate, TooMuch
from core.worker.template import MOST_TOO_MUCH, ChatTemplate, Refused, ensure_template
from core.worker.tokenizer import load_tokenizer

FOLDER = Path(__file__).parent / "tokenizers"
FOX = (Message("user", "Tell me about a fox."), Message("assistant", "The fox had a hat."))
SYSTEM = Message("system", "Be brief.")
ENDS = {"chatml": "<|im_end|>", "llama3": "<|eot_id|>", "gemma": "<end_of_turn>", "phi": "<|end|>"}


def made(model: str, choice: str):
    tokenizer = load_tokenizer(FOLDER / model)
    ensure_template(tokenizer, choice)
    return tokenizer, ChatTemplate(tokenizer)


def test_the_library_has_the_common_ones():
    common = {"chatml", "llama3", "mistral", "gemma", "phi", "zephyr", "vicuna", "alpaca", "plain"}
    assert common <= set(template_names())


@pytest.mark.parametrize("model", ["base", "mistral", "llama3", "chatml"])
@pytest.mark.parametrize("name", template_names())
def test_an_answer_ends_with_one_token_of_the_model(name, model):
    tokenizer, template = made(model, name)
    outcome = Encoder(tokenizer, template, train_on="answers").read([Row(1, (SYSTEM, *FOX, *FOX))])[0]
    assert outcome.remarks == () and not outcome.refused
    (sequence,) = outcome.sequences
    answers = [str(tokenizer.decode(sequence.tokens[begin:end])).strip() for begin, end in sequence.spans]
    own = ENDS.get(name, "")
    end = own if own in tokenizer.get_vocab() else tokenizer.eos_token
    assert answers == [f"The fox had a hat.{end}"] * 2
    starts = tokenizer.bos_token_id is not None and tokenizer("").input_ids[:1] == [tokenizer.bos_token_id]
    assert (sequence.tokens[0] == tokenizer.bos_token_id) == (starts and tokenizer.bos_token_id is not None)


@pytest.mark.parametrize("name", template_names())
def test_the_text_is_that_of_plain_transformers(name):
    tokenizer, template = made("base", name)
    names: dict[str, Any] = dict(tokenizer.special_tokens_map)
    turns = [{"role": message.role, "content": message.content} for message in (SYSTEM, *FOX)]
    for count, is_asking in ((3, False), (2, True)):
        theirs, _ = render_jinja_template(
            [turns[:count]], chat_template=template.source, add_generation_prompt=is_asking,
            **names,
        )  # fmt: skip
        ours = template.prompt((SYSTEM, *FOX)[:2]) if is_asking else template.render((SYSTEM, *FOX), "all")[0].text
        assert [ours] == theirs


def test_one_of_my_own_is_read_from_a_file_and_named_when_it_is_wrong(tmp_path):
    own = tmp_path / "own.jinja"
    own.write_text("{% for m in messages %}<{{ m.role }}>{{ m.content }}{{ eos_token }}{% endfor %}"
                   "{% if add_generation_prompt %}<assistant>{% endif %}")  # fmt: skip
    _, template = made("base", str(own))
    assert template.prompt(FOX[:1]) == "<user>Tell me about a fox.<|endoftext|><assistant>"
    own.write_text("{% for m in messages %}\n{{ m.role }")
    with pytest.raises(HoneError, match="line 2") as caught:
        made("base", str(own))
    assert caught.value.path == "data.template"
    own.write_text("")
    for choice, words in ((str(own), "is empty"), ("chatlm", "give one of auto, alpaca"), (str(tmp_path), "read")):
        with pytest.raises(HoneError, match=words) as caught:
            made("base", choice)
        assert caught.value.path == "data.template"
    own.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(HoneError, match="not text"):
        made("base", str(own))


def test_a_template_without_an_end_of_turn_is_remarked(tmp_path):
    own = tmp_path / "own.jinja"
    own.write_text("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
                   "{% if add_generation_prompt %}assistant: {% endif %}")  # fmt: skip
    tokenizer, template = made("base", str(own))
    encoder = Encoder(tokenizer, template, train_on="answers")
    outcome = encoder.read([Row(1, (Message("user", "Hm?"), Message("assistant", "A hat.")))])[0]
    assert outcome.refused == "unclear where the answer begins" or outcome.remarks == (NO_END,)


def today(form: str) -> str:
    return time.strftime(form, time.strptime("20 Nov 2026", "%d %b %Y"))


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'a' * 10**9 }}",
        "{{ [1] * 10**9 }}",
        "{{ 10 ** (10 ** 5) }}",
        "{{ '%999999999d' % 1 }}",
        "{{ '%d'|format(1) * 10**9 }}",
        "{{ '%9999999d'|format(1) }}",
        "{{ '{:999999999}'.format(1) }}",
        "{{ '{:{w}}'.format(1, w=999999999) }}",
        "{{ 'a'.ljust(10**9) }}",
        "{{ 'a'|center(10**9) }}",
        "{{ ('a' * 9999).replace('a', 'b' * 99999) }}",
        "{{ ('a' * 9999)|replace('a', 'b' * 99999) }}",
        "{{ (['a' * 10**6] * 10**4)|join }}",
        "{{ ''.join(['a' * 10**6] * 10**4) }}",
        "{% set n = namespace(x='a' * 99) %}{% for i in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
        "{% set n = namespace(x='a' * 99) %}{% for i in range(99) %}{% set n.x = n.x + n.x %}{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{{ ().__class__.__mro__ }}",
        "{{ messages.append(1) }}",
        "{{ lipsum(n=9999) }}",
    ],
)
def test_a_hostile_template_is_stopped_before_it_fills_the_memory(source):
    began = time.monotonic()
    with pytest.raises(Exception) as caught:
        CompiledTemplate(source, today).render({"messages": []})
    assert type(caught.value).__name__ in ("SecurityError", "RecursionError", "UndefinedError", "TooMuch")
    assert time.monotonic() - began < 30


def test_a_template_without_end_is_stopped_in_time_and_the_next_one_goes_on(monkeypatch):
    monkeypatch.setattr(sandbox, "MOST_SECONDS", 0.3)
    endless = CompiledTemplate(
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", today
    )
    for _ in range(2):
        with pytest.raises(TooMuch):
            endless.render({})
        assert CompiledTemplate("{{ 1 + 1 }}", today).render({}) == "2"
    tokenizer, _ = made("base", "plain")
    tokenizer.chat_template = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    template = ChatTemplate(tokenizer)
    for _ in range(MOST_TOO_MUCH):
        with pytest.raises(Refused, match="too long or too much memory"):
            template.prompt(FOX[:1])
    with pytest.raises(HoneError, match="row after row") as caught:
        template.prompt(FOX[:1])
    assert caught.value.path == "data.template", "a thousand rows would take hours to be refused one by one"


def test_what_real_templates_use_is_there():
    source = (
        "{{ [1, 2]|join(', ') }} {{ 'abc'|replace('a', 'x') }} {{ 'a-b'.replace('-', '+') }} "
        "{{ {'a': '<é>'}|tojson }}"
        " {{ strftime_now('%d %b %Y') }} {{ '%s=%d'|format('a', 3) }} {{ 'x' * 3 }} {{ 7 % 3 }} {{ '%s' % 'a' }} "
        "{{ '{} {b}'.format(1, b=2) }} "
        "{% for i in [1, 2] %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}"
    )
    rendered = CompiledTemplate(source, today).render({})
    assert rendered == '1, 2 xbc a+b {"a": "<é>"} 20 Nov 2026 a=3 xxx 1 a 1 2 1'
    with pytest.raises(Exception, match="no such role"):
        CompiledTemplate("{{ raise_exception('no such role') }}", today).render({})
