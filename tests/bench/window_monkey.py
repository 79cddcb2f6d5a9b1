"""Presses, types and chooses at random in the real window, and tells of every exception and warning.

    python tests/bench/window_monkey.py [--seconds 240] [--seed 1]

Needs no display. Runs, settings and caches lie in a folder of their own, dialogs answer by themselves with files
of the tests' corpus, and Start is pressed rarely. A finding is told with the last widget and can be had again with
its seed, as far as threads allow. Exits with 1 when there was one.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
import traceback
from pathlib import Path
from types import TracebackType

PROJECT = Path(__file__).resolve().parents[2]
SPARED = ("Start", "Resume", "Remove")
"""Buttons that are pressed once in fifty times."""
PAGES = ("new-run", "new-run", "new-run", "runs", "compare", "settings")
TYPED = (
    "sample:facts", "sample:broken", "hub:openai/gsm8k", "/nowhere/x.jsonl", "starter:storyteller",
    "Qwen/Qwen2.5-7B", "meta-llama/Llama-3.1-8B", "{prompt: a}", "q_proj,v_proj", "0", "-5",
    "1e99", "512", "abc", "", "ünï ✓ مرحبا",
)  # fmt: skip
KEYS = ("Up", "Down", "Tab", "Escape", "Return", "Z")
HARMLESS = ("This plugin does not support", "propagateSizeHints")
"""What Qt says only because there is no display."""


class Monkey:
    """`act` does one thing; what goes wrong is in `findings`."""

    def __init__(self, seed: int, window, files: list[str]) -> None:
        self.dice, self.window, self.files = random.Random(seed), window, files
        self.findings: list[str] = []
        self.last = ""

    def told(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        self.find("".join(traceback.format_exception(kind, error, trace)))

    def find(self, text: str) -> None:
        self.findings.append(text)
        print(f"after {self.last}:\n{text}", flush=True)

    def act(self) -> None:
        from PySide6.QtCore import QPoint, Qt
        from PySide6.QtTest import QTest
        from PySide6.QtWidgets import QApplication, QComboBox, QLineEdit, QPushButton, QWidget

        dice = self.dice
        top = QApplication.activePopupWidget() or QApplication.activeModalWidget() or self.window
        able = [one for one in top.findChildren(QWidget) if one.isVisible() and one.isEnabled()]
        widget = dice.choice(able or [top])
        self.last = f"{type(widget).__name__} {widget.objectName() or widget.accessibleName()}".strip()
        if isinstance(widget, QPushButton) and widget.text().strip() in SPARED and dice.random() > 0.02:
            return
        if isinstance(widget, QComboBox) and widget.count():
            index = dice.randrange(widget.count())
            widget.setCurrentIndex(index)
            widget.activated.emit(index)
        elif isinstance(widget, QLineEdit) and not widget.isReadOnly() and dice.random() < 0.8:
            widget.setFocus()
            widget.setText(dice.choice((*TYPED, *self.files)))
            widget.textEdited.emit(widget.text())
            QTest.keyClick(widget, Qt.Key.Key_Return)
        elif dice.random() < 0.85:
            place = QPoint(dice.randrange(max(1, widget.width())), dice.randrange(max(1, widget.height())))
            QTest.mouseClick(widget, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place)
        else:
            keys = [Qt.Key[f"Key_{name}"] for name in KEYS]
            modifiers = (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ControlModifier)
            QTest.keyClick(widget, dice.choice(keys), dice.choice(modifiers))


def run(seed: int, seconds: float, home: Path) -> list[str]:
    from PySide6.QtCore import qInstallMessageHandler
    from PySide6.QtGui import QDesktopServices
    from PySide6.QtWidgets import QApplication, QFileDialog

    from app.main import Studio

    app = QApplication(sys.argv[:1])
    studio = Studio(app)
    files = sorted(str(path) for path in (PROJECT / "tests/core/corpus").rglob("*") if path.is_file())
    monkey = Monkey(seed, studio.window, files)
    sys.excepthook = monkey.told
    qInstallMessageHandler(
        lambda kind, context, text: None if text.startswith(HARMLESS) or not text else monkey.find(text)
    )
    QFileDialog.getOpenFileName = lambda *_, **__: (monkey.dice.choice(files), "")  # type: ignore[method-assign]
    QFileDialog.getSaveFileName = lambda *_, **__: (str(home / "saved"), "")  # type: ignore[method-assign]
    QFileDialog.getExistingDirectory = lambda *_, **__: str(PROJECT / "resources/starter")  # type: ignore
    QDesktopServices.openUrl = lambda *_: True  # type: ignore[method-assign, assignment]
    studio.preferences.set("has_said_runs_live_on", True)
    studio.open()
    end, num_done = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        try:
            monkey.act()
        except Exception as error:
            monkey.told(type(error), error, error.__traceback__)
        for _ in range(monkey.dice.randrange(1, 6)):
            app.processEvents()
            time.sleep(0.005)
        num_done += 1
        if num_done % 50 == 0:
            studio.window.show_page(monkey.dice.choice(PAGES))
    print(f"seed {seed}: {num_done} things done, {len(monkey.findings)} findings")
    for one in studio.store.runs():
        if one.is_live():
            one.request("stop")
    studio.window.close()
    return monkey.findings


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=240)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    sys.path.insert(0, str(PROJECT))
    with tempfile.TemporaryDirectory(prefix="hone-monkey-", ignore_cleanup_errors=True) as home:
        os.environ["HONE_HOME"] = home
        return 1 if run(options.seed, options.seconds, Path(home)) else 0


if __name__ == "__main__":
    sys.exit(main())
