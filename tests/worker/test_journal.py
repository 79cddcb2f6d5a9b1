"""The record survives a full disk: events wait, and then come in order."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.events import EventReader, Finished, Warned
from core.worker.journal import Journal


def test_events_wait_for_space_and_keep_their_order(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="Windows has no such limit")
    journal = Journal(tmp_path / "events.jsonl")
    journal.write(Warned(message="first"))
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Room for a part of the next event, which a disk that fills up leaves torn.
    resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "events.jsonl").stat().st_size + 10, most))
    try:
        for number in range(5):
            journal.write(Warned(message=f"waiting {number}"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    assert journal.num_waiting == 5
    journal.write(Finished(reason="done", step=1))
    assert journal.num_waiting == 0
    journal.close()
    read = EventReader(tmp_path / "events.jsonl").read()
    said = [event.message for event in read if isinstance(event, Warned)]
    assert said == ["first", *(f"waiting {number}" for number in range(5))]
    assert isinstance(read[-1], Finished)
