"""The window's process stays light: what it must not load is absent after it has opened, lazy imports included."""

from __future__ import annotations

import os
import subprocess
import sys

ABSENT = (
    "torch",
    "transformers",
    "peft",
    "bitsandbytes",
    "datasets",
    "accelerate",
    "pandas",
    "scipy",
    "core.worker",
)

OPEN_WINDOW = f"""
import sys
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from app.main import Studio

app = QApplication([])
studio = Studio(app)
studio.open()
for page in ("runs", "new-run", "compare", "settings"):
    studio.window.show_page(page)
    QTest.qWait(200)
print([name for name in {ABSENT!r} if name in sys.modules])
studio.window.close()
"""


def loaded(code: str) -> str:
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def test_opened_window_has_loaded_nothing_heavy() -> None:
    assert loaded(OPEN_WINDOW) == "[]"


def test_command_line_checks_a_run_without_torch() -> None:
    code = (
        "import sys, contextlib, io\n"
        "from core.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()): codes = [main(['data', 'check', 'sample:poems']), "
        "main(['runs']), main(['config'])]\n"
        "import core.cli.training, core.cli.demo, core.cli.chat, core.cli.estimates, core.cli.checkup\n"
        f"print(codes, [name for name in {ABSENT!r} if name in sys.modules])"
    )
    assert loaded(code) == "[0, 0, 0] []"
