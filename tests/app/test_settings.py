"""Preferences: kept durably, mended when broken, and shown on their page."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt

from app.pages.settings_page import SettingsPage
from app.state.preferences import Preferences
from core.errors import HoneError
from core.settings import Settings, settings_file

WAIT_MS = 60_000  # a busy machine is no failure


def test_what_is_saved_is_loaded_again(hone_home):
    changed = Settings().with_value("appearance", "dark").with_value("model_folders", ("/models", "/more: odd"))
    changed.save()
    assert Settings.load() == changed
    assert settings_file().read_text().startswith("# Light, dark")


def test_without_a_file_there_are_defaults(hone_home):
    assert Settings.load() == Settings() and Settings().runs_folder == hone_home / "runs"


@pytest.mark.parametrize("content", ["appearance: neon", "{{{", "- a list", "appearance: [", "\0", "runs: 5"])
def test_a_broken_file_is_set_aside_and_never_stops_the_start(content, hone_home):
    hone_home.mkdir()
    settings_file().write_text(content)
    assert Settings.load() == Settings()
    [aside] = hone_home.glob("settings-broken-*.yaml")
    assert aside.read_text() == content and not settings_file().exists()


def test_settings_of_a_later_version_are_read_as_far_as_they_are_known(hone_home):
    hone_home.mkdir()
    settings_file().write_text("appearance: dark\nfrom_the_future: 1\n")
    assert Settings.load().appearance == "dark"


def test_a_value_that_does_not_fit_changes_nothing(qapp):
    preferences = Preferences(Settings())
    with pytest.raises(HoneError):
        preferences.set("appearance", "neon")
    assert preferences.settings == Settings() and not settings_file().exists()


def test_a_folder_that_cannot_be_written_is_told_in_a_sentence(qapp, hone_home):
    hone_home.parent.mkdir(parents=True, exist_ok=True)
    hone_home.write_text("a file where the folder should be")
    with pytest.raises(HoneError, match="cannot be saved"):
        Preferences(Settings()).set("appearance", "dark")


def test_the_page_sets_the_appearance_at_once(theme, background, qtbot):
    preferences = Preferences(Settings())
    page = SettingsPage(preferences, theme, background)
    qtbot.addWidget(page)
    page.show()
    qtbot.mouseClick(page.appearance_chips["dark"], Qt.MouseButton.LeftButton)
    assert preferences.settings.appearance == "dark" and Settings.load().appearance == "dark"
    assert [name for name, chip in page.appearance_chips.items() if chip.isChecked()] == ["dark"]
    qtbot.waitUntil(lambda: background.is_idle, timeout=WAIT_MS)


def test_another_runs_folder_is_for_the_next_start(theme, background, qtbot, tmp_path):
    preferences = Preferences(Settings())
    page = SettingsPage(preferences, theme, background)
    qtbot.addWidget(page)
    page._set("runs", str(tmp_path / "elsewhere"))
    assert preferences.needs_restart and not page._note.isHidden()
    page._set("runs", "")
    assert not preferences.needs_restart and page._note.isHidden()
    qtbot.waitUntil(lambda: background.is_idle, timeout=WAIT_MS)


def test_model_folders_are_listed_and_forgotten(theme, background, qtbot):
    preferences = Preferences(Settings())
    page = SettingsPage(preferences, theme, background)
    qtbot.addWidget(page)
    page._set("model_folders", ("/one", "/two"))
    assert len(page._model_rows) == 2
    page._forget("/one")
    assert preferences.settings.model_folders == ("/two",) and len(page._model_rows) == 1
    qtbot.waitUntil(lambda: background.is_idle, timeout=WAIT_MS)
