"""The preview worker for real: rows as the model sees them, equal to what training gets, without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_models import make_model

from core import places
from core.config import DataSection
from core.data.rows import open_rows
from core.launch import worker_command, worker_environment
from core.preview import Look, Looked, Measure, Measured, Seen, Show, decode_answer, encode
from core.worker.examples import Encoder
from core.worker.lengths import LengthCount
from core.worker.sight import Sight, _spread
from core.worker.template import ChatTemplate, ensure_template
from core.worker.tokenizer import load_tokenizer


def chat(*turns: str) -> dict:
    """A row of turns, the user's first."""
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[place % 2], "content": turn} for place, turn in enumerate(turns)]}


ROWS = [
    chat("Tell me about a fox.", "A hat."),
    chat("Hm?", "🦊 is שועל, né à Évry.", "More.", "It was a good hat. " * 6),
    chat("no answer"),
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in ROWS))
    return path


def look(model: Path, data: Path | str, **changes) -> Look:
    settings = {"max_length": 64, **changes, "source": str(data)}
    return Look(model=str(model), revision="", data=DataSection(**settings), objective="sft")


@pytest.mark.parametrize("template", ["chatml", "chatml-marked", "llama3", "none"])
@pytest.mark.parametrize("train_on", ["answers", "last_answer", "all"])
def test_tokens_and_mask_are_those_of_training(tmp_path, data, template, train_on):
    model = make_model(tmp_path / "model", template)
    sight = Sight()
    sight.look(look(model, data, train_on=train_on, max_length=130))
    tokenizer = load_tokenizer(model)
    ensure_template(tokenizer)
    encoder = Encoder(tokenizer, ChatTemplate(tokenizer), train_on=train_on)
    for number, row in enumerate(open_rows(str(data))[:2]):
        seen = sight.show(number)
        (tokens, trained), (shown,) = encoder.read([row])[0].sequences[0].example, seen.sequences
        tokens, trained = tokens[:130], trained[:130]
        assert shown.num_tokens - shown.num_cut == len(tokens)
        assert shown.num_trained == sum(trained)
        assert [flag for _, flag, _ in shown.tokens[:130]] == trained
        # Nothing is lost or doubled between the tokens: together they are the text that was rendered.
        assert "".join(text for text, _, _ in shown.tokens) == tokenizer.decode(
            tokenizer(
                ChatTemplate(tokenizer).render(row.messages, train_on)[-1].text, add_special_tokens=False
            ).input_ids
        )


def test_special_tokens_trained_words_and_the_cut_are_told_apart(tiny, data):
    sight = Sight()
    sight.look(look(tiny, data, max_length=32))
    short, long = (sight.show(number).sequences[0] for number in (0, 1))
    assert "".join(text for text, trained, _ in short.tokens if trained) == "A hat.<|im_end|>"
    assert {text for text, _, special in short.tokens if special} == {"<|im_start|>", "<|im_end|>"}
    assert long.num_cut == long.num_tokens - 32 > 0
    assert long.num_trained + long.num_trained_cut == sum(trained for _, trained, _ in long.tokens)


def test_rows_left_out_say_why(tiny, data):
    sight = Sight()
    sight.look(look(tiny, data, max_length=8))
    assert "there is no answer to learn" in sight.show(2).refused
    assert sight.show(0).refused == "no trained token left"
    assert sight.show(0).sequences[0].num_trained == 0 < sight.show(0).sequences[0].num_trained_cut


def test_raw_text_is_split_and_never_cut(tiny, tmp_path):
    text = tmp_path / "story.txt"
    text.write_text("The fox had a hat. " * 20)
    sight = Sight()
    sight.look(look(tiny, text, max_length=16))
    (shown,) = sight.show(0).sequences
    assert shown.splits[:3] == (15, 30, 45)
    assert shown.num_cut == 0
    assert shown.num_trained == shown.num_tokens - 1  # nothing stands before the first to tell it from
    assert shown.tokens[-1] == ("<|im_end|>", True, True)


def test_lengths_are_those_of_the_rows(tiny, chats):
    sight = Sight()
    sight.look(look(tiny, chats))
    *_, measured = sight.measure(is_sample=False)
    assert isinstance(measured, Measured)
    sequences = [sight.show(number).sequences[0] for number in range(64)]
    assert measured.num_measured == measured.num_rows == sum(measured.lengths.values()) == 64
    assert sorted(shown.num_tokens for shown in sequences) == [
        length for length, count in measured.lengths.items() for _ in range(count)
    ]
    trained = sum(sum(flag for _, flag, _ in shown.tokens) for shown in sequences)
    assert sum(measured.trained_at) == trained
    lost = sum(sum(flag for _, flag, _ in shown.tokens[20:]) for shown in sequences)
    assert sum(measured.trained_at[20:]) == lost > 0


def test_places_beyond_the_count_share_entries():
    count = LengthCount()
    count.add([([0] * 10_000, [False] * 9_999 + [True]), ([0, 0], [False, True])])
    measured = count.measured(1, {}, False)
    assert measured.width == 4
    assert [place for place, number in enumerate(measured.trained_at) if number] == [0, 9_999 // 4]


@pytest.mark.parametrize("num_rows", [1, 2, 3, 10, 600, 1597, 2584])
def test_samples_repeat_no_row_and_leave_none_out(num_rows):
    assert sorted(_spread(num_rows, 10_000)) == list(range(num_rows))
    assert len(set(_spread(num_rows, 100))) == min(num_rows, 100)


def test_the_process_answers_survives_mistakes_and_ends_with_its_input(tiny, data):
    asked = [look("nowhere", data), Show(rows=(0,)), look(tiny, data), Show(rows=(0, 99)), Measure(is_sample=True)]
    with subprocess.Popen(
        worker_command("preview"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=worker_environment(),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"".join(encode(command) for command in asked))
        process.stdin.flush()
        answers = [decode_answer(process.stdout.readline()) for _ in range(6)]
        process.stdin.close()
        assert process.wait(20) == 0
    kinds = [type(answer).__name__ for answer in answers]
    assert kinds == ["Failed", "Seen", "Looked", "Seen", "Seen", "Measured"]
    _, early, looked, seen, beyond, measured = answers
    assert "choose a model" in early.refused
    assert isinstance(looked, Looked)
    assert looked.num_rows == 3
    assert isinstance(seen, Seen)
    assert seen.sequences[0].num_trained > 0
    assert "none of them" in beyond.refused
    assert (measured.num_refused, measured.reasons) == (1, {"no answer": 1})


def test_a_tokenizer_loaded_without_torch_is_the_same(tiny, data):
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from core.worker.sight import Sight; from core.preview import Look\n"
        "sight = Sight(); sight.look(Look.model_validate_json(sys.argv[1]))\n"
        "print(sight.show(1).model_dump_json(), [name for name in ('peft', 'accelerate') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, look(tiny, data).model_dump_json()],
        capture_output=True, text=True, env=worker_environment(), timeout=120,
    )  # fmt: skip
    sight = Sight()
    sight.look(look(tiny, data))
    assert done.stdout.strip().splitlines()[-1] == sight.show(1).model_dump_json() + " []"


def test_a_count_of_all_rows_is_that_of_one_by_one_and_keeps_the_tokens_for_a_run(tiny, data):
    sight = Sight()
    sight.look(look(tiny, data))
    *_, kept = sight.measure(is_sample=False)
    *_, again = sight.measure(is_sample=False)
    *_, sampled = sight.measure(is_sample=True)
    assert kept == again == sampled.model_copy(update={"num_measured": kept.num_measured})
    assert len(list((places.cache_folder() / "tokens").iterdir())) == 1
