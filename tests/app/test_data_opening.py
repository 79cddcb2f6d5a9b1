"""Data that takes a while to open: how far it is, that other data ends it, and what of it is passed over."""

from __future__ import annotations

import threading
import zipfile
from pathlib import Path

import pytest

from app.pages.new_run.data_card import DataCard
from app.pages.new_run.data_tabs import COLUMNS
from app.state.chosen_data import ChosenData
from app.state.chosen_model import ChosenModel
from app.state.draft import Draft
from app.state.preview import Preview
from app.state.row_lengths import RowLengths
from core import places
from core.data import unpack

LINE = '{"prompt": "What is a hat?", "completion": "A warm thing."}\n'
WAIT_MS = 20_000


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a.jsonl", LINE * 100_000)
        packed.writestr("inner.zip", b"PK")
        packed.writestr("README.md", "# About it")
    return tmp_path / "a.zip"


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Unpacking stands still after its first piece until this is set."""
    go_on, copy = threading.Event(), unpack._copy

    def slow(packed, target, packed_bytes, told):
        def tell(num_bytes: int) -> None:
            told(num_bytes)
            assert go_on.wait(20)

        return copy(packed, target, packed_bytes, tell)

    monkeypatch.setattr(unpack, "_copy", slow)
    return go_on


def unpacked() -> list[str]:
    folder = places.cache_folder() / "data"
    return [path.name for path in folder.iterdir()] if folder.is_dir() else []


@pytest.fixture
def opened(background, theme, qtbot) -> tuple[Draft, ChosenData, DataCard]:
    """A draft, its data, and the card that shows both."""
    draft = Draft()
    data, model = ChosenData(draft, background), ChosenModel(draft, background)
    preview = Preview(draft, model, data)
    card = DataCard(draft, data, preview, RowLengths(model, data, preview, background), background, theme)
    qtbot.addWidget(card)
    return draft, data, card


def test_how_far_a_check_is_changes_the_card_and_nothing_else(tmp_path, opened, qtbot):
    draft, data, card = opened
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(LINE.replace("a hat", f"hat {n}") for n in range(40_000)))
    changes, shown = list[bool](), list[str]()
    draft.set("data.source", str(path))
    qtbot.waitUntil(lambda: data.rows is not None, timeout=WAIT_MS)
    data.changed.connect(lambda: changes.append(data.report is not None))
    data.progressed.connect(lambda: shown.append(card.summary.text()))
    qtbot.waitUntil(lambda: data.report is not None, timeout=WAIT_MS)
    assert shown and all("checking" in words for words in shown) and "%" in shown[-1]
    assert changes == [True], "plans and tabs are made anew once, not with each percent"


def test_data_that_fits_no_format_opens_nothing_but_its_columns(tmp_path, opened, qtbot):
    draft, data, card = opened
    path = tmp_path / "rows.jsonl"
    path.write_text('{"left": "What is a hat?", "right": "A warm thing."}\n' * 5)
    tabs = card.contents.tabs
    draft.set("data.source", str(path))
    qtbot.waitUntil(lambda: tabs.buttons[COLUMNS].isChecked(), timeout=WAIT_MS)
    assert [button.isEnabled() for button in tabs.buttons] == [False, True, False, False, False]
    assert "what the columns are for" in tabs.buttons[0].toolTip() and not tabs.buttons[COLUMNS].toolTip()
    card.contents.mapping.guess.click()
    qtbot.waitUntil(lambda: data.rows is not None, timeout=WAIT_MS)
    assert all(button.isEnabled() for button in tabs.buttons) and not data.error


def test_unpacking_is_shown_and_ends_when_other_data_is_chosen(archive, held, background, qtbot):
    draft = Draft()
    data = ChosenData(draft, background)
    draft.set("data.source", str(archive))
    qtbot.waitUntil(lambda: data.opened_share > 0, timeout=WAIT_MS)
    assert data.opening == "Unpacking" and data.rows is None and data.opened_share < 1
    draft.undo()
    held.set()
    qtbot.waitUntil(lambda: data.report is not None and background.is_idle, timeout=WAIT_MS)
    assert data.source == "sample:poems" and unpacked() == []


def test_the_card_says_how_far_it_is_and_what_is_passed_over(archive, held, background, theme, qtbot):
    draft = Draft()
    data, model = ChosenData(draft, background), ChosenModel(draft, background)
    preview = Preview(draft, model, data)
    card = DataCard(draft, data, preview, RowLengths(model, data, preview, background), background, theme)
    qtbot.addWidget(card)
    draft.set("data.source", str(archive))
    qtbot.waitUntil(lambda: card.summary.text().startswith("unpacking "), timeout=WAIT_MS)
    held.set()
    qtbot.waitUntil(lambda: data.report is not None, timeout=WAIT_MS)
    assert card.summary.text().endswith(
        "100,000 rows · passed over: inner.zip (archives within it, which stay closed: unpack them first); "
        "README.md (about the data)"
    )
    preview.close()
