"""`hone download`: fetches a model or a dataset from the Hub; interrupted, it goes on where it was."""

from __future__ import annotations

import argparse
import subprocess
import sys

from core.cli import INTERRUPTED
from core.cli.output import ProgressLine, say, say_json
from core.errors import HoneError
from core.events import Failed, Finished, Progress, Warned, decode
from core.figures import size, whole
from core.launch import PROJECT


def download(options: argparse.Namespace) -> int:
    """Run the download as a process of its own, as the window does, and follow it. Raises HoneError."""
    if options.data and options.revision:
        raise HoneError("--revision is for models; a dataset is taken as it is now.")
    command = [sys.executable, "-P", "-m", "core.download", options.source]
    command += ["--data"] if options.data else []
    command += ["--revision", options.revision] if options.revision else []
    line = ProgressLine()
    failure = "The download ended without a word; start it again, it goes on where it was."
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, cwd=PROJECT)
    try:
        for text in process.stdout or ():
            match decode(text):
                case Progress() as event:
                    line.show(_shown(event))
                case Warned(message=message):
                    line.note(f"Note: {message}")
                case Failed(message=message):
                    failure = message
                case Finished():
                    failure = ""
    except KeyboardInterrupt:
        process.kill()
        line.note("Stopped. The same command goes on where it was.")
        return INTERRUPTED
    finally:
        process.communicate()
        line.clear()
    if failure:
        raise HoneError(failure, path="data.source" if options.data else "model.source")
    return _show_data(options) if options.data else _show_model(options)


def _show_data(options: argparse.Namespace) -> int:
    from core.data.hub_parts import HUB, find_part

    found = find_part(HUB + options.source.removeprefix(HUB))
    if options.json:
        say_json({"source": str(found.source), "commit": found.commit, "folder": str(found.folder)})
    else:
        say(f"{found.source} is on this machine; look into it with hone data check {found.source}")
    return 0


def _show_model(options: argparse.Namespace) -> int:
    from core.models.source import find_model

    found = find_model(options.source, options.revision)
    if options.json:
        say_json({"source": found.source, "commit": found.commit, "folder": str(found.path)})
    else:
        say(f"{found.name} is on this machine; train it with hone train --set model.source={found.source}")
    return 0


def _shown(event: Progress) -> str:
    shown = size if event.unit == "bytes" else whole
    of = f" of {shown(event.total)} ({event.done / event.total:.0%})" if event.total else ""
    return f"{event.label} {shown(event.done)}{of}"
