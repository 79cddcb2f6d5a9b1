"""Downloads one part of a Hub dataset: `python -m core.data.download OWNER/NAME[:CONFIG][@SPLIT]`.

As models are: events on stdout, every file checked against the hash that names it, and killed at any moment it
goes on where it was when started again. The part is found by `hub:` once it is whole.
"""

from __future__ import annotations

import argparse
import sys
import threading

import filelock

from core.data.hub import HubPart, find_part
from core.data.hub_parts import StoredPart, files_folder, folder_of, record
from core.errors import HoneError
from core.events import Event, Failed, Finished, Warned, encode
from core.models.download import Download, Say
from core.models.hub import HubFile, Listing, in_words
from core.models.transfer import StoppedError


class DataDownload(Download):
    """One part on its way into the cache."""

    repo_type = "dataset"

    def __init__(self, part: HubPart, say: Say) -> None:
        super().__init__(Listing(part.source.name, part.commit, {file.name: file for file in part.files}), say)
        self.part = part
        self.folder = folder_of(part.source.name)
        self.snapshot = files_folder(part.source, part.commit)

    def run(self) -> None:
        """Fetch what is missing, check everything, and record the part as whole. Raises HoneError."""
        files: list[HubFile] = list(self.part.files)
        (self.folder / "blobs").mkdir(parents=True, exist_ok=True)
        self._require_space(files)
        is_here = all(self._path(file).is_file() for file in files)
        self._label = f"{'Checking' if is_here else 'Downloading'} {self.listing.name}"
        self._done, self._total = 0, sum(file.num_bytes for file in files)
        self._fetch_all(files)
        for file in files:
            self._show(file)
        names = tuple(file.name for file in files)
        record(StoredPart(self.part.source, self.part.commit, self.snapshot, names))


def download(source: str, say: Say) -> StoredPart:
    """Bring a part into the cache. Raises HoneError; what has arrived by then is kept for the next try."""
    try:
        part = find_part(source)
        if part.is_partial:
            say(
                Warned(
                    message=f"The Hub has only the first gigabytes of {part.source} in a form that can be read."
                )
            )
        lock = folder_of(part.source.name).parent / ".locks" / folder_of(part.source.name).name / "hone.lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(lock, timeout=0):
            DataDownload(part, say).run()
    except filelock.Timeout:
        raise _wrong(f"{source} is already being downloaded by another process; wait for it.") from None
    except StoppedError:
        raise _wrong(f"The download of {source} was stopped; it goes on where it was.") from None
    except HoneError as error:
        raise _wrong(error.message) from None
    except Exception as error:
        raise _wrong(in_words(error, source, what="dataset").message) from None
    return StoredPart(part.source, part.commit, files_folder(part.source, part.commit), ())


def main(arguments: list[str] | None = None) -> int:
    """Exit 0 when the part is whole in the cache, 1 after a Failed event."""
    parser = argparse.ArgumentParser(prog="python -m core.data.download", description="Downloads a dataset.")
    parser.add_argument("source", help="OWNER/NAME on the Hugging Face Hub, with :CONFIG and @SPLIT if need be")
    options = parser.parse_args(arguments)
    guard = threading.Lock()

    def say(event: Event) -> None:
        with guard:
            sys.stdout.buffer.write(encode(event))
            sys.stdout.buffer.flush()

    try:
        download(options.source, say)
    except HoneError as error:
        say(Failed(message=error.message, path=error.path))
        return 1
    say(Finished(reason="done", step=0))
    return 0


def _wrong(message: str) -> HoneError:
    return HoneError(message, path="data.source")


if __name__ == "__main__":
    sys.exit(main())
