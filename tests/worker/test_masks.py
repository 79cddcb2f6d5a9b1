"""Exactly the answers are trained, whatever the template; where that is not certain, the row is refused."""

from __future__ import annotations

import pytest
from tiny_models import CHATML, TEMPLATES, make_tokenizer

from core.data.kinds import UNROLLED
from core.data.row import Message, Row
from core.worker.examples import Encoder, Example
from core.worker.template import ChatTemplate, Refused, TrainOn, ensure_template

FOX = [Message("user", "Tell me about a fox."), Message("assistant", "The fox had a hat.")]
TWICE = [*FOX, Message("user", "And the owl?"), Message("assistant", "The owl had a drum.")]
ENDS = {"chatml": "<|im_end|>", "chatml-marked": "<|im_end|>", "llama3": "<|eot_id|>", "none": "<|end|>"}


def encoder_for(template: str, train_on: TrainOn = "answers", source: str = ""):
    tokenizer = make_tokenizer(template)
    if source:
        tokenizer.chat_template = source
    ensure_template(tokenizer)
    return tokenizer, Encoder(tokenizer, ChatTemplate(tokenizer), train_on=train_on)


def encode(encoder: Encoder, messages: list[Message]) -> list[Example]:
    return examples(encoder, [Row(1, tuple(messages))])[0]


def examples(encoder: Encoder, rows: list[Row]) -> list[list[Example]]:
    return [[one.example for one in outcome.sequences] for outcome in encoder.read(rows)]


def trained_text(tokenizer, example: Example) -> list[str]:
    """The trained stretches of an example, as text."""
    tokens, trained = example
    runs, run = [], []
    for token, is_trained in zip(tokens, trained, strict=True):
        if is_trained:
            run.append(token)
        elif run:
            runs, run = [*runs, run], []
    return [tokenizer.decode(found) for found in ([*runs, run] if run else runs)]


@pytest.mark.parametrize("template", TEMPLATES)
def test_each_answer_is_trained_with_its_end_token_and_nothing_else(template: str) -> None:
    tokenizer, encoder = encoder_for(template)
    (example,) = encode(encoder, TWICE)
    end = ENDS[template]
    assert trained_text(tokenizer, example) == ["The fox had a hat." + end, "The owl had a drum." + end]


@pytest.mark.parametrize("template", TEMPLATES)
def test_the_tokens_are_those_of_the_template_alone(template: str) -> None:
    tokenizer, encoder = encoder_for(template)
    (example,) = encode(encoder, TWICE)
    turns = [{"role": m.role, "content": m.content} for m in TWICE]
    text = str(tokenizer.apply_chat_template(turns, tokenize=False))
    assert example[0] == tokenizer(text, add_special_tokens=False).input_ids


@pytest.mark.parametrize("template", TEMPLATES)
def test_what_is_not_trained_before_an_answer_is_the_prompt_that_generation_starts_from(template: str) -> None:
    tokenizer, encoder = encoder_for(template)
    ((tokens, trained),) = encode(encoder, FOX)
    prompt = ChatTemplate(tokenizer).prompt(FOX[:1])
    assert tokens[: trained.index(True)] == tokenizer(prompt, add_special_tokens=False).input_ids


@pytest.mark.parametrize("template", TEMPLATES)
def test_last_answer_trains_one_and_all_trains_everything_but_the_first_token(template: str) -> None:
    tokenizer, encoder = encoder_for(template, train_on="last_answer")
    (example,) = encode(encoder, TWICE)
    assert trained_text(tokenizer, example) == ["The owl had a drum." + ENDS[template]]
    _, encoder = encoder_for(template, train_on="all")
    ((tokens, trained),) = encode(encoder, TWICE)
    assert trained == [False] + [True] * (len(tokens) - 1)


def test_blanks_after_the_end_token_are_not_trained_but_blanks_in_an_answer_are() -> None:
    tokenizer, encoder = encoder_for("chatml")
    (example,) = encode(encoder, [FOX[0], Message("assistant", "The fox\n\nhad a hat.\n")])
    assert trained_text(tokenizer, example) == ["The fox\n\nhad a hat.\n<|im_end|>"]


def test_a_template_that_rewrites_earlier_answers_gives_one_example_per_answer() -> None:
    drops_thought = (
        "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}"
        "{% if message['role'] == 'assistant' and loop.last %}{{ '(thought) ' }}{% endif %}"
        "{{ message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
    )
    tokenizer, encoder = encoder_for("chatml", source=drops_thought)
    (outcome,) = encoder.read([Row(1, tuple(TWICE))])
    assert [trained_text(tokenizer, one.example) for one in outcome.sequences] == [
        ["(thought) The fox had a hat.<|im_end|>"],
        ["(thought) The owl had a drum.<|im_end|>"],
    ]
    assert outcome.remarks == (UNROLLED,)


def test_an_answer_whose_first_token_reaches_into_the_prompt_is_refused() -> None:
    glued = (
        "{% for message in messages %}{{ message['content'] }}{% if message['role'] == 'user' %}{{ ' The f' }}"
        "{% endif %}{% endfor %}"
    )
    _, encoder = encoder_for("chatml", source=glued)
    assert encode(encoder, [FOX[0], Message("assistant", "ox had a hat.")]) == []
    assert encoder.skipped == {"unclear where the answer begins": 1}


def test_what_is_set_within_markers_stays_within_them() -> None:
    """As Transformers has it, where a marked block is a function of its own."""
    setting = CHATML.replace(
        "{{ '<|im_start|>'",
        "{{ seen }}{% generation %}{% set seen = 'SEEN' %}{% endgeneration %}{{ seen }}{{ '<|im_start|>'",
        1,
    )
    assert setting != CHATML
    tokenizer, _ = encoder_for("chatml", source=setting)
    (rendered,) = ChatTemplate(tokenizer).render(TWICE, "all")
    turns = [{"role": message.role, "content": message.content} for message in TWICE]
    assert rendered.text == tokenizer.apply_chat_template(turns, tokenize=False)


def test_markers_around_the_wrong_text_are_not_believed() -> None:
    misplaced = CHATML.replace(
        "{{ '<|im_start|>' + message['role']",
        "{% generation %}{{ '<|im_start|>' }}{% endgeneration %}{{ message['role']",
    )
    tokenizer, encoder = encoder_for("chatml", source=misplaced)
    (example,) = encode(encoder, FOX)
    assert trained_text(tokenizer, example) == ["The fox had a hat.<|im_end|>"]


@pytest.mark.parametrize(
    "capture", ["{% set x %}ANSWER{% endset %}{{ x | trim | upper }}", "{% filter upper %}ANSWER{% endfilter %}",
                "{% set x|upper %}ANSWER{% endset %}{{ x }}"],
)  # fmt: skip
def test_markers_inside_what_takes_hold_of_text_are_checked_against_the_text_without_them(capture: str) -> None:
    answer = "{% generation %}{{ m['content'] + '<|im_end|>' }}{% endgeneration %}"
    source = (
        "{% for m in messages %}{% if m['role'] == 'assistant' %}"
        + capture.replace("ANSWER", answer)
        + "{% else %}{{ m['content'] + '\\n' }}{% endif %}{% endfor %}"
    )
    tokenizer, encoder = encoder_for("chatml", source=source)
    (example,) = encode(encoder, [FOX[0], Message("assistant", "A HAT.")])
    assert trained_text(tokenizer, example)[0].upper().startswith("A HAT.")
    plain = ChatTemplate(tokenizer).render([FOX[0], Message("assistant", "A HAT.")], "all")[0].text
    assert example[0] == tokenizer(plain, add_special_tokens=False).input_ids


def test_a_template_that_hides_the_answer_is_refused() -> None:
    _, encoder = encoder_for("chatml", source="{% for m in messages %}{{ m['role'] }}{% endfor %}")
    assert encode(encoder, FOX) == []
    assert encoder.skipped == {"unclear where the answer begins": 1}


def test_a_row_that_the_template_refuses_or_fails_on_is_counted_with_its_reason() -> None:
    strict = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system turn') }}{% endif %}" + CHATML
    _, encoder = encoder_for("chatml", source=strict)
    assert encode(encoder, [Message("system", "Be brief."), *FOX]) == []
    _, broken = encoder_for("chatml", source="{{ messages[7].content.nothing }}")
    assert encode(broken, FOX) == []
    assert encoder.skipped == {"refused by the chat template: no system turn": 1}
    assert sum(broken.skipped.values()) == 1


def test_a_row_without_an_answer_is_refused() -> None:
    tokenizer, _ = encoder_for("chatml")
    with pytest.raises(Refused, match="no answer"):
        ChatTemplate(tokenizer).render(FOX[:1], "answers")


def test_rows_are_encoded_together_as_they_are_alone() -> None:
    _, encoder = encoder_for("llama3")
    rows = [Row(1, tuple(FOX)), Row(2, (), "Some raw text."), Row(3, tuple(TWICE))]
    assert examples(encoder, rows) == [examples(encoder, [row])[0] for row in rows]


def test_the_date_of_a_template_is_the_runs_own() -> None:
    dated = "{{ date_string }} " + CHATML
    tokenizer, _ = encoder_for("chatml", source=dated)
    template = ChatTemplate(tokenizer, date="20 Nov 2026")
    assert template.prompt(FOX[:1]).startswith("20 Nov 2026 <|im_start|>")
