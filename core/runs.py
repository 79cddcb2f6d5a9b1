"""The store: one folder per run, readable by the window, the CLI, another machine and a person."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import filelock

from core import durable, liveness
from core.config import RunConfig
from core.errors import HoneError
from core.events import Event, EventReader, Failed, Finished

State = Literal["new", "live", "done", "stopped", "early", "diverged", "failed", "interrupted"]
RESUMABLE: frozenset[State] = frozenset({"stopped", "interrupted", "failed", "diverged"})
Request = Literal["stop", "save", "sample"]
TRASH = ".trash"


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint of a run."""

    folder: Path
    step: int


@dataclass(frozen=True)
class Run:
    """One run: its folder is all there is to it."""

    folder: Path

    @property
    def id(self) -> str:
        """The folder's name: time and a short name, such as 20261120-143005-poet."""
        return self.folder.name

    @property
    def name(self) -> str:
        return re.sub(r"^\d{8}-\d{6}-", "", self.id)

    @cached_property
    def config(self) -> RunConfig:
        return RunConfig.load(self.config_file)

    @property
    def config_file(self) -> Path:
        return self.folder / "config.yaml"

    @property
    def events_file(self) -> Path:
        return self.folder / "events.jsonl"

    @property
    def log_file(self) -> Path:
        return self.folder / "worker.log"

    @property
    def environment_file(self) -> Path:
        return self.folder / "environment.json"

    @property
    def adapter(self) -> Path:
        """The finished adapter in PEFT's layout, or the finished model of a full fine-tune."""
        return self.folder / "adapter"

    @property
    def checkpoints_folder(self) -> Path:
        return self.folder / "checkpoints"

    def events(self) -> list[Event]:
        return EventReader(self.events_file).read()

    def lock(self) -> filelock.FileLock:
        """Held by the worker for as long as it lives; the kernel drops it on any death.

        `acquire()` waits two seconds, as someone who looks whether the run is live holds it for an instant.
        """
        return filelock.FileLock(self.folder / "lock", timeout=2, thread_local=False)

    def is_live(self) -> bool:
        """Whether a worker holds the run's lock now."""
        return liveness.is_held(self.folder / "lock")

    def state(self, events: list[Event] | None = None) -> State:
        """What has become of the run; pass its events if they have been read already."""
        if self.is_live():
            return "live"
        events = self.events() if events is None else events
        return state_after(events[-1] if events else None)

    def checkpoints(self) -> list[Checkpoint]:
        """The checkpoints that are whole on disk, oldest first. Reads every file to make sure."""
        return [checkpoint for checkpoint in self._checkpoint_folders() if durable.is_whole(checkpoint.folder)]

    def latest_checkpoint(self) -> Checkpoint | None:
        """The newest checkpoint that is whole; computed each time, never a pointer."""
        newest_first = reversed(self._checkpoint_folders())
        return next((c for c in newest_first if durable.is_whole(c.folder)), None)

    def _checkpoint_folders(self) -> list[Checkpoint]:
        found = [
            Checkpoint(path, int(match[1]))
            for path in self.checkpoints_folder.glob("step-*")
            if (match := re.fullmatch(r"step-(\d+)", path.name))
        ]
        return sorted(found, key=lambda checkpoint: checkpoint.step)

    def request(self, what: Request) -> None:
        """Ask the worker for something; it looks between steps. Raises HoneError in a folder it cannot write."""
        control = self.folder / "control"
        try:
            control.mkdir(exist_ok=True)
            (control / what).touch()
        except OSError as error:
            raise HoneError(f"{self.name} cannot be told to {what} ({error.strerror}): {control}.") from None

    def take_request(self, what: Request) -> bool:
        """For the worker: whether something was asked for since the last look. Forgets it."""
        try:
            (self.folder / "control" / what).unlink()
        except FileNotFoundError:
            return False
        return True


class RunStore:
    """The folder that holds all run folders."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def create(self, config: RunConfig, name: str = "") -> Run:
        """A new run folder with its config. Raises HoneError when it cannot be written."""
        stamp, short = time.strftime("%Y%m%d-%H%M%S"), clean_name(name or default_name(config))
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            folder = self._make_unique(f"{stamp}-{short}")
            durable.write_file(folder / "config.yaml", config.to_yaml())
        except OSError as error:
            raise HoneError(
                f"The run's folder cannot be made in {self.root} ({error.strerror}); "
                "free some space or choose another runs folder."
            ) from None
        return Run(folder)

    def _make_unique(self, name: str) -> Path:
        for suffix in ("", *(f"-{number}" for number in range(2, 1000))):
            folder = self.root / f"{name}{suffix}"
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            return folder
        raise FileExistsError(17, "a thousand runs of that name exist", name)

    def runs(self) -> list[Run]:
        """All runs, newest first."""
        return sorted(self._found(), key=lambda run: run.id, reverse=True)

    def _found(self) -> Iterator[Run]:
        try:
            entries = list(self.root.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise HoneError(f"The runs folder {self.root} cannot be read ({error.strerror}).") from None
        yield from (Run(path) for path in entries if (path / "config.yaml").is_file())

    def find(self, text: str) -> Run:
        """The run with that id, name, folder or unique beginning; the newest of equal names. Raises HoneError."""
        path = Path(text)
        if (path / "config.yaml").is_file():
            return Run(path.resolve())
        runs = self.runs()
        exact = [run for run in runs if text in (run.id, run.name)]
        if exact:
            return exact[0]
        begun = [run for run in runs if run.id.startswith(text)] if text else []
        if len(begun) == 1:
            return begun[0]
        if begun:
            raise HoneError(f"{text} fits {len(begun)} runs; give more of the name (see hone runs).")
        raise HoneError(f"There is no run {text} in {self.root}; hone runs lists them.")

    def rename(self, run: Run, name: str) -> Run:
        """The same run under another name; its time stays. Raises HoneError while it is live."""
        stamp = run.id.removesuffix(run.name)
        self._refuse_live(run)
        try:
            target = run.folder.with_name(f"{stamp}{clean_name(name)}")
            if target.exists():
                raise HoneError(f"There is already a run {target.name}; choose another name.", path="name")
            return Run(run.folder.rename(target))
        except OSError as error:
            raise HoneError(f"{run.name} cannot be renamed ({error.strerror}).") from None

    def discard(self, run: Run) -> Run:
        """Put a run into the store's trash and return where it lies. Raises HoneError while it is live."""
        self._refuse_live(run)
        trash = self.root / TRASH
        try:
            trash.mkdir(exist_ok=True)
            discarded = Run(run.folder.rename(trash / run.id))
            os.utime(discarded.folder)
        except OSError as error:
            raise HoneError(f"{run.name} cannot be put into the trash ({error.strerror}).") from None
        return discarded

    def restore(self, discarded: Run) -> Run:
        """Take a run out of the trash again. Raises HoneError when its place is taken."""
        try:
            target = self.root / discarded.id
            if target.exists():
                raise HoneError(f"There is a run {discarded.id} again, so the one in the trash stays there.")
            return Run(discarded.folder.rename(target))
        except OSError as error:
            raise HoneError(f"{discarded.name} cannot be brought back ({error.strerror}).") from None

    def empty_trash(self, older_than_seconds: float = 0.0) -> None:
        """Remove for good what was put into the trash that long ago."""
        for folder in (self.root / TRASH).glob("*"):
            if time.time() - folder.stat().st_mtime >= older_than_seconds:
                shutil.rmtree(folder, ignore_errors=True)

    def delete(self, run: Run) -> None:
        """Remove a run for good. Raises HoneError while it is live."""
        self._refuse_live(run)
        try:
            shutil.rmtree(run.folder)
        except OSError as error:
            raise HoneError(f"{run.name} cannot be deleted whole ({error.strerror}): {run.folder}.") from None

    def _refuse_live(self, run: Run) -> None:
        if run.is_live():
            raise HoneError(f"{run.name} is still running; stop it first.")


def state_after(last: Event | None) -> State:
    """What has become of a run that is not live and whose last event is this."""
    if isinstance(last, Finished):
        return last.reason
    if isinstance(last, Failed):
        return "failed"
    return "interrupted" if last else "new"


def default_name(config: RunConfig) -> str:
    """A short name from the data: "poems" for sample:poems or /home/me/poems.jsonl."""
    return Path(config.data.source.rpartition(":")[2]).stem


def clean_name(name: str) -> str:
    """A name that is safe as a folder on every system: letters, digits, dot, dash, underscore; at most 48."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._")[:48] or "run"
