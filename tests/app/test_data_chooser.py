"""Choosing data: from a Hub on this machine's loopback by real requests and a real download, and several mixed."""

from __future__ import annotations

import io
import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants
from PySide6.QtCore import Qt

from app.pages.new_run.data_chooser import DataChooser
from app.pages.new_run.hub_chooser import HubChooser
from app.state.draft import Draft
from core.config import RunConfig
from core.data.rows import open_rows, rows_of

sys.path.insert(0, str(Path(__file__).parents[1] / "core"))
from data_hub_stand_in import DataStandIn
from hub_stand_in import Repository

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import pyarrow as pa
    import pyarrow.parquet as parquet

NAME = "maker/pairs"
WAIT_MS = 60_000


def table(name: str, count: int) -> bytes:
    rows = [{"prompt": f"{name} {n}", "completion": f"<b>answer</b> {n}"} for n in range(count)]
    made = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows), made)
    return made.getvalue()


@pytest.fixture
def hub(monkeypatch, tmp_path) -> Iterator[DataStandIn]:
    """A Hub with one dataset in two parts; this process and the downloads of this test know no other."""
    stand_in = DataStandIn()
    files = {"default/train/0000.parquet": table("train", 40), "default/test/0000.parquet": table("test", 5)}
    stand_in.datasets[NAME] = Repository({"README.md": b"# Pairs"}), Repository(files, set(files))
    monkeypatch.setenv("HF_ENDPOINT", stand_in.url)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_HUB_OFFLINE")
    url = stand_in.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", stand_in.url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf" / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.hf_api.ENDPOINT", stand_in.url, raising=False)
    yield stand_in
    stand_in.close()


@pytest.fixture
def chooser(hub, background, theme, qtbot) -> Iterator[HubChooser]:
    chooser = HubChooser(background, theme)
    qtbot.addWidget(chooser)
    chooser.resize(600, 400)
    chooser.show()
    yield chooser
    chooser.download.cancel()


def asked(chooser: HubChooser, words: str, qtbot) -> None:
    chooser.query.setText(words)
    qtbot.keyClick(chooser.query, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: not chooser.hub.doing, timeout=WAIT_MS)


def test_a_dataset_is_found_looked_at_and_downloaded_by_part(chooser, qtbot):
    chosen: list[str] = []
    chooser.chose.connect(chosen.append)
    asked(chooser, "pairs", qtbot)
    assert [row.option.name for row in chooser.results.rows] == [NAME]
    assert "1K<n<10K rows" in chooser.results.rows[0].option.note
    chooser.results.rows[0].click()
    qtbot.waitUntil(lambda: chooser.hub.preview is not None, timeout=WAIT_MS)
    assert chooser.hub.part.source.split == "train", "the usual part"
    assert "prompt: train 0 · completion: <b>answer</b> 0" in chooser.rows.text()
    assert chooser.rows.textFormat() == Qt.TextFormat.PlainText
    texts = [chooser.parts.itemText(place) for place in range(chooser.parts.count())]
    assert {tuple(text.split(" · ")[:2]) for text in texts} == {("default", "train"), ("default", "test")}
    place = next(place for place, text in enumerate(texts) if "test" in text)
    chooser.parts.setCurrentIndex(place)
    chooser.parts.activated.emit(place)
    qtbot.waitUntil(lambda: "test 0" in chooser.rows.text(), timeout=WAIT_MS)
    chooser.get.click()
    assert chooser.download.is_running and not chooser.get.isEnabled()
    qtbot.waitUntil(lambda: bool(chosen), timeout=WAIT_MS)
    assert chosen == [f"hub:{NAME}:default@test"]
    assert len(open_rows(chosen[0])) == 5
    asked(chooser, NAME, qtbot)
    qtbot.waitUntil(lambda: chooser.hub.preview is not None, timeout=WAIT_MS)
    chooser.parts.setCurrentIndex(place)
    chooser.parts.activated.emit(place)
    assert chooser.get.text() == "Use it"
    chooser.get.click()
    assert chosen[1:] == [f"hub:{NAME}:default@test"], "it is not downloaded again"


def test_a_name_that_is_not_there_and_words_nobody_has_are_told(chooser, qtbot):
    asked(chooser, "nobody/nothing", qtbot)
    assert "nobody/nothing" in chooser.error.text() and not chooser.error.isHidden()
    asked(chooser, "nothing", qtbot)
    assert "Nothing is called so" in chooser.note.text() and chooser.error.isHidden()


@pytest.fixture
def sources(tmp_path) -> list[str]:
    made = []
    for name, count in (("first", 4), ("second", 6)):
        path = tmp_path / f"{name}.jsonl"
        path.write_text("\n".join(json.dumps({"prompt": f"{name} {n}", "completion": "ok"}) for n in range(count)))
        made.append(str(path))
    return made


def test_sources_are_mixed_by_weight_and_taken_out_again(sources, background, theme, qtbot):
    draft = Draft(RunConfig().with_value("data.source", sources[0]))
    chooser = DataChooser(draft, background, theme)
    qtbot.addWidget(chooser)
    assert chooser.mixed.isHidden()
    chooser.path.setText(sources[1])
    chooser.mix.click()
    assert draft.config.data.more == (sources[1],) and chooser.path.text() == ""
    row = chooser.mixed.rows[0]
    assert row.name.text() == sources[1] and row.weight.value() == 1 and not chooser.mixed.isHidden()
    row.weight.edited.emit(2.0)
    assert draft.config.data.more == (f"2*{sources[1]}",)
    assert len(rows_of(draft.config.data)) == 4 + 2 * 6
    assert row.weight.value() == 2 and row.name.text() == sources[1]
    row.weight.edited.emit(1)
    assert draft.config.data.more == (sources[1],)
    row.remove.click()
    assert draft.config.data.more == () and chooser.mixed.isHidden()
    draft.undo()
    assert draft.config.data.more == (sources[1],)
