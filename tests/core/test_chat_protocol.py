"""The chat worker as a process: commands in, events out, and never a process left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from chat_models import make_adapter, make_base, make_run

from core.chat import (
    Ask,
    ChatClient,
    Load,
    Message,
    Sampling,
    StopAnswer,
    advised_sampling,
    ask_all,
    decode_command,
    encode_command,
)
from core.columns import Column, base_column, checkpoints_to_offer, compared, has_voice, run_column
from core.config import RunConfig
from core.errors import HoneError
from core.events import Failed, Replied, Token, decode
from core.launch import PROJECT, worker_environment
from core.runs import Run, RunStore
from core.sections import ModelSection

ENDLESS = Sampling(temperature=1, top_p=1, max_tokens=100_000)
DEADLINE = 300.0


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("models") / "base", context=100_000)


@pytest.fixture(scope="module")
def run(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run(RunStore(tmp_path_factory.mktemp("runs")), base, "poet")


@pytest.fixture(scope="module")
def chat(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChatClient]:
    """One worker for the tests that leave it as they found it."""
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setenv("HONE_HOME", str(tmp_path_factory.mktemp("home")))  # it starts before any test's own home
        client = stack.enter_context(ChatClient())
        client.load(compared([run]), device="cpu", threads=1)
        yield client


def test_columns_answer_through_pipes_as_they_stream(chat: ChatClient) -> None:
    events = list(chat.ask("Tell me about a fox.", sampling=Sampling(max_tokens=12)))
    replies = {event.column: event for event in events if isinstance(event, Replied)}
    assert sorted(replies) == [0, 1]
    for column, reply in replies.items():
        streamed = "".join(event.text for event in events if isinstance(event, Token) and event.column == column)
        assert streamed == reply.text
    first_reply = next(i for i, event in enumerate(events) if isinstance(event, Replied))
    assert any(isinstance(event, Token) for event in events[:first_reply])
    again = chat.answers("Tell me about a fox.", sampling=Sampling(max_tokens=12))
    assert [reply.text for reply in again] == [replies[0].text, replies[1].text]


def test_one_column_can_be_asked_with_its_own_history(chat: ChatClient) -> None:
    turns = (
        Message(role="user", content="Hello."),
        Message(role="assistant", content="Good day."),
        Message(role="user", content="And a fox?"),
    )
    (reply,) = chat.answers(Ask(conversations={1: turns}, sampling=Sampling(max_tokens=5)))
    assert reply.column == 1
    assert reply.text != chat.answers(ask_all("And a fox?", [1], sampling=Sampling(max_tokens=5)))[0].text


def test_stop_ends_an_endless_answer(chat: ChatClient) -> None:
    seen, start = [], time.monotonic()
    for event in chat.ask("Never stop.", sampling=ENDLESS):
        seen.append(event)
        if len(seen) == 10:
            chat.stop()
        assert time.monotonic() - start < DEADLINE
    replies = [event for event in seen if isinstance(event, Replied)]
    assert sorted(reply.column for reply in replies) == [0, 1]
    assert "stopped" in {reply.reason for reply in replies}
    assert len(chat.answers("Go on.", sampling=Sampling(max_tokens=3))) == 2


def test_a_mistake_is_one_sentence_and_the_worker_lives_on(chat: ChatClient) -> None:
    with pytest.raises(HoneError, match="2 columns"):
        chat.answers(ask_all("Hello.", [7]))
    chat.send(Load(columns=(Column(name="gone", model=ModelSection(source="/nowhere/at/all")),)))
    with pytest.raises(HoneError, match="/nowhere/at/all"):
        list(chat.events())
    assert chat._process.poll() is None


@pytest.mark.parametrize(
    "line", [b"\xff\xfe", b"{}", b'{"type": "ask"}', b'{"type": "load", "columns": "x"}', b"[" * 9999]
)
def test_nonsense_on_the_wire_is_answered_and_survived(chat: ChatClient, line: bytes) -> None:
    assert chat._process.stdin is not None
    chat._process.stdin.write(line + b"\n")
    chat._process.stdin.flush()
    with pytest.raises(HoneError, match="did not understand"):
        list(chat.events())


NOISY = """
import os, sys, core.worker.text_stream as stream
from core.worker.chat import main
push = stream.TextStream.push
def loud(self, token):
    print("stray")
    os.write(1, b"raw stray\\n")
    return push(self, token)
stream.TextStream.push = loud
sys.exit(main([]))
"""


def test_stray_prints_stay_out_of_the_protocol_and_the_worker_ends_with_its_input(
    run: Run, tmp_path: Path
) -> None:
    with (tmp_path / "log").open("w+b") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", NOISY],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=worker_environment(),
            cwd=PROJECT,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(encode_command(Load(columns=tuple(compared([run])), device="cpu", threads=1)))
        process.stdin.write(encode_command(ask_all("Never stop.", [0, 1], sampling=ENDLESS)))
        process.stdin.flush()
        tokens = 0
        while tokens < 20:
            event = decode(process.stdout.readline())
            assert event is not None
            assert not isinstance(event, Failed), event.message
            tokens += isinstance(event, Token)
        process.send_signal(signal.SIGINT)  # Ctrl+C in a terminal reaches the worker too and is not its to answer
        assert isinstance(decode(process.stdout.readline()), Token)
        process.stdin.close()
        process.stdout.read()
        assert process.wait(DEADLINE) == 0
        process.stdout.close()
        log.seek(0)
        said = log.read()
    assert b"\nstray\n" in said
    assert b"raw stray" in said
    assert b"Traceback" not in said


@pytest.mark.skipif(os.name == "nt", reason="kills by signal")
def test_a_killed_worker_is_reported_in_one_sentence(run: Run) -> None:
    with ChatClient() as client:
        os.kill(client._process.pid, signal.SIGKILL)
        with pytest.raises(HoneError, match="ended unexpectedly"):
            client.load(compared([run]))


def test_commands_travel_unchanged() -> None:
    ask = Ask(
        conversations={0: (Message(role="user", content="Füchse\n🦊\u2028"),), 3: ()},
        system="Be brief.",
        sampling=Sampling(temperature=0, seed=7),
        seeds={3: 9},
    )
    for command in (ask, StopAnswer(), Load(columns=(base_column(ModelSection()),))):
        line = encode_command(command)
        assert line.count(b"\n") == 1
        assert line.endswith(b"\n")
        assert decode_command(line) == command
    with pytest.raises(HoneError, match=r"sampling\.temperature"):
        decode_command(b'{"type":"ask","conversations":{},"sampling":{"temperature":-1}}')


def test_a_run_becomes_columns_with_badges(run: Run) -> None:
    final, early = run_column(run), run_column(run, checkpoints_to_offer(run)[-1])
    assert (final.name, final.kind, final.step, final.rank) == ("poet", "adapter", 40, 4)
    assert early.step == 20
    assert final.badge == f"step 40 · r4 · {final.hash[:4]}"
    assert final.hash != early.hash
    assert [c.step for c in checkpoints_to_offer(run)] == [40, 20]
    columns = compared([run])
    assert [column.kind for column in columns] == ["base", "adapter"]
    assert columns[0].badge == "no adapter"
    assert columns[0].model == run.config.model


def test_an_unfinished_run_speaks_through_its_newest_checkpoint(base: Path, tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    run = make_run(store, base, "young")
    assert has_voice(run)
    run.adapter.rename(run.folder / "hidden")
    assert run_column(run).step == 40
    bare = store.create(RunConfig(), "bare")
    assert not has_voice(bare)
    with pytest.raises(HoneError, match="saved nothing"):
        run_column(bare)


def test_columns_that_cannot_stand_together_are_refused(run: Run, base: Path, tmp_path: Path) -> None:
    other = make_run(RunStore(tmp_path), make_base(tmp_path / "other"), "stranger")
    with pytest.raises(HoneError, match="stranger was trained on") as caught:
        compared([run, other])
    assert str(tmp_path / "other") in caught.value.message
    with pytest.raises(HoneError, match="at most 6"):
        compared([run] * 6)
    with pytest.raises(HoneError, match="nothing to compare"):
        compared([])


def test_an_adapter_without_a_run_can_be_a_column(chat: ChatClient, base: Path, tmp_path: Path) -> None:
    section = ModelSection(source=str(base))
    lone = Column(name="lone", kind="adapter", folder=str(make_adapter(tmp_path / "lone")), model=section)
    ready = chat.load([base_column(section), lone], device="cpu", threads=1)
    assert ready.columns == ["Base", "lone"]
    assert ready.logit_differences[1] > 0.1


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ('{"do_sample": true, "temperature": 0.6, "top_k": 20}', Sampling(temperature=0.6, top_k=20)),
        ('{"temperature": 0.6}', Sampling()),
        ('{"do_sample": true, "temperature": "hot"}', Sampling()),
        ("[1, 2", Sampling()),
        (None, Sampling()),
    ],
)
def test_the_makers_advice_is_where_sampling_begins(tmp_path, written, expected):
    if written is not None:
        (tmp_path / "generation_config.json").write_text(written)
    assert advised_sampling(ModelSection(source=str(tmp_path))) == expected
