"""The masks of ten real chat templates, token by token, against references that were written by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer

from core.data.row import Message, Row
from core.worker.examples import NO_END, UNROLLED, Encoder, Outcome
from core.worker.template import NO_SYSTEM, NO_TOOLS, ChatTemplate, TrainOn, ensure_template
from core.worker.tokenizer import load_tokenizer

FOLDER = Path(__file__).parent / "tokenizers"
NAMES = ("chatml", "llama3", "mistral", "gemma", "phi", "zephyr", "qwen3", "vicuna", "alpaca", "base")
TWICE = (
    Message("user", "Tell me about a fox."),
    Message("assistant", "The fox had a hat."),
    Message("user", "And the owl?"),
    Message("assistant", "The owl had a drum."),
)
BRIEF = Message("system", "Be brief.")

# What stands between « and » is trained, and nothing else. Qwen 3 takes the thought out of earlier answers, so
# that no one text holds both answers as they are written: it has one text for each.
TRAINED: dict[str, list[str]] = {
    "chatml": [
        "<|im_start|>user\nTell me about a fox.<|im_end|>\n"
        "<|im_start|>assistant\n«The fox had a hat.<|im_end|>»\n"
        "<|im_start|>user\nAnd the owl?<|im_end|>\n"
        "<|im_start|>assistant\n«The owl had a drum.<|im_end|>»\n"
    ],
    "llama3": [
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nTell me about a fox.<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n«The fox had a hat.<|eot_id|>»"
        "<|start_header_id|>user<|end_header_id|>\n\nAnd the owl?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n«The owl had a drum.<|eot_id|>»"
    ],
    "mistral": [
        "<s>[INST] Tell me about a fox. [/INST]«The fox had a hat.</s>»"
        "[INST] And the owl? [/INST]«The owl had a drum.</s>»"
    ],
    "gemma": [
        "<bos><start_of_turn>user\nTell me about a fox.<end_of_turn>\n"
        "<start_of_turn>model\n«The fox had a hat.<end_of_turn>»\n"
        "<start_of_turn>user\nAnd the owl?<end_of_turn>\n"
        "<start_of_turn>model\n«The owl had a drum.<end_of_turn>»\n"
    ],
    "phi": [
        "<|user|>\nTell me about a fox.<|end|>\n<|assistant|>\n«The fox had a hat.<|end|>»\n"
        "<|user|>\nAnd the owl?<|end|>\n<|assistant|>\n«The owl had a drum.<|end|>»\n<|endoftext|>"
    ],
    "zephyr": [
        "<|user|>\nTell me about a fox.</s>\n<|assistant|>\n«The fox had a hat.</s>»\n"
        "<|user|>\nAnd the owl?</s>\n<|assistant|>\n«The owl had a drum.</s>»\n"
    ],
    "qwen3": [
        "<|im_start|>user\nTell me about a fox.<|im_end|>\n"
        "<|im_start|>assistant\n«<think>\n\n</think>\n\nThe fox had a hat.<|im_end|>»\n",
        "<|im_start|>user\nTell me about a fox.<|im_end|>\n"
        "<|im_start|>assistant\nThe fox had a hat.<|im_end|>\n"
        "<|im_start|>user\nAnd the owl?<|im_end|>\n"
        "<|im_start|>assistant\n«<think>\n\n</think>\n\nThe owl had a drum.<|im_end|>»\n",
    ],
    "vicuna": [
        "<s>A chat between a curious user and an artificial intelligence assistant. "
        "USER: Tell me about a fox. ASSISTANT:« The fox had a hat.</s>»"
        "USER: And the owl? ASSISTANT:« The owl had a drum.</s>»"
    ],
    "alpaca": [
        "<s>Below is an instruction that describes a task. Write a response that appropriately completes the "
        "request.\n\n### Instruction:\nTell me about a fox.\n\n### Response:\n«The fox had a hat.</s>»\n\n"
        "### Instruction:\nAnd the owl?\n\n### Response:\n«The owl had a drum.</s>»\n\n"
    ],
    "base": [
        "### User:\nTell me about a fox.\n\n### Assistant:\n«The fox had a hat.<|endoftext|>»\n"
        "### User:\nAnd the owl?\n\n### Assistant:\n«The owl had a drum.<|endoftext|>»"
    ],
}
# The user's own words and the answers, when both are learnt.
BOTH: dict[str, str] = {
    "chatml": "<|im_start|>user\n«Tell me about a fox.<|im_end|>»\n"
    "<|im_start|>assistant\n«The fox had a hat.<|im_end|>»\n"
    "<|im_start|>user\n«And the owl?<|im_end|>»\n<|im_start|>assistant\n«The owl had a drum.<|im_end|>»\n",
    "llama3": "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n«Tell me about a fox.<|eot_id|>»"
    "<|start_header_id|>assistant<|end_header_id|>\n\n«The fox had a hat.<|eot_id|>»"
    "<|start_header_id|>user<|end_header_id|>\n\n«And the owl?<|eot_id|>»"
    "<|start_header_id|>assistant<|end_header_id|>\n\n«The owl had a drum.<|eot_id|>»",
    "gemma": "<bos><start_of_turn>user\n«Tell me about a fox.<end_of_turn>»\n"
    "<start_of_turn>model\n«The fox had a hat.<end_of_turn>»\n"
    "<start_of_turn>user\n«And the owl?<end_of_turn>»\n<start_of_turn>model\n«The owl had a drum.<end_of_turn>»\n",
}
SYSTEM: dict[str, str] = {
    "chatml": "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nTell me about a fox.<|im_end|>\n"
    "<|im_start|>assistant\n«The fox had a hat.<|im_end|>»\n",
    "vicuna": "<s>Be brief. USER: Tell me about a fox. ASSISTANT:« The fox had a hat.</s>»",
    "phi": "<|system|>\nBe brief.<|end|>\n<|user|>\nTell me about a fox.<|end|>\n"
    "<|assistant|>\n«The fox had a hat.<|end|>»\n<|endoftext|>",
}


def encoder(name: str, train_on: TrainOn = "answers", template: str = "auto", **options) -> Encoder:
    tokenizer = load_tokenizer(FOLDER / name)
    ensure_template(tokenizer, template)
    return Encoder(tokenizer, ChatTemplate(tokenizer), train_on=train_on, **options)


def read(made: Encoder, *messages: Message, tools: str = "") -> Outcome:
    return made.read([Row(1, messages, tools=tools)])[0]


def by_hand(name: str, marked: str) -> tuple[list[int], list[bool]]:
    """Tokens and mask of a text with « and » in it: a token is trained when it lies between the two."""
    text, places, inside = "", [], []
    for sign in marked:
        if sign in "«»":
            places.append(len(text))
        else:
            text += sign
            inside.append(len(places) % 2 == 1)
    encoded = Tokenizer.from_file(str(FOLDER / name / "tokenizer.json")).encode(text, add_special_tokens=False)
    mask = []
    for start, end in encoded.offsets:
        assert len(set(inside[start:end])) == 1, "a token reaches over the edge of the reference"
        mask.append(inside[start])
    return encoded.ids, mask


@pytest.mark.parametrize("name", NAMES)
def test_answers_are_trained_and_nothing_else(name):
    made = encoder(name)
    outcome = read(made, *TWICE)
    assert [one.example for one in outcome.sequences] == [by_hand(name, text) for text in TRAINED[name]]
    assert NO_END not in outcome.remarks
    assert (UNROLLED in outcome.remarks) == (name == "qwen3")


@pytest.mark.parametrize("name", NAMES)
def test_the_last_answer_alone(name):
    outcome = read(encoder(name, "last_answer"), *TWICE)
    last = TRAINED[name][-1]
    before, _, after = last.rpartition("«")
    (sequence,) = outcome.sequences
    assert sequence.example == by_hand(name, before.replace("«", "").replace("»", "") + "«" + after)


@pytest.mark.parametrize("name", NAMES)
def test_everything(name):
    (sequence,) = read(encoder(name, "all"), *TWICE).sequences
    tokens, mask = sequence.example
    text = TRAINED[name][-1].replace("«", "").replace("»", "")
    text = text.replace("<think>\n\n</think>\n\nThe fox", "The fox")
    assert tokens == by_hand(name, text)[0]
    assert mask == [False] + [True] * (len(tokens) - 1)


@pytest.mark.parametrize("name", BOTH)
def test_chosen_roles(name):
    (sequence,) = read(encoder(name, "roles", roles=("user", "assistant")), *TWICE).sequences
    assert sequence.example == by_hand(name, BOTH[name])
    (sequence,) = read(encoder(name, "roles", roles=("assistant",)), *TWICE).sequences
    assert sequence.example == by_hand(name, TRAINED[name][0])


def test_chosen_roles_that_are_nowhere_or_twice_are_refused():
    assert read(encoder("chatml", "roles", roles=("tool",)), *TWICE).refused == "no message of the chosen roles"
    again = (Message("user", "user"), Message("assistant", "Yes."))
    outcome = read(encoder("chatml", "roles", roles=("user",)), *again)
    assert outcome.refused == "unclear where the user's message begins"
    thinks = read(encoder("qwen3", "roles", roles=("user", "assistant")), *TWICE)
    assert thinks.refused == "earlier messages are rewritten by the chat template"


@pytest.mark.parametrize("name", SYSTEM)
def test_system_messages(name):
    outcome = read(encoder(name), BRIEF, *TWICE[:2])
    assert [one.example for one in outcome.sequences] == [by_hand(name, SYSTEM[name])]
    assert NO_SYSTEM not in outcome.remarks


def test_a_template_that_drops_or_refuses_the_system_message_is_told():
    dropped = read(encoder("alpaca"), BRIEF, *TWICE[:2])
    assert dropped.remarks == (NO_SYSTEM,)
    made = encoder("gemma")
    assert read(made, BRIEF, *TWICE).refused == "refused by the chat template: System role not supported"
    assert read(encoder("mistral"), BRIEF, *TWICE).refused.startswith("refused by the chat template: Conversation")
    assert made.skipped.total() == 1


def test_a_thought_is_trained_where_it_is_written_and_left_out_where_it_is_not():
    thinking = [
        TWICE[0],
        Message("assistant", "<think>\nA hat?\n</think>\n\nThe fox had a hat."),
        TWICE[2],
        Message("assistant", "The owl had a drum.", '{"reasoning_content": "A drum."}'),
    ]
    outcome = read(encoder("qwen3"), *thinking)
    first, second = TRAINED["qwen3"]
    expected = [
        first.replace("<think>\n\n", "<think>\nA hat?\n"),
        second.replace("<think>\n\n", "<think>\nA drum.\n"),
    ]
    assert [one.example for one in outcome.sequences] == [by_hand("qwen3", text) for text in expected]


def test_tools_are_given_calls_are_trained_and_their_results_are_not():
    call = '{"tool_calls": [{"type": "function", "function": {"name": "look", "arguments": {"at": "fox"}}}]}'
    tools = '[{"type": "function", "function": {"name": "look"}}]'
    said = [TWICE[0], Message("assistant", "", call), Message("tool", "a hat"), TWICE[1]]
    (sequence,) = read(encoder("qwen3", "all"), *said, tools=tools).sequences
    assert (
        sequence.example[0] == by_hand("qwen3", TOOLS.replace("«", "").replace("»", "").replace(EMPTY, "", 1))[0]
    )
    outcome = read(encoder("qwen3"), *said, tools=tools)
    assert [one.example for one in outcome.sequences] == [
        by_hand("qwen3", TOOLS[: TOOLS.index("»") + 1] + "\n"),
        by_hand("qwen3", TOOLS.replace("«", "", 1).replace("»", "", 1).replace(EMPTY, "", 1)),
    ]
    assert NO_TOOLS in read(encoder("chatml"), *TWICE, tools=tools).remarks
    for train_on in ("answers", "last_answer", "all"):
        refused = read(encoder("chatml", train_on), *said, tools=tools).refused
        assert refused == "calls of tools left out by the chat template"


EMPTY = "<think>\n\n</think>\n\n"
TOOLS = (
    '<|im_start|>system\n# Tools\n\n<tools>\n{"type": "function", "function": {"name": "look"}}\n</tools>'
    "<|im_end|>\n"
    "<|im_start|>user\nTell me about a fox.<|im_end|>\n"
    f'<|im_start|>assistant\n«{EMPTY}<tool_call>\n{{"name": "look", "arguments": {{"at": "fox"}}}}\n</tool_call>'
    "<|im_end|>»\n"
    "<|im_start|>user\n<tool_response>\na hat\n</tool_response><|im_end|>\n"
    f"<|im_start|>assistant\n«{EMPTY}The fox had a hat.<|im_end|>»\n"
)
