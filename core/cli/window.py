"""`hone`: opens the studio as a process of its own, since the window and the command line share no modules."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from core import display
from core.errors import HoneError
from core.launch import PROJECT


def open_window(options: argparse.Namespace) -> int:
    """Become the studio; on Windows wait for it and return its exit code. Raises HoneError without a display."""
    del options
    if missing := display.missing_packages():
        raise HoneError(
            "The window needs system libraries that are missing here; on Debian or Ubuntu: "
            f"sudo apt install {' '.join(missing)}."
        )
    if not display.is_present():
        raise HoneError(
            "There is no display to open a window on; start it inside a desktop session, or work with the verbs "
            "that hone --help lists."
        )
    # -P: a folder named "app" where the user happens to stand must not be taken for ours.
    command = [sys.executable, "-P", "-m", "app.main"]
    path = os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH", "")]))
    environment = {**os.environ, "PYTHONPATH": path}
    if os.name == "posix":
        os.execve(command[0], command, environment)
    return subprocess.call(command, env=environment)
