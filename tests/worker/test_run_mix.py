"""A run on several sources: that it goes on to the bit, and what is said when one of them is gone or changed."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from core.data.rows import rows_of
from core.errors import HoneError
from core.events import Event, Finished, Progress, Started, Step, Warned
from core.runs import Run
from core.worker.train import train

NewRun = Callable[..., Run]
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")


@pytest.fixture(autouse=True)
def own_accelerator() -> Iterator[None]:
    """accelerate keeps its precision for the life of a process, and these runs share one."""
    from accelerate.state import AcceleratorState

    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def write(path: Path, name: str, count: int) -> Path:
    """Rows that say which file they are of."""
    rows = ({"prompt": f"Tell me of {name} {n}.", "completion": f"The {name} had {n} hats."} for n in range(count))
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


@pytest.fixture
def mixed(tmp_path: Path) -> dict[str, Any]:
    """A mixture: a file, half of another whose name has a comma, a third three times, and the first once more."""
    fox, cat, owl = (write(tmp_path / f"{name}.jsonl", name, 16) for name in ("fox", "cat, black", "owl"))
    return {
        "data.source": str(fox),
        "data.more": (f"0.5*{cat}", f"3*{owl}", str(fox)),
        "optim.max_steps": 5,
        "data.holdout": 0.1,
    }


def go(run: Run, steps: int = 99) -> list[Event]:
    """Train in this process, for so many steps at most. Returns the events, Finished included."""
    events, count = list[Event](), itertools.count(1)
    events.append(train(run, events.append, lambda: next(count) >= steps))
    return events


def of(kind: type, events: list[Event]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def test_a_run_on_a_mixture_goes_on_to_the_bit(new_run: NewRun, mixed: dict[str, Any]) -> None:
    straight, stopped = new_run(mixed, "straight"), new_run(mixed, "stopped")
    events = go(straight)
    num_rows = len(rows_of(straight.config.data, straight.config.runtime.seed))
    assert 16 + 48 + 16 < num_rows < 16 + 16 + 48 + 16
    (started,) = of(Started, events)
    assert started.num_read_rows == num_rows == started.num_rows + started.num_eval_rows + started.num_skipped_rows
    first = go(stopped, 2)
    assert isinstance(first[-1], Finished) and (first[-1].reason, first[-1].step) == ("stopped", 2)
    second = go(stopped)
    assert of(Started, second)[0].resumed_from == 2 and not of(Warned, second)
    steps = [(event.step, event.loss) for event in of(Step, events)]
    assert [(event.step, event.loss) for event in of(Step, first) + of(Step, second)] == steps
    one, two = (load_file(run.adapter / "adapter_model.safetensors") for run in (straight, stopped))
    assert all(one[name].equal(two[name]) for name in one)


def test_a_source_that_is_gone_or_changed_is_named_when_a_run_goes_on(
    new_run: NewRun, mixed: dict[str, Any], tmp_path: Path
) -> None:
    run, owl = new_run(mixed, "mixed"), tmp_path / "owl.jsonl"
    go(run, 2)
    owl.rename(tmp_path / "away.jsonl")
    with pytest.raises(HoneError) as caught:
        go(run)
    assert caught.value.path == "data.more"
    assert caught.value.message == f"{owl} does not exist; give the path of a data file."
    write(owl, "owl", 15)
    events = go(run)
    (told,) = [event.message for event in of(Warned, events) if "changed" in event.message]
    assert told.startswith(f"The data has changed since the run began ({owl}): it goes on with the rows as they")
    assert of(Started, events)[0].resumed_from == 2
    assert of(Finished, events)[0].reason == "done"


def test_a_run_says_what_it_unpacks(new_run: NewRun, tmp_path: Path) -> None:
    data = write(tmp_path / "fox.jsonl", "fox", 16)
    packed = tmp_path / "fox.jsonl.gz"
    packed.write_bytes(gzip.compress(data.read_bytes()))
    events = go(new_run({"data.source": str(packed), "optim.max_steps": 1}))
    assert "Unpacking the data" in {event.label for event in of(Progress, events)}
