"""Downloads a model or one part of a dataset into the Hugging Face cache: `python -m core.download [--data] NAME`.

Says how far it is in events on stdout. Killed at any moment, it goes on where it was when started again; what it
brings is found once it is whole.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import threading
from collections.abc import Iterator

import filelock

from core.data import hub_parts
from core.data.hub_parts import StoredPart
from core.errors import HoneError
from core.events import Event, Failed, Finished, Warned, encode
from core.models.fetch import Fetch, Say
from core.models.hub import Listing, ask, in_words, small_files, weights
from core.models.source import INDEX, check_revision, check_weights, names_in_index
from core.models.transfer import StoppedError


def download_model(source: str, revision: str, say: Say) -> None:
    """Bring a model into the cache. Raises HoneError; what has arrived by then is kept for the next try."""
    check_revision(revision)
    with _in_words(source, revision):
        listing = ask(source, revision)
        fetch = Fetch("model", listing, say)
        with fetch.alone():
            small = small_files(listing)
            index = [file for file in small if file.name == INDEX]
            fetch.fetch(index)  # it names the others
            fetch.bring(small + weights(listing, names_in_index(fetch.path_of(index[0])) if index else []))
            check_weights(fetch.snapshot, listing.name)
            fetch.name(revision or "main")


def download_data(source: str, say: Say) -> StoredPart:
    """Bring a part of a dataset into the cache. Raises HoneError; what has arrived is kept for the next try."""
    from core.data.hub import find_part

    try:
        with _in_words(source, what="dataset"):
            part = find_part(source)
            if part.is_partial:
                words = f"The Hub has only the first gigabytes of {part.source} in a form that can be read."
                say(Warned(message=words))
            stored = StoredPart(
                part.source, part.commit, hub_parts.files_folder(part.source, part.commit),
                tuple(file.name for file in part.files),
            )  # fmt: skip
            listing = Listing(part.source.name, part.commit, {file.name: file for file in part.files})
            fetch = Fetch("dataset", listing, say, stored.folder)
            with fetch.alone():
                fetch.bring(list(part.files))
                hub_parts.record(stored)
            return stored
    except HoneError as error:
        raise HoneError(error.message, path="data.source") from None


@contextlib.contextmanager
def _in_words(source: str, revision: str = "", what: str = "model") -> Iterator[None]:
    """Whatever goes wrong on the way as a HoneError."""
    try:
        yield
    except filelock.Timeout:
        raise HoneError(
            f"{source} is already being downloaded by another process; wait for it.", path="model.source"
        ) from None
    except StoppedError:
        raise HoneError(
            f"The download of {source} was stopped; it goes on where it was.", path="model.source"
        ) from None
    except HoneError:
        raise
    except Exception as error:
        raise in_words(error, source, revision, what) from None


def main(arguments: list[str] | None = None) -> int:
    """Exit 0 when all of it is whole in the cache, 1 after a Failed event."""
    parser = argparse.ArgumentParser(prog="python -m core.download", description="Downloads a model or a dataset.")
    parser.add_argument("source", help="Qwen/Qwen3-0.6B, or of a dataset OWNER/NAME[:CONFIG][@SPLIT]")
    parser.add_argument("--data", action="store_true", help="it is a dataset")
    parser.add_argument("--revision", default="", help="branch, tag or commit of a model")
    options = parser.parse_args(arguments)
    guard = threading.Lock()

    def say(event: Event) -> None:
        with guard:
            sys.stdout.buffer.write(encode(event))
            sys.stdout.buffer.flush()

    try:
        if options.data:
            download_data(options.source, say)
        else:
            download_model(options.source, options.revision, say)
    except HoneError as error:
        say(Failed(message=error.message, path=error.path))
        return 1
    say(Finished(reason="done", step=0))
    return 0


if __name__ == "__main__":
    sys.exit(main())
