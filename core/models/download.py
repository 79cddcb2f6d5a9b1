"""Downloads a model into the Hugging Face cache: `python -m core.models.download SOURCE [--revision R]`.

Says how far it is in events on stdout. Every file is checked against the hash that names it. Killed at any moment,
it goes on where it was when started again; the cache shows a model only once it is whole.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path

import filelock

from core import durable
from core.errors import HoneError
from core.events import Event, Failed, Finished, Progress, Warned, encode
from core.figures import size
from core.models.hub import HubFile, Listing, ask, in_words, small_files, weights
from core.models.source import INDEX, check_revision, check_weights, hub_cache, names_in_index, wrong
from core.models.transfer import StoppedError, is_right, length, receive

STREAMS = 4  # one connection seldom fills a line, and more than a few are taken for abuse
SAY_SECONDS = 0.2
SPARE_BYTES = 200 * 2**20

Say = Callable[[Event], None]


class Download:
    """One model on its way into the cache."""

    repo_type = "model"

    def __init__(self, listing: Listing, say: Say) -> None:
        self.listing = listing
        self.folder = hub_cache() / f"models--{listing.name.replace('/', '--')}"
        self.snapshot = self.folder / "snapshots" / listing.commit
        self._say = say
        self._label = ""
        self._done = self._total = 0
        self._guard = threading.Lock()
        self._stop = threading.Event()

    def run(self) -> None:
        """Fetch what is missing, check everything, and show the files as a snapshot. Raises HoneError."""
        small = small_files(self.listing)
        index = [file for file in small if file.name == INDEX]
        self._fetch_all(index)
        files = small + weights(self.listing, names_in_index(self._path(index[0])) if index else [])
        self._require_space(files)
        is_here = all(self._path(file).is_file() for file in files)
        self._label = f"{'Checking' if is_here else 'Downloading'} {self.listing.name}"
        self._done, self._total = 0, sum(file.num_bytes for file in files)
        self._fetch_all(files)
        for file in files:
            self._show(file)
        check_weights(self.snapshot, self.listing.name)

    def name(self, revision: str) -> None:
        """Let a branch or tag stand for this commit in the cache."""
        if revision != self.listing.commit:
            target = self.folder / "refs" / revision
            target.parent.mkdir(parents=True, exist_ok=True)
            durable.write_file(target, self.listing.commit)

    def _fetch_all(self, files: list[HubFile]) -> None:
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
        target, partial = self._path(file), self._partial(file)
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
        url = hf_hub_url(self.listing.name, file.name, revision=self.listing.commit, repo_type=self.repo_type)
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

    def _path(self, file: HubFile) -> Path:
        """Where a file's content is or will be."""
        shown = self.snapshot / file.name
        return shown if shown.is_file() and not shown.is_symlink() else self.folder / "blobs" / file.blob

    def _partial(self, file: HubFile) -> Path:
        return self.folder / "blobs" / f"{file.blob}.hone.incomplete"

    def _count(self, num_bytes: int) -> None:
        with self._guard:
            self._done += num_bytes

    def _require_space(self, files: list[HubFile]) -> None:
        missing = [file for file in files if not self._path(file).is_file()]
        needed = sum(file.num_bytes - length(self._partial(file)) for file in missing)
        free = shutil.disk_usage(self.folder).free
        if missing and needed + SPARE_BYTES > free:
            raise wrong(
                f"{self.listing.name} needs {size(needed)} and {hub_cache()} has {size(free)} free; make room, or "
                "set HF_HOME to a folder on another disk."
            )


def download(source: str, revision: str, say: Say) -> None:
    """Bring a model into the cache. Raises HoneError; what has arrived by then is kept for the next try."""
    check_revision(revision)
    try:
        listing = ask(source, revision)
        job = Download(listing, say)
        lock = hub_cache() / ".locks" / job.folder.name / "hone.lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(lock, timeout=0):
            job.run()
            job.name(revision or "main")
    except filelock.Timeout:
        raise wrong(f"{source} is already being downloaded by another process; wait for it.") from None
    except StoppedError:
        raise wrong(f"The download of {source} was stopped; it goes on where it was.") from None
    except HoneError:
        raise
    except Exception as error:
        raise in_words(error, source, revision) from None


def main(arguments: list[str] | None = None) -> int:
    """Exit 0 when the model is whole in the cache, 1 after a Failed event."""
    parser = argparse.ArgumentParser(prog="python -m core.models.download", description="Downloads a model.")
    parser.add_argument("source", help="a name on the Hugging Face Hub, such as Qwen/Qwen3-0.6B")
    parser.add_argument("--revision", default="", help="branch, tag or commit")
    options = parser.parse_args(arguments)
    guard = threading.Lock()

    def say(event: Event) -> None:
        with guard:
            sys.stdout.buffer.write(encode(event))
            sys.stdout.buffer.flush()

    try:
        download(options.source, options.revision, say)
    except HoneError as error:
        say(Failed(message=error.message, path=error.path))
        return 1
    say(Finished(reason="done", step=0))
    return 0


if __name__ == "__main__":
    sys.exit(main())
