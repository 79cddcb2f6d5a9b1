"""The window: pages on first visit, keys, badge, memory at the foot, and nothing heavy loaded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QWidget

from app.state.memory_watch import MemoryWatch
from app.widgets.device_meter import DeviceMeter
from app.widgets.sidebar import NavButton
from app.window import ENTRIES, Window
from core.errors import HoneError

WAIT_MS = 60_000  # a busy machine is no failure

PROJECT = Path(__file__).resolve().parents[2]
FORBIDDEN = ("torch", "transformers", "peft", "bitsandbytes", "datasets", "accelerate", "pandas", "scipy")


@pytest.fixture
def built() -> list[str]:
    return []


@pytest.fixture
def window(theme, background, built, qtbot) -> Window:
    def maker(name: str):
        def make() -> QWidget:
            built.append(name)
            return QLabel(name)

        return make

    watch = MemoryWatch(background)
    window = Window(
        theme, watch, {name: maker(name) for name in ("runs", "run", "new-run", "compare", "settings")}
    )
    qtbot.addWidget(window)
    window.show()
    return window


def checked(window: Window) -> list[str]:
    return [button.text() for button in window.sidebar.findChildren(NavButton) if button.isChecked()]


def test_a_page_is_built_on_its_first_visit_and_kept(window, built):
    assert built == []
    first = window.show_page("runs")
    window.show_page("compare")
    assert window.show_page("runs") is first and built == ["runs", "compare"]
    assert window.open_page is first and checked(window) == ["Runs"] and window.windowTitle() == "Runs – Hone"


def test_the_page_of_a_run_stands_under_runs(window):
    window.show_page("run", "poet")
    assert checked(window) == ["Runs"] and window.windowTitle() == "poet – Hone"


@pytest.mark.parametrize(
    ("key", "name"), list(zip("1234", ["runs", "new-run", "compare", "settings"], strict=True))
)
def test_keys_open_pages(key, name, window, qtbot):
    window.activateWindow()
    qtbot.keyClick(window, getattr(Qt.Key, f"Key_{key}"), Qt.KeyboardModifier.ControlModifier)
    assert window.open_page is window.page(name)


def test_every_entry_can_be_pressed_and_heard(window, qtbot):
    for button, entry in zip(window.sidebar.findChildren(NavButton), ENTRIES, strict=True):
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
        assert window.open_page is window.page(entry.name) and button.accessibleName() == entry.title


def test_a_badge_is_shown_and_heard(window):
    window.sidebar.set_badge("runs", "2 live")
    button = window.sidebar._buttons["runs"]
    assert button.accessibleDescription() == "2 live" and not button.grab().isNull()
    window.sidebar.set_badge("runs", "")
    assert button.accessibleDescription() == ""


def test_no_button_wears_the_ring_before_a_key_was_pressed(window):
    window.show_page("settings")
    focused = window.focusWidget()
    assert focused is None or not isinstance(focused, NavButton)


def test_the_window_stands_where_it_stood(theme, background, qtbot, hone_home):
    hone_home.mkdir()
    make: dict[str, Callable[[], QWidget]] = dict.fromkeys(
        ("runs", "run", "new-run", "compare", "settings"), QWidget
    )
    first = Window(theme, MemoryWatch(background), make)
    first.resize(1128, 702)  # the offscreen screen is small
    first.show()
    first.close()
    again = Window(theme, MemoryWatch(background), make)
    qtbot.addWidget(again)
    assert (again.width(), again.height()) == (1128, 702)


def test_the_foot_shows_what_is_used_and_what_is_free(theme, background, device, qtbot):
    watch = MemoryWatch(background)
    meter = DeviceMeter(watch, theme)
    qtbot.addWidget(meter)
    watch._seen(device, "auto")
    assert meter._name.text() == "RTX 4070" and meter._total.text() == "12 GiB"
    assert meter._words.text() == "1.1 GiB others · 10.9 GiB free"


def test_the_watch_sees_the_real_machine_and_tells_what_is_missing(background, qtbot):
    watch = MemoryWatch(background, "cpu")
    watch.look()
    qtbot.waitUntil(lambda: watch.device is not None, timeout=WAIT_MS)
    assert watch.device.kind == "cpu" and 0 < watch.device.free_bytes <= watch.device.total_bytes
    watch._missing(HoneError("There is no GPU here."), "cpu")
    assert watch.error == "There is no GPU here." and watch.device is None
    watch.look()
    qtbot.waitUntil(lambda: watch.device is not None and not watch.error, timeout=WAIT_MS)


def test_an_answer_about_another_device_is_not_shown(background, device, qtbot):
    watch = MemoryWatch(background, "cpu")
    watch._seen(device, "cuda")
    qtbot.waitUntil(lambda: watch.device is not None, timeout=WAIT_MS)
    assert watch.device.kind == "cpu"


def test_the_open_window_has_loaded_nothing_heavy_and_leaves_little_to_collect(hone_home):
    """In a process of its own, since this one has loaded what other tests needed."""
    code = (
        "import sys, json\n"
        "from PySide6.QtWidgets import QApplication\n"
        "from app.main import Studio\n"
        "app = QApplication(sys.argv[:1])\n"
        "studio = Studio(app)\n"
        "studio.open()\n"
        "for name in ('runs', 'new-run', 'settings', 'compare'):\n"
        "    studio.window.show_page(name)\n"
        "    app.processEvents()\n"
        "for _ in range(200):\n"
        "    app.processEvents()\n"
        "    if studio.background.is_idle: break\n"
        "    import time; time.sleep(0.05)\n"
        "import gc, time\n"
        "until = time.monotonic() + 20\n"
        "while not gc.get_freeze_count() and time.monotonic() < until: app.processEvents(); time.sleep(0.05)\n"
        "assert gc.get_freeze_count() > 20_000, 'a collection would take its time from a frame'\n"
        "studio.window.close()\n"
        f"print(json.dumps([name for name in {FORBIDDEN!r} if name in sys.modules]))\n"
    )
    environment = {**os.environ, "HONE_HOME": str(hone_home), "PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []
    told = [line for line in done.stderr.splitlines() if not line.startswith("This plugin does not support")]
    assert not told, "the window opens without a warning"
