"""Columns answer together exactly as they answer alone, in text that is never broken."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event as Flag
from typing import Any

import pytest
import torch
from chat_models import make_adapter, make_base
from peft import PeftModel
from transformers import AutoConfig, AutoModelForCausalLM

from core.chat import Ask, Load, Message, Sampling
from core.columns import Column
from core.errors import HoneError
from core.events import Event, Ready, Replied, Token, Warned
from core.sections import ModelSection
from core.worker.columns import Columns
from core.worker.engine import Engine
from core.worker.generate import generate
from core.worker.sampler import Sampler
from core.worker.stacked import BASE, StackedLora

GREEDY = Sampling(temperature=0, max_tokens=40)
PROMPTS = [[5, 9, 40, 41], [7], [60, 61, 62, 63, 64, 65, 66, 67, 68], [90, 12, 12]]
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """The models are so small that a second thread only costs time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("models") / "base")


@pytest.fixture(scope="module")
def adapters(base: Path) -> list[Path]:
    """Three adapters that differ in rank, strength and layers."""
    place = base.parent
    return [
        make_adapter(place / "a", rank=4, seed=1),
        make_adapter(place / "b", rank=9, seed=2, targets=["q_proj", "v_proj"]),
        make_adapter(place / "c", rank=2, seed=3, targets=["down_proj", "k_proj", "up_proj"]),
    ]


@pytest.fixture
def columns() -> Columns:
    return Columns(lambda event: None)


def load(columns: Columns, base: Path, folders: Sequence[Path], **model: str) -> Ready:
    section = ModelSection.model_validate({"source": str(base), **model})
    beside = [Column(name=f.name, kind="adapter", folder=str(f), model=section) for f in folders]
    wanted = (Column(name="Base", model=section), *beside)
    return columns.load(Load(columns=wanted, device="cpu", threads=1))


def engine_of(columns: Columns, base: Path, folders: Sequence[Path], **model: str) -> tuple[Engine, list[str]]:
    load(columns, base, folders, **model)
    voices = columns._voices
    return voices[0].engine, [voice.adapter for voice in voices]


def tokens_of(
    engine: Engine, prompts: Sequence[list[int]], names: Sequence[str], num: int = 40, *, endless: bool = False
) -> list[list[int]]:
    """What each row writes, all in one batch."""
    found: list[list[int]] = [[] for _ in prompts]
    sampler = Sampler(GREEDY, [(0, row) for row in range(len(prompts))], prompts)
    with engine.speaking(names) as keep:
        ends = () if endless else engine.stop_tokens
        for step in generate(engine.model, prompts, sampler, ends, [num] * len(prompts), keep):
            for one in step:
                found[one.row].append(one.token)
    return found


def scores_of(model: Any, ids: list[int]) -> torch.Tensor:
    """Logits [len(ids), vocabulary] by the plainest way there is."""
    with torch.inference_mode():
        return model(input_ids=torch.tensor([ids])).logits[0]


def ask(columns: Columns, *places: int, text: str = "Tell me about a fox.", **options: object) -> list[Event]:
    turn = (Message(role="user", content=text),)
    command = Ask.model_validate({"conversations": dict.fromkeys(places, turn), **options})
    return list(columns.answer(command, Flag()))


def replies(events: list[Event]) -> dict[int, Replied]:
    return {event.column: event for event in events if isinstance(event, Replied)}


def test_a_batch_writes_what_its_rows_write_alone(columns: Columns, base: Path, adapters: list[Path]) -> None:
    engine, names = engine_of(columns, base, adapters)
    together = tokens_of(engine, PROMPTS, names)
    alone = [tokens_of(engine, [prompt], [name])[0] for prompt, name in zip(PROMPTS, names, strict=True)]
    assert together == alone
    assert len({tuple(row) for row in together}) == 4  # the adapters do differ
    assert all(len(row) > 1 for row in together)


def test_rows_that_end_leave_the_others_untouched(columns: Columns, base: Path, adapters: list[Path]) -> None:
    engine, names = engine_of(columns, base, adapters)
    whole = tokens_of(engine, PROMPTS, names, endless=True)
    ends = {whole[0][2], whole[2][10]}  # make tokens that two rows write in their middle end them
    sampler = Sampler(GREEDY, [(0, row) for row in range(4)], PROMPTS)
    found: dict[int, list[int]] = {row: [] for row in range(4)}
    reasons = {}
    with engine.speaking(names) as keep:
        for step in generate(engine.model, PROMPTS, sampler, ends, [40, 7, 40, 30], keep):
            for one in step:
                found[one.row].append(one.token)
                reasons[one.row] = one.reason
    for row, limit in enumerate([40, 7, 40, 30]):
        cut = next((i + 1 for i, token in enumerate(whole[row]) if token in ends), 41)
        assert found[row] == whole[row][: min(cut, limit)]
        assert reasons[row] == ("end" if cut <= limit else "length")
    assert len(found[0]) <= 3 < len(found[2]) <= 11


def test_the_loop_agrees_with_transformers_and_peft(columns: Columns, base: Path, adapters: list[Path]) -> None:
    engine, names = engine_of(columns, base, adapters)
    ours = tokens_of(engine, PROMPTS, names)
    plain = AutoModelForCausalLM.from_pretrained(base)
    reference = PeftModel.from_pretrained(plain, adapters[0], "a")
    for folder, name in zip(adapters[1:], "bc", strict=True):
        reference.load_adapter(str(folder), name)
    reference.eval()
    for prompt, name, written in zip(PROMPTS, ["__base__", "a", "b", "c"], ours, strict=True):
        ids = torch.tensor([prompt])
        expected = reference.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            adapter_names=[name],
            do_sample=False,
            max_new_tokens=40,
        )
        assert written == expected[0, len(prompt) :].tolist()


TINY: dict[str, dict[str, Any]] = {
    "bloom": {"hidden_size": 32, "n_layer": 2, "n_head": 4},
    "falcon": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4},
    "gemma3_text": {"hidden_size": 32, "num_hidden_layers": 7, "num_attention_heads": 4, "num_key_value_heads": 2,
                    "head_dim": 8, "intermediate_size": 64, "sliding_window": 6},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4},
    "lfm2": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
             "intermediate_size": 64, "layer_types": ["conv", "full_attention"]},
    "mamba": {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 4},
    "opt": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "ffn_dim": 64,
            "word_embed_proj_dim": 32, "max_position_embeddings": 64},
    "qwen3": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
              "head_dim": 8, "intermediate_size": 64},
}  # fmt: skip


@pytest.mark.parametrize("family", TINY)
def test_every_kind_of_model_writes_in_a_batch_what_transformers_makes_it_write_alone(family: str) -> None:
    torch.manual_seed(3)
    config = AutoConfig.for_model(
        family, vocab_size=120, bos_token_id=1, eos_token_id=2, pad_token_id=0, **TINY[family]
    )
    model = AutoModelForCausalLM.from_config(config).eval()
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:  # fresh weights are so small that every token would be as likely as the next
            torch.nn.init.normal_(parameter, std=0.2 if "embed" in name else 0.3)
    sampler = Sampler(GREEDY, [(0, row) for row in range(4)], PROMPTS)
    found: dict[int, list[int]] = {row: [] for row in range(4)}
    for step in generate(model, PROMPTS, sampler, (2,), [14, 3, 14, 14]):
        for one in step:
            found[one.row].append(one.token)
    for row, prompt in enumerate(PROMPTS):
        ids = torch.tensor([prompt])
        alone = model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=3 if row == 1 else 14
        )
        assert found[row] == alone[0, len(prompt) :].tolist()


@pytest.mark.parametrize("quantization", ["none", "int8", "nf4"])
def test_stacked_adapters_compute_what_pefts_mixed_batches_compute(
    columns: Columns, base: Path, adapters: list[Path], quantization: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The quick 4-bit kernel rounds its inputs to bf16, which makes more of a difference in their last bit.
    monkeypatch.setattr("bitsandbytes.functional.has_avx512bf16", lambda: False)
    engine, names = engine_of(columns, base, adapters, quantization=quantization)
    assert engine.batches(names) == [[0, 1, 2, 3]]
    peft = engine._peft
    assert peft is not None
    ids = torch.tensor([PROMPTS[2]] * 4)
    with torch.inference_mode():
        with StackedLora(peft, names):
            ours = engine.model(input_ids=ids).logits
        theirs = peft(input_ids=ids, adapter_names=[name or "__base__" for name in names]).logits
    assert torch.allclose(ours, theirs, atol=1e-4, rtol=1e-4)
    assert (theirs[1:] - theirs[0]).abs().amax(dim=(1, 2)).min() > 0.1


def test_what_cannot_be_stacked_answers_by_itself(
    columns: Columns, base: Path, adapters: list[Path], tmp_path: Path
) -> None:
    weightless = tmp_path / "dora"
    shutil.copytree(adapters[0], weightless)
    config = json.loads((weightless / "adapter_config.json").read_text())
    (weightless / "adapter_config.json").write_text(json.dumps({**config, "use_dora": True}))
    from safetensors.torch import load_file, save_file

    tensors = load_file(weightless / "adapter_model.safetensors")
    base_tensors = load_file(base / "model.safetensors")
    for key in [key for key in tensors if key.endswith("lora_B.weight")]:
        weight = base_tensors[key.removeprefix("base_model.model.").replace("lora_B.weight", "weight")]
        tensors[key.replace("lora_B.weight", "lora_magnitude_vector")] = weight.norm(dim=1) * 1.5
    save_file(tensors, weightless / "adapter_model.safetensors", metadata={"format": "pt"})
    engine, names = engine_of(columns, base, [adapters[1], weightless])
    assert engine.batches(names) == [[0, 1], [2]]
    together = engine.logits(PROMPTS[2], names)
    reference = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), weightless).eval()
    expected = scores_of(reference, PROMPTS[2])
    plain = scores_of(AutoModelForCausalLM.from_pretrained(base), PROMPTS[2])
    assert torch.allclose(together[2], expected, atol=1e-4)
    assert torch.allclose(together[0], plain, atol=1e-4)
    assert sorted(replies(ask(columns, 0, 1, 2, sampling={"max_tokens": 3}))) == [0, 1, 2]


def test_text_depends_on_seed_and_column_but_not_on_neighbours(
    columns: Columns, base: Path, adapters: list[Path]
) -> None:
    load(columns, base, adapters)
    dice = {"temperature": 1.2, "top_p": 0.9, "max_tokens": 25, "seed": 7}
    together = replies(ask(columns, 0, 1, 2, 3, sampling=dice))
    for column in range(4):
        assert replies(ask(columns, column, sampling=dice))[column].text == together[column].text
    other = replies(ask(columns, 0, 1, sampling=dice, seeds={1: 8}))
    assert other[0].text == together[0].text
    assert other[1].text != together[1].text


def test_all_end_tokens_end_an_answer(columns: Columns, base: Path) -> None:
    engine, _ = engine_of(columns, base, [])
    assert engine.stop_tokens == {2, 3}


def test_tokens_add_up_to_the_reply(columns: Columns, base: Path, adapters: list[Path]) -> None:
    load(columns, base, adapters)
    events = ask(columns, 0, 2, sampling={"max_tokens": 30})
    for column, reply in replies(events).items():
        streamed = "".join(e.text for e in events if isinstance(e, Token) and e.column == column)
        assert streamed == reply.text
        assert 0 < reply.num_tokens <= 30
        assert reply.tokens_per_second > 0


def test_each_adapter_is_proved_to_be_in_effect(
    columns: Columns, base: Path, adapters: list[Path], tmp_path: Path
) -> None:
    idle = make_adapter(tmp_path / "idle", scale=0)
    ready = load(columns, base, [adapters[0], idle])
    assert ready.logit_differences[0] == 0
    assert ready.logit_differences[1] > 0.1
    assert ready.logit_differences[2] == 0
    assert ready.memory_bytes > 0


def test_loading_again_keeps_the_base_and_changes_the_adapters(
    columns: Columns, base: Path, adapters: list[Path]
) -> None:
    first, _ = engine_of(columns, base, adapters[:2])
    before = replies(ask(columns, 2, sampling={"max_tokens": 8}))[2].text
    second, names = engine_of(columns, base, [adapters[2], adapters[1]])
    assert second is first
    assert len(set(names)) == 3
    assert replies(ask(columns, 2, sampling={"max_tokens": 8}))[2].text == before
    third, names = engine_of(columns, base, [])
    assert (third, names) == (first, [BASE])
    expected = scores_of(AutoModelForCausalLM.from_pretrained(base), PROMPTS[0])
    assert torch.allclose(third.logits(PROMPTS[0], names)[0], expected, atol=1e-5)


def test_a_full_fine_tune_answers_beside_its_base(
    columns: Columns, base: Path, adapters: list[Path], tmp_path: Path
) -> None:
    tuned = make_base(tmp_path / "tuned", seed=5)
    checkpoint = tmp_path / "checkpoint"
    shutil.copytree(tuned, checkpoint, ignore=shutil.ignore_patterns("tokenizer*"))
    section = ModelSection(source=str(base))
    wanted = (
        Column(name="Base", model=section),
        Column(name="tuned", kind="model", folder=str(tuned), model=section),
        Column(name="early", kind="model", folder=str(checkpoint), model=section),
        Column(name="a", kind="adapter", folder=str(adapters[0]), model=section),
    )
    ready = columns.load(Load(columns=wanted, device="cpu", threads=1))
    assert min(ready.logit_differences[1:]) > 0.1
    said = replies(ask(columns, 0, 1, 2, 3, sampling={"temperature": 0, "max_tokens": 12}))
    assert said[1].text == said[2].text != said[3].text
    alone = Columns(lambda event: None)
    load(alone, tuned, [])
    assert replies(ask(alone, 0, sampling={"temperature": 0, "max_tokens": 12}))[0].text == said[1].text


@pytest.mark.parametrize("damage", ["shape", "layers", "missing", "gone", "pickle", "config"])
def test_an_adapter_that_does_not_fit_is_one_sentence_and_costs_nothing_later(
    columns: Columns, base: Path, adapters: list[Path], tmp_path: Path, damage: str
) -> None:
    from safetensors.torch import load_file, save_file

    bad = tmp_path / "bad"
    shutil.copytree(adapters[0], bad)
    weights = bad / "adapter_model.safetensors"
    tensors = load_file(weights)
    if damage == "shape":
        tensors = {key: tensor[:, :-1].contiguous() for key, tensor in tensors.items()}
    elif damage == "layers":
        tensors |= {key.replace("layers.0", "layers.7"): tensor.clone() for key, tensor in tensors.items()}
    elif damage == "missing":
        tensors.pop(next(iter(tensors)))
    save_file(tensors, weights, metadata={"format": "pt"})
    if damage in ("gone", "pickle"):
        weights.unlink()
    if damage == "pickle":
        (bad / "adapter_model.bin").write_bytes(b"\x80\x04.")
    if damage == "config":
        (bad / "adapter_config.json").write_text('{"peft_type": "LORA", "target_modules": "(a+)+b"')
    with pytest.raises(HoneError) as caught:
        load(columns, base, [bad])
    assert str(bad) in caught.value.message
    ready = load(columns, base, [adapters[0]])
    assert ready.logit_differences[1] > 0.1
    assert replies(ask(columns, 0, 1, sampling={"max_tokens": 2}))


def test_an_adapters_own_template_is_used(
    columns: Columns, base: Path, adapters: list[Path], tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(adapters[0], other)
    (other / "chat_template.jinja").write_text("{% for m in messages %}Q: {{ m['content'] }}\nA:{% endfor %}")
    load(columns, base, [adapters[0], other])
    said = replies(ask(columns, 1, 2, sampling={"temperature": 0, "max_tokens": 12}))
    assert said[1].text != said[2].text


def test_a_template_without_system_turns_gets_them_with_the_question(base: Path, tmp_path: Path) -> None:
    strict = tmp_path / "strict"
    shutil.copytree(base, strict)
    config = json.loads((strict / "tokenizer_config.json").read_text())
    config["chat_template"] = (
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        + (config["chat_template"])
    )
    (strict / "tokenizer_config.json").write_text(json.dumps(config))
    columns = Columns(lambda event: None)
    load(columns, strict, [])
    greedy = {"temperature": 0, "max_tokens": 10}
    events = ask(columns, 0, system="Be brief.", sampling=greedy)
    assert isinstance(events[0], Warned)
    folded = replies(ask(columns, 0, text="Be brief.\n\nTell me about a fox.", sampling=greedy))
    assert replies(events)[0].text == folded[0].text


def test_plain_text_is_continued_without_a_template(columns: Columns, base: Path) -> None:
    engine, _ = engine_of(columns, base, [])
    said = replies(ask(columns, 0, text="Once upon", template=False, sampling={"temperature": 0, "max_tokens": 9}))
    written = tokens_of(engine, [engine.tokenizer("Once upon").input_ids], [BASE], 9)[0]
    assert said[0].text == engine.tokenizer.decode(written, skip_special_tokens=True)


def test_what_does_not_fit_the_context_is_refused_and_what_nearly_fits_is_cut(tmp_path: Path) -> None:
    columns = Columns(lambda event: None)
    load(columns, make_base(tmp_path / "short", context=48), [])
    with pytest.raises(HoneError, match="48"):
        ask(columns, 0, text="hat " * 60)
    room = replies(ask(columns, 0, text="Tell me", sampling={"max_tokens": 500}))[0]
    assert room.reason in ("length", "end")
    assert room.num_tokens < 48


@pytest.mark.parametrize("turns", [[], [("user", "hi"), ("assistant", "hello")]])
def test_a_conversation_must_end_with_a_question(
    columns: Columns, base: Path, turns: list[tuple[str, str]]
) -> None:
    load(columns, base, [])
    messages = tuple(Message.model_validate({"role": role, "content": text}) for role, text in turns)
    with pytest.raises(HoneError, match="end with"):
        list(columns.answer(Ask(conversations={0: messages}), Flag()))


def test_a_stopped_answer_still_replies(columns: Columns, base: Path, adapters: list[Path]) -> None:
    load(columns, base, adapters)
    turn, stopped = (Message(role="user", content="Tell me about a fox."),), Flag()
    seen: list[Event] = []
    for event in columns.answer(Ask(conversations=dict.fromkeys(range(4), turn), sampling=GREEDY), stopped):
        seen.append(event)
        if len(seen) == 5:
            stopped.set()
    said = replies(seen)
    assert sorted(said) == [0, 1, 2, 3]
    assert {reply.reason for reply in said.values()} == {"stopped"}
    assert all(reply.num_tokens < 40 for reply in said.values())
