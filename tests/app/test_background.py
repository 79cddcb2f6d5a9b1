"""Work on threads: results come to the window's thread, and never to someone who is gone."""

from __future__ import annotations

import threading
import weakref

import pytest
from PySide6.QtCore import QObject

from core.errors import HoneError

WAIT_MS = 60_000  # a busy machine is no failure


def test_a_result_arrives_on_the_windows_thread(background, qtbot):
    owner, got = QObject(), []
    background.run(owner, threading.get_ident, lambda worker: got.append((worker, threading.get_ident())))
    qtbot.waitUntil(lambda: bool(got), timeout=WAIT_MS)
    [(worker, here)] = got
    assert worker != here == threading.get_ident()
    assert background.is_idle


def test_what_work_refers_to_ends_on_the_windows_thread(background, qtbot):
    owner, ended = QObject(), []

    class Held:
        def work(self, ticket):
            return [self]

    for _ in range(200):
        held = Held()
        ticket = background.run_long(owner, held.work, lambda _: None)
        for one in (held, ticket):
            weakref.finalize(one, lambda: ended.append(threading.get_ident()))
        del held, ticket, one
    qtbot.waitUntil(lambda: len(ended) == 400, timeout=WAIT_MS)
    assert set(ended) == {threading.get_ident()}


def test_an_error_a_person_can_mend_goes_to_its_place(background, qtbot):
    owner, done, failed = QObject(), [], []

    def work() -> None:
        raise HoneError("No such file.", path="data.source")

    background.run(owner, work, done.append, failed.append)
    qtbot.waitUntil(lambda: bool(failed), timeout=WAIT_MS)
    assert not done and failed[0].path == "data.source"


def test_any_other_error_is_raised_here_and_not_lost(background, qtbot):
    owner = QObject()
    with qtbot.captureExceptions() as caught:
        background.run(owner, lambda: 1 / 0, lambda _: None)
        qtbot.waitUntil(lambda: bool(caught), timeout=WAIT_MS)
    assert caught[0][0] is ZeroDivisionError


@pytest.mark.parametrize("way", ["dropped", "owner gone"])
def test_nothing_arrives_for_who_no_longer_wants_it(way, background, qtbot):
    owner, gate, got = QObject(), threading.Event(), []
    ticket = background.run(owner, gate.wait, got.append)
    if way == "dropped":
        ticket.drop()
    else:
        owner.deleteLater()
        qtbot.wait(20)
    gate.set()
    qtbot.waitUntil(lambda: background.is_idle, timeout=WAIT_MS)
    assert not got


def test_long_work_tells_how_far_it_is_and_ends_when_dropped(background, qtbot):
    owner, told, done, ended = QObject(), [], [], threading.Event()

    def work(ticket):
        try:
            for number in range(1_000_000):
                ticket.report(number, 1_000_000)
                ended.wait(0.001)
        finally:
            ended.set()

    here = threading.get_ident()
    ticket = background.run_long(
        owner, work, done.append, told=lambda share: told.append((share, threading.get_ident()))
    )
    qtbot.waitUntil(lambda: len(told) > 3, timeout=WAIT_MS)
    assert all(thread == here for _, thread in told) and told[-1][0] > told[0][0]
    ticket.drop()
    qtbot.waitUntil(lambda: background.is_idle, timeout=WAIT_MS)
    assert ended.is_set() and not done


def test_what_is_held_begins_when_released(background, qtbot):
    owner, got = QObject(), []
    background.hold()
    background.run(owner, lambda: 1, got.append)
    qtbot.wait(30)
    assert not got
    background.release()
    qtbot.waitUntil(lambda: got == [1], timeout=WAIT_MS)


def test_closing_forgets_what_has_not_begun(background, qtbot):
    owner, gate, got = QObject(), threading.Event(), []
    for _ in range(6):
        background.run(owner, gate.wait, got.append)
    gate.set()
    background.close()
    qtbot.wait(30)
    assert not got
