"""`python -m core.worker chat`: reads commands of core.chat from stdin, answers with events on stdout.

Nothing else may reach stdout, and the process ends with its input, also in the middle of an answer.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from threading import Event as Flag

from core.chat import Ask, Command, Load, Quit, StopAnswer, decode_command
from core.errors import HoneError
from core.events import Event, Progress, encode
from core.worker.failure import failed
from core.worker.wire import open_wire

Item = tuple[Command, Flag] | HoneError


def main(arguments: list[str]) -> int:
    """Serve until stdin ends. Takes no arguments."""
    send = open_wire()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the parent's to handle; its end closes our input

    def say(event: Event) -> None:
        send(encode(event))

    inbox = Inbox()
    inbox.start()
    say(Progress(label="Starting", done=0))
    try:
        from core.worker.columns import Columns

        columns = Columns(say)
    except BaseException as error:
        say(failed(error))
        return 1
    while True:
        item = inbox.take()
        try:
            if isinstance(item, HoneError):
                raise item
            command, stopped = item
            if isinstance(command, Load):
                say(columns.load(command))
            elif isinstance(command, Ask):
                for event in columns.answer(command, stopped):
                    say(event)
        except BaseException as error:
            say(failed(error))
            _release_memory()


class Inbox(threading.Thread):
    """Reads stdin beside the work, so that Stop and the end of input are heard while a column answers."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._items: queue.Queue[Item] = queue.Queue()

    def take(self) -> Item:
        """The next Load or Ask with the flag that stops it, or the complaint about a line that was neither."""
        return self._items.get()

    def run(self) -> None:
        latest = Flag()
        with open(0, "rb", closefd=False) as stdin:
            for line in stdin:
                try:
                    command = decode_command(line)
                except HoneError as error:
                    self._items.put(error)
                    continue
                if isinstance(command, Quit):
                    break
                if isinstance(command, StopAnswer | Load):
                    latest.set()
                if isinstance(command, Ask | Load):
                    latest = Flag()
                    self._items.put((command, latest))
        sys.stderr.flush()
        os._exit(0)  # nobody listens any more, and there is nothing to save


def _release_memory() -> None:
    """After running out of memory, give the device's cache back so that a smaller request can succeed."""
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
