"""Garbage: what a thread leaves is collected, and on the window's thread."""

from __future__ import annotations

import gc
import threading
import weakref


class Ring:
    """Refers to itself, so that only a collection ends it."""

    def __init__(self) -> None:
        self.own = self


def test_what_threads_leave_ends_on_the_windows_thread(collector, background, qtbot):
    ended: list[int] = []

    def work() -> None:
        for number in range(3 * gc.get_threshold()[0]):
            ring = Ring()
            if number < 100:
                weakref.finalize(ring, lambda: ended.append(threading.get_ident()))

    background.run(collector, work, lambda _: None)
    qtbot.waitUntil(lambda: len(ended) == 100, timeout=60_000)
    assert set(ended) == {threading.get_ident()}
    assert not gc.isenabled()
