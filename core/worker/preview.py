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
from pathlib import Path
from typing import TYPE_CHECKING

from core.events import Warned
from core.preview import Answer, Command, Export, Judge, Look, Measure, Seen, Show, decode_command, encode
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
    """Answer commands as they come, without end. Long work goes on in between, one after another, and ends at the
    next Look; a Judge that has not begun gives way to a later one."""
    from core.worker.sight import Sight

    sight = Sight()
    works: list[tuple[type[Command], Iterator[Answer]]] = []
    while True:
        if works and inbox.empty():
            if not _advance(works[0][1], say):
                del works[0]
            continue
        command = decode_command(inbox.get())
        if isinstance(command, Look):
            works = []
            try:
                say(sight.look(command))
            except Exception as error:
                say(failed(error))
        elif isinstance(command, Show):
            for row in command.rows:
                say(_shown(sight, row))
        else:
            works = works[:1] + [work for work in works[1:] if work[0] is not Judge]
            works.append((type(command), _work(sight, command)))


def _work(sight: Sight, command: Measure | Judge | Export) -> Iterator[Answer]:
    if isinstance(command, Measure):
        return sight.measure(command.is_sample)
    if isinstance(command, Judge):
        return sight.judge(command.data, command.seed)
    return sight.export(command.data, command.seed, Path(command.target))


def _shown(sight: Sight, row: int) -> Seen:
    try:
        return sight.show(row)
    except Exception as error:
        return Seen(row=row, line=0, refused=failed(error).message.rstrip("."))


def _advance(work: Iterator[Answer], say: Callable[[Answer], None]) -> bool:
    """Work on a little; whether there is more to do."""
    try:
        say(next(work))
    except StopIteration:
        return False
    except Exception as error:
        say(Warned(message=failed(error).message))
        return False
    return True


def _listen(inbox: queue.Queue[bytes]) -> None:
    with open(0, "rb", closefd=False) as stdin:
        for line in stdin:
            inbox.put(line)
    sys.stderr.flush()
    os._exit(0)  # nobody listens any more, and there is nothing to save
