"""`python -m core.worker preview`: shows rows as the model will see them, and counts their tokens.

Reads commands of core.preview from stdin and answers on stdout; ends with its input. Loads no torch, so that it
starts quickly, and the very tokenizer, template and mask that training uses.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from core.events import Warned
from core.preview import Answer, Look, Seen, Show, decode_command, encode
from core.worker.failure import failed
from core.worker.wire import open_wire

if TYPE_CHECKING:
    from core.worker.sight import Sight


def main(arguments: list[str]) -> int:
    """Serve until stdin ends. Takes no arguments."""
    send = open_wire()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the parent's to handle; its end closes our input
    sys.modules["torch"] = None  # type: ignore[assignment]  # tokenizers do without, and it takes seconds to load
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"
    inbox: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=_listen, args=(inbox,), daemon=True).start()

    def say(answer: Answer) -> None:
        send(encode(answer))

    try:
        serve(inbox, say)
    except BaseException as error:
        say(failed(error))
    return 1


def serve(inbox: queue.Queue[bytes], say: Callable[[Answer], None]) -> None:
    """Answer commands as they come, without end. Measuring goes on in between, and ends at the next Look."""
    from core.worker.sight import Sight

    sight = Sight()
    measuring: Iterator[Answer] | None = None
    while True:
        if measuring is not None and inbox.empty():
            measuring = _advance(measuring, say)
            continue
        command = decode_command(inbox.get())
        if isinstance(command, Look):
            measuring = None
            try:
                say(sight.look(command))
            except Exception as error:
                say(failed(error))
        elif isinstance(command, Show):
            for row in command.rows:
                say(_shown(sight, row))
        else:
            measuring = sight.measure(command.is_sample)


def _shown(sight: Sight, row: int) -> Seen:
    try:
        return sight.show(row)
    except Exception as error:
        return Seen(row=row, line=0, refused=failed(error).message.rstrip("."))


def _advance(measuring: Iterator[Answer], say: Callable[[Answer], None]) -> Iterator[Answer] | None:
    """Measure a little more; None once it has ended, well or badly."""
    try:
        say(next(measuring))
    except StopIteration:
        return None
    except Exception as error:
        say(Warned(message=failed(error).message))
        return None
    return measuring


def _listen(inbox: queue.Queue[bytes]) -> None:
    with open(0, "rb", closefd=False) as stdin:
        for line in stdin:
            inbox.put(line)
    sys.stderr.flush()
    os._exit(0)  # nobody listens any more, and there is nothing to save
