"""Files of one repository on the Hub on their way into the Hugging Face cache, several at a time.

Every file is checked against the hash that names it. Killed at any moment, a fetch goes on where it was when
started again; the cache shows files only once all are whole.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Literal

import filelock

from core import durable
from core.events import Event, Progress, Warned
from core.figures import size
from core.models.hub import HubFile, Listing
from core.models.source import hub_cache, wrong
from core.models.transfer import is_right, length, receive

STREAMS = 4  # one connection seldom fills a line, and more than a few are taken for abuse
SAY_SECONDS = 0.2
SPARE_BYTES = 200 * 2**20

Say = Callable[[Event], None]


class Fetch:
    """One repository's way into the cache. `snapshot` is where its files are shown."""

    def __init__(
        self, kind: Literal["model", "dataset"], listing: Listing, say: Say, snapshot: Path | None = None
    ) -> None:
        self.listing = listing
        self.folder = hub_cache() / f"{kind}s--{listing.name.replace('/', '--')}"
        self.snapshot = snapshot or self.folder / "snapshots" / listing.commit
        self._kind = kind
        self._say = say
        self._label = ""
        self._done = self._total = 0
        self._guard = threading.Lock()
        self._stop = threading.Event()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """While no other process fetches the same. Raises filelock.Timeout at once when one does."""
        lock = hub_cache() / ".locks" / self.folder.name / "hone.lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(lock, timeout=0):
            yield

    def bring(self, files: list[HubFile]) -> None:
        """Fetch what is missing of these files, check them all, and show them; says how far it is. Raises
        HoneError, and what `receive` does."""
        (self.folder / "blobs").mkdir(parents=True, exist_ok=True)
        self._require_space(files)
        is_here = all(self.path_of(file).is_file() for file in files)
        self._label = f"{'Checking' if is_here else 'Downloading'} {self.listing.name}"
        self._done, self._total = 0, sum(file.num_bytes for file in files)
        self.fetch(files)
        for file in files:
            self._show(file)

    def name(self, revision: str) -> None:
        """Let a branch or tag stand for this commit in the cache."""
        if revision != self.listing.commit:
            target = self.folder / "refs" / revision
            target.parent.mkdir(parents=True, exist_ok=True)
            durable.write_file(target, self.listing.commit)

    def fetch(self, files: list[HubFile]) -> None:
        """Have these files in the cache, without a word and not shown yet."""
        (self.folder / "blobs").mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(STREAMS) as pool:
            # Large files first: the last one to end is then a short one.
            pending = {pool.submit(self._fetch, file) for file in sorted(files, key=lambda file: -file.num_bytes)}
            try:
                while pending:
                    done, pending = wait(pending, SAY_SECONDS, FIRST_EXCEPTION)
                    for future in done:
                        future.result()
                    if self._label:
                        self._say(Progress(label=self._label, done=self._done, total=self._total, unit="bytes"))
            except BaseException:
                self._stop.set()
                pool.shutdown(cancel_futures=True)
                raise

    def _fetch(self, file: HubFile) -> None:
        """Have a file in the cache with the right content."""
        target, partial = self.path_of(file), self._partial(file)
        if target.is_file():
            if is_right(target, file):
                return self._count(file.num_bytes)
            self._say(Warned(message=f"{file.name} was damaged on disk and is fetched again."))
            target.unlink()
        was_begun = partial.is_file()
        self._receive(file, partial)
        if was_begun and not is_right(partial, file):  # what an interrupted download left may be at fault
            partial.unlink()
            self._count(-file.num_bytes)
            self._receive(file, partial)
        if not is_right(partial, file):
            partial.unlink()
            raise wrong(f"{file.name} of {self.listing.name} arrived damaged and was removed; download it again.")
        partial.replace(self.folder / "blobs" / file.blob)
        return None

    def _receive(self, file: HubFile, partial: Path) -> None:
        from huggingface_hub import hf_hub_url

        if length(partial) > file.num_bytes:
            partial.unlink()
        self._count(length(partial))
        url = hf_hub_url(self.listing.name, file.name, revision=self.listing.commit, repo_type=self._kind)
        with partial.open("ab", buffering=0) as target:
            receive(url, target, file.num_bytes, self._count, self._stop.wait)

    def _show(self, file: HubFile) -> None:
        """Let a blob appear in the snapshot: as a link, or itself where the system forbids links."""
        shown, blob = self.snapshot / file.name, self.folder / "blobs" / file.blob
        if shown.is_file():
            return
        shown.parent.mkdir(parents=True, exist_ok=True)
        shown.unlink(missing_ok=True)
        try:
            shown.symlink_to(os.path.relpath(blob, shown.parent))
        except OSError:
            blob.replace(shown)

    def path_of(self, file: HubFile) -> Path:
        """Where a file's content is or will be."""
        shown = self.snapshot / file.name
        return shown if shown.is_file() and not shown.is_symlink() else self.folder / "blobs" / file.blob

    def _partial(self, file: HubFile) -> Path:
        return self.folder / "blobs" / f"{file.blob}.hone.incomplete"

    def _count(self, num_bytes: int) -> None:
        with self._guard:
            self._done += num_bytes

    def _require_space(self, files: list[HubFile]) -> None:
        missing = [file for file in files if not self.path_of(file).is_file()]
        needed = sum(file.num_bytes - length(self._partial(file)) for file in missing)
        free = shutil.disk_usage(self.folder).free
        if missing and needed + SPARE_BYTES > free:
            raise wrong(
                f"{self.listing.name} needs {size(needed)} and {hub_cache()} has {size(free)} free; make room, or "
                "set HF_HOME to a folder on another disk."
            )
