"""Downloads from the window: real processes against a Hub on this machine's loopback."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.state.download import Download

sys.path.insert(0, str(Path(__file__).parents[1] / "core"))
from hub_stand_in import Repository, StandIn

NAME = "someone/small-model"
WAIT_MS = 60_000


@pytest.fixture
def hub(monkeypatch, tmp_path, make_llama) -> Iterator[StandIn]:
    """A Hub with one small model; the downloads of this test know no other."""
    stand_in = StandIn()
    folder = make_llama("served", hidden=256, layers=2, vocab=512)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    stand_in.repositories[NAME] = Repository(files, large={"model.safetensors"})
    monkeypatch.setenv("HF_ENDPOINT", stand_in.url)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_HUB_OFFLINE")
    yield stand_in
    stand_in.close()


@pytest.fixture
def outcome(qapp, hub) -> Iterator[tuple[Download, list[str]]]:
    download, told = Download(), []
    download.finished.connect(lambda source: told.append(f"finished {source}"))
    download.failed.connect(lambda sentence: told.append(f"failed {sentence}"))
    yield download, told
    download.cancel()


def test_a_download_counts_its_bytes_and_ends_with_the_model_on_disk(outcome, qtbot, tmp_path):
    download, told = outcome
    seen: list[float] = []
    download.changed.connect(lambda: seen.append(download.done_bytes))
    download.start(NAME)
    assert download.is_running
    qtbot.waitUntil(lambda: bool(told), timeout=WAIT_MS)
    assert told == [f"finished {NAME}"]
    assert seen == sorted(seen) and download.done_bytes == download.total_bytes > 1_000_000
    snapshots = tmp_path / "hf" / "hub" / "models--someone--small-model" / "snapshots"
    assert {path.name for path in snapshots.glob("*/*")} >= {"config.json", "model.safetensors"}


def test_a_cancelled_download_is_silent_and_goes_on_where_it_was(outcome, hub, qtbot):
    download, told = outcome
    hub.seconds_per_piece = 0.05
    download.start(NAME)
    qtbot.waitUntil(lambda: download.done_bytes > 200_000, timeout=WAIT_MS)
    download.cancel()
    qtbot.waitUntil(lambda: not download.is_running, timeout=WAIT_MS)
    assert told == []
    hub.seconds_per_piece = 0.0
    hub.requests.clear()
    download.start(NAME)
    qtbot.waitUntil(lambda: bool(told), timeout=WAIT_MS)
    assert told == [f"finished {NAME}"]
    assert any(sent for _, sent in hub.asked("storage")), "the rest is asked for by range"


def test_a_name_that_is_not_there_fails_in_one_sentence(outcome, qtbot):
    download, told = outcome
    download.start("someone/no-such-model")
    qtbot.waitUntil(lambda: bool(told), timeout=WAIT_MS)
    assert told[0].startswith("failed") and "someone/no-such-model" in told[0] and "Traceback" not in told[0]


def test_a_download_that_dies_without_a_word_is_told(outcome, hub, qtbot):
    download, told = outcome
    hub.seconds_per_piece = 0.05
    download.start(NAME)
    qtbot.waitUntil(lambda: download.done_bytes > 0, timeout=WAIT_MS)
    download._process.kill()
    qtbot.waitUntil(lambda: bool(told), timeout=WAIT_MS)
    assert told[0].startswith("failed") and "press Download again" in told[0]
